//! What the code of a function and the execution of its turns share.

use super::facts::{CallId, EndedCall, OpenCall};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{FunctionCall, Occurrence};
use crate::task::{Failure, codes};
use core::task::Waker;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The result of a call.
pub(super) type Outcome = Result<Payload, Failure>;

#[derive(Debug, Default)]
pub(super) struct State {
    /// The calls that the code has requested and not received.
    pending: BTreeMap<CallId, Pending>,
    /// All calls that the code has requested with data as occurrence.
    keyed: BTreeSet<CallId>,
    /// How many calls of each key the code has requested with a number.
    numbered: BTreeMap<Name, Numbered>,
    /// The calls that the engine knew when the function began, until the code requests them.
    known: BTreeMap<CallId, Known>,
    /// Results that the code has not requested yet: it was changed.
    early: BTreeMap<CallId, Outcome>,
    /// New calls of this turn.
    requested: Vec<FunctionCall>,
    /// The largest number of new calls in a turn.
    most: usize,
    /// The number of futures that wait for their results.
    waiting: usize,
    /// Why the turn fails, whatever the code does.
    fault: Option<Failure>,
    /// The function that begins again, and its input.
    again: Option<(&'static str, Payload)>,
}

/// A call that the engine knew when the function began.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The hash of its body and its input.
    pub(super) print: u64,
    #[cfg(feature = "codecs")]
    pub(super) input: Payload,
}

#[derive(Debug)]
enum Pending {
    Open(Option<Waker>),
    Ended(Outcome),
}

#[derive(Debug, Default)]
struct Numbered {
    requested: u32,
    is_open: bool,
}

/// A state behind a lock: a panic of the code leaves it as it was.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    #[cfg(feature = "codecs")]
    encoding: Option<crate::base::codec::Encoding>,
}

impl Shared {
    #[cfg(feature = "codecs")]
    pub(super) fn with_encoding(mut self, encoding: Option<crate::base::codec::Encoding>) -> Self {
        self.encoding = encoding;
        self
    }

    #[cfg(feature = "codecs")]
    pub(super) const fn encoding(&self) -> Option<&crate::base::codec::Encoding> {
        self.encoding.as_ref()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the code.
impl State {
    /// The identity of the next call of a key. None if the call cannot be distinguished from another one.
    pub(super) fn identify(&mut self, key: &Name, data: Option<Name>) -> Option<CallId> {
        let Some(data) = data else {
            let numbered = self.numbered.entry(key.clone()).or_default();
            if numbered.is_open {
                let message = format!("it requests the call `{key}` while another of this key is under way");
                self.fail(codes::FUNCTION_KEY, format!("{message}: calls at the same time need `keyed`"));
                return None;
            }
            let id = (key.clone(), Occurrence::Number(numbered.requested));
            (numbered.requested, numbered.is_open) = (numbered.requested.saturating_add(1), true);
            return Some(id);
        };
        let id = (key.clone(), Occurrence::Keyed(data));
        if self.keyed.insert(id.clone()) {
            return Some(id);
        }
        self.fail(codes::FUNCTION_KEY, format!("it requests the call `{}` {} twice", id.0, id.1));
        None
    }

    /// A call that the engine knew when the function began.
    pub(super) fn known(&self, id: &CallId) -> Option<Known> {
        self.known.get(id).cloned()
    }

    /// Adds a call of which the engine knows nothing.
    pub(super) fn request(&mut self, id: CallId, call: FunctionCall) {
        if self.requested.len() >= self.most {
            let most = self.most;
            self.fail(codes::FUNCTION_CALLS, format!("it requests more than {most} calls in one turn"));
            return;
        }
        self.requested.push(call);
        self.pending.insert(id, Pending::Open(None));
    }

    /// Adds a call that the engine knows.
    pub(super) fn recall(&mut self, id: &CallId) {
        self.known.remove(id);
        match self.early.remove(id) {
            Some(outcome) => self.end(id.clone(), outcome),
            None => _ = self.pending.insert(id.clone(), Pending::Open(None)),
        }
    }

    /// The result of a call, once; until then the waker is woken when it is there.
    pub(super) fn take(&mut self, id: &CallId, waker: &Waker) -> Option<Outcome> {
        if let Some(Pending::Open(waiting)) = self.pending.get_mut(id) {
            waiting.clone_from(&Some(waker.clone()));
            return None;
        }
        match self.pending.remove(id) {
            Some(Pending::Ended(outcome)) => Some(outcome),
            Some(Pending::Open(_)) | None => None,
        }
    }

    /// The result of a call is not awaited any more. The call itself goes on.
    pub(super) fn abandon(&mut self, id: &CallId) {
        match self.pending.get_mut(id) {
            Some(Pending::Open(waker)) => *waker = None,
            Some(Pending::Ended(_)) => _ = self.pending.remove(id),
            None => {}
        }
    }

    pub(super) fn wait(&mut self) {
        self.waiting = self.waiting.saturating_add(1);
    }

    pub(super) fn stop_waiting(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Ends this execution. The first request counts.
    pub(super) fn continue_as_new(&mut self, function: &'static str, input: Payload) {
        self.again.get_or_insert((function, input));
    }

    /// Lets the turn fail, because a payload cannot be encoded or decoded.
    #[cfg(feature = "codecs")]
    pub(super) fn fail_codec(&mut self, error: &crate::base::codec::CodecError) {
        self.fault.get_or_insert_with(|| Failure::transient(error.to_string()).with_code(codes::CODEC));
    }

    /// Lets the turn fail. The first fault counts: what the code does after it does not matter.
    pub(super) fn fail(&mut self, code: &'static str, message: String) {
        self.fault.get_or_insert_with(|| Failure::permanent(message).with_code(code));
    }
}

/// For the execution.
impl State {
    /// The function that the code has asked to begin again, and its input.
    pub(super) fn again(&mut self) -> Option<(&'static str, Payload)> {
        self.again.take()
    }

    pub(super) fn allow(&mut self, most: u32) {
        self.most = most as usize;
    }

    pub(super) fn know(&mut self, ended: &[EndedCall], open: &[OpenCall]) {
        let open = open.iter().map(|call| (call.id.clone(), call.known()));
        self.known.extend(ended.iter().map(|call| (call.id.clone(), call.known())).chain(open));
    }

    /// Makes a result available. Returns the waker of the future that waits for it.
    pub(super) fn reveal(&mut self, id: CallId, outcome: Outcome) -> Option<Waker> {
        match self.pending.get_mut(&id) {
            Some(Pending::Open(waker)) => {
                let waker = waker.take();
                self.end(id, outcome);
                waker
            }
            Some(Pending::Ended(_)) => None,
            None => {
                self.early.insert(id, outcome);
                None
            }
        }
    }

    pub(super) fn take_requested(&mut self) -> Vec<FunctionCall> {
        core::mem::take(&mut self.requested)
    }

    pub(super) fn fault(&mut self) -> Option<Failure> {
        self.fault.take()
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    fn end(&mut self, id: CallId, outcome: Outcome) {
        if let Occurrence::Number(_) = id.1
            && let Some(numbered) = self.numbered.get_mut(&id.0)
        {
            numbered.is_open = false;
        }
        self.pending.insert(id, Pending::Ended(outcome));
    }
}

impl EndedCall {
    fn known(&self) -> Known {
        Known {
            print: self.print,
            #[cfg(feature = "codecs")]
            input: self.input.clone(),
        }
    }
}

impl OpenCall {
    fn known(&self) -> Known {
        Known {
            print: self.print,
            #[cfg(feature = "codecs")]
            input: self.input.clone(),
        }
    }
}
