//! The turns of functions, and the functions that are kept in memory between them.

use super::ctx::Ctx;
use super::execution::{Execution, Stand};
use super::facts::Facts;
use super::functions::DurableFunctions;
use super::state::Shared;
#[cfg(feature = "codecs")]
use crate::base::codec::Encoding;
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{FunctionAnswer, FunctionTurn};
use crate::task::{Failure, NodeIx, TaskSpec, codes};
use crate::workflow::steps::{unknown_step, unreadable_input};
use core::pin::Pin;
use core::task::{Context, Poll};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The functions of an agent. They belong to one engine: what is kept of a run is not what another engine knows of a run with the
/// same id.
pub(crate) struct Turns {
    functions: DurableFunctions,
    kept: Arc<Kept>,
    #[cfg(feature = "codecs")]
    encoding: Option<Encoding>,
}

/// A turn that was begun and lacks what its engine knows.
pub(crate) struct Begun {
    kind: Name,
    place: Place,
    /// The number of the next turn.
    next: u32,
    /// The first result that the function does not know.
    pub(crate) from: u32,
    /// The number of results that the turn is given.
    pub(crate) results: u32,
    /// None if the function begins.
    execution: Option<Execution>,
}

impl Begun {
    /// Whether the function begins, so that it needs its input and all calls that are known.
    pub(crate) const fn begins(&self) -> bool {
        self.execution.is_none()
    }
}

/// The node that executes a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    run: RunId,
    node: NodeIx,
}

impl Turns {
    pub(crate) fn new(functions: DurableFunctions) -> Self {
        let kept = Kept { room: functions.most_kept(), all: Mutex::default() };
        Self {
            functions,
            kept: Arc::new(kept),
            #[cfg(feature = "codecs")]
            encoding: None,
        }
    }

    /// Encodes what functions request and return, and decodes what they are given.
    #[cfg(feature = "codecs")]
    pub(crate) fn with_encoding(mut self, encoding: Option<Encoding>) -> Self {
        self.encoding = encoding;
        self
    }

    /// The context of a function that begins.
    fn context(&self) -> Ctx {
        let shared = Shared::default();
        #[cfg(feature = "codecs")]
        let shared = shared.with_encoding(self.encoding.clone());
        Ctx::new(shared)
    }

    /// Begins the turn of a task: with a function that was kept, or from the start of its code.
    pub(crate) fn begin(&self, task: &TaskSpec) -> Result<Begun, Failure> {
        let owner = task.owner.ok_or_else(|| {
            Failure::permanent("it is a turn of a durable function, but no run has submitted it")
                .with_code(codes::STEP_INPUT)
        })?;
        let turn: FunctionTurn<Value> = task.payload.to().map_err(|error| unreadable_input(&task.kind, &error))?;
        let place = Place { run: owner.run, node: owner.node };
        let (turn, seen, results) = match turn {
            FunctionTurn::Begin { turn, results, .. } => (turn, None, results),
            FunctionTurn::Resume { turn, from, results } => (turn, Some(from), results),
        };
        let kept = self.kept.take(place);
        let execution = kept.filter(|kept| kept.turn == turn && Some(kept.seen) == seen).map(|kept| kept.execution);
        let from = seen.filter(|_| execution.is_some()).unwrap_or(0);
        let next = turn.saturating_add(1);
        Ok(Begun { kind: task.kind.clone(), place, next, from, results, execution })
    }

    /// Executes the turn with what the engine knows.
    pub(crate) fn execute(&self, begun: Begun, facts: Facts) -> Result<Turn, Failure> {
        let Begun { kind, place, next, results, execution, .. } = begun;
        let (mut execution, facts) = match execution {
            Some(execution) => (execution, facts),
            None => {
                let code = self.functions.code(&kind).ok_or_else(|| unknown_step(&kind, self.functions.names()))?;
                let ctx = self.context();
                #[cfg(feature = "codecs")]
                let facts = match &self.encoding {
                    Some(encoding) => {
                        Facts { input: encoding.decode(&facts.input).map_err(|why| failed(&why))?, ..facts }
                    }
                    None => facts,
                };
                let running = code(ctx.clone(), &facts.input)?;
                (Execution::new(ctx, running, &facts), facts)
            }
        };
        execution.feed(facts);
        let kept = Arc::clone(&self.kept);
        Ok(Turn {
            kind,
            #[cfg(feature = "codecs")]
            encoding: self.encoding.clone(),
            execution: Some(execution),
            kept,
            after: After { place, turn: next, seen: results },
        })
    }
}

/// The future of the answer of a turn. It waits for nothing, but lets other futures of its thread be polled.
pub(crate) struct Turn {
    /// The name of the function.
    kind: Name,
    #[cfg(feature = "codecs")]
    encoding: Option<Encoding>,
    execution: Option<Execution>,
    kept: Arc<Kept>,
    after: After,
}

/// Where the function stands after the turn.
#[derive(Clone, Copy)]
struct After {
    place: Place,
    turn: u32,
    seen: u32,
}

impl Future for Turn {
    type Output = Result<Payload, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut execution) = self.execution.take() else { return Poll::Pending };
        let Poll::Ready(stand) = execution.poll(cx) else {
            self.execution = Some(execution);
            return Poll::Pending;
        };
        let answer = match stand {
            Stand::Fails(failure) => return Poll::Ready(Err(failure)),
            Stand::Ended(Ok(output)) => match self.encoded(output) {
                Ok(output) => FunctionAnswer::Done(output),
                Err(failure) => return Poll::Ready(Err(failure)),
            },
            Stand::Ended(Err(failure)) => FunctionAnswer::Fail(failure),
            Stand::Again(name, input) if name == self.kind.as_str() => match self.encoded(input) {
                Ok(input) => FunctionAnswer::Again(input),
                Err(failure) => return Poll::Ready(Err(failure)),
            },
            Stand::Again(name, _) => {
                let message = format!("the function `{}` continues as the function `{name}`", self.kind);
                return Poll::Ready(Err(Failure::permanent(message).with_code(codes::INVALID_VALUE)));
            }
            Stand::Waits(calls) => {
                let After { place, turn, seen } = self.after;
                self.kept.keep(KeptFunction { place, turn, seen, execution });
                FunctionAnswer::Calls(calls)
            }
        };
        let unfit = |error| Failure::permanent(format!("its answer: {error}")).with_code(codes::INVALID_VALUE);
        Poll::Ready(Payload::of(&answer).map_err(unfit))
    }
}

impl Turn {
    /// A result as the engine gets it.
    #[cfg(feature = "codecs")]
    fn encoded(&self, plain: Payload) -> Result<Payload, Failure> {
        match &self.encoding {
            Some(encoding) => encoding.encode(&plain).map_err(|why| failed(&why)),
            None => Ok(plain),
        }
    }

    #[cfg(not(feature = "codecs"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with codecs")]
    fn encoded(&self, plain: Payload) -> Result<Payload, Failure> {
        Ok(plain)
    }
}

/// The failure of a turn whose payloads cannot be encoded or decoded.
#[cfg(feature = "codecs")]
fn failed(error: &crate::base::codec::CodecError) -> Failure {
    Failure::transient(error.to_string()).with_code(codes::CODEC)
}

impl Turn {
    /// Executes the turn on this thread.
    #[cfg(any(feature = "threads", feature = "testing"))]
    pub(crate) fn run(mut self) -> Result<Payload, Failure> {
        loop {
            // It is pending only to let others be polled.
            let polled = Pin::new(&mut self).poll(&mut Context::from_waker(core::task::Waker::noop()));
            if let Poll::Ready(answer) = polled {
                return answer;
            }
        }
    }
}

/// The functions that are kept in memory between their turns: a bounded number, the oldest first.
struct Kept {
    room: usize,
    all: Mutex<VecDeque<KeptFunction>>,
}

struct KeptFunction {
    place: Place,
    /// The number of its next turn.
    turn: u32,
    /// The number of results that it was given.
    seen: u32,
    execution: Execution,
}

impl Kept {
    fn take(&self, place: Place) -> Option<KeptFunction> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|kept| kept.place == place)?;
        all.remove(at)
    }

    fn keep(&self, function: KeptFunction) {
        // The code of the user is dropped after the lock.
        let _before = self.take(function.place);
        let mut dropped = Vec::new();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(function);
        while all.len() > self.room {
            dropped.extend(all.pop_front());
        }
        drop(all);
    }
}
