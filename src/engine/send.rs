//! Signals that nodes send: which runs receive them.

use super::book::{Book, Folded};
use super::commands::{Reception, reception};
use super::drive::Driver;
use super::list::Register;
use super::runs::{Runs, Wake};
use crate::base::id::{NodeIx, RunId, Seq};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{Anomaly, OrAnomaly};
use crate::base::time::Time;
use crate::definition::{Action, Receivers, SendSignal};
use crate::message::event::{NodeEvent, RunEvent};
use crate::message::run::RunPhase;
use crate::scheduler::Tx;
use crate::workflow::machine::{NodeWork, Run, RunInput};

/// The most runs that one event lists as receivers.
const RECEIVERS: usize = 256;
/// The most runs that are considered for one event.
const CONSIDERED: usize = 2_048;

/// What a node sends.
pub(super) struct Sending {
    pub(super) node: NodeIx,
    pub(super) payload: Payload,
    /// The business key of the receivers, if they are found by key.
    pub(super) key: Option<Name>,
}

/// The runs that are considered for one event, and the event after whose run the next ones were started.
struct Considered {
    runs: Vec<RunId>,
    after: Option<Seq>,
    /// The number of entries of the list that were read.
    read: usize,
}

/// The event by which the next runs receive the signal of a node.
pub(super) fn sent(driver: &Driver, id: RunId, sending: &Sending, tx: &Tx<'_>) -> Result<NodeEvent, Anomaly> {
    let run = driver.book.runs.get(id).or_anomaly("a run that sends a signal is unknown")?;
    let node = run.graph().node(sending.node).or_anomaly("a node that sends a signal is unknown")?;
    let (Action::Send(SendSignal { signal, to }), NodeWork::Send(work)) = (&node.definition.action, node.state.work())
    else {
        return Err(Anomaly::new("a node sends a signal that is of another kind"));
    };
    let after = work.after().or_anomaly("a node sends a signal before it begins, or after it has ended")?;
    let mut considered = driver.book.runs.considered(run, to, sending.key.as_ref(), after);
    tx.meter.visit(considered.read);
    let is_of_tenant = |receiver: &Run| receiver.spec.tenant == run.spec.tenant;
    let mut receivers = Vec::new();
    let mut left = considered.runs.into_iter();
    while let Some(receiver) = left.next() {
        let is_received = driver.book.runs.get(receiver).is_some_and(is_of_tenant)
            && reception(driver, receiver, (signal, &sending.payload), tx).is_ok_and(|it| it != Reception::Dropped);
        if is_received {
            tx.meter.visit(10);
            receivers.push(receiver);
        }
        if (receivers.len() >= RECEIVERS || tx.meter.is_spent()) && left.len() > 0 {
            considered.after = driver.book.runs.get(receiver).map(|run| run.begun.seq);
            break;
        }
    }
    let (signal, payload) = (signal.clone(), sending.payload.clone());
    Ok(NodeEvent::Sent { signal, payload, to: receivers, after: considered.after })
}

impl Runs {
    fn considered(&self, run: &Run, to: &Receivers, key: Option<&Name>, after: Seq) -> Considered {
        let one = |run: Option<RunId>| Considered { runs: run.into_iter().collect(), after: None, read: 1 };
        match to {
            Receivers::Run => one(Some(run.id())),
            Receivers::Parent => one(run.owner.map(|owner| owner.run)),
            Receivers::Root => one(Some(self.root_of(run))),
            Receivers::Key { workflow, .. } => self.listed(|all| all.later_with_key(workflow, key, after), |_| true),
            Receivers::All { workflow } => self.listed(|all| all.later(after), |run| run.spec.workflow == *workflow),
        }
    }

    fn root_of(&self, run: &Run) -> RunId {
        let mut root = run;
        while let Some(parent) = root.owner.and_then(|owner| self.get(owner.run)) {
            root = parent;
        }
        root.id()
    }

    /// The next runs of a list that have not ended.
    fn listed<'a, I: Iterator<Item = (Seq, RunId)>>(
        &'a self,
        list: impl FnOnce(&'a Register) -> I,
        passes: impl Fn(&Run) -> bool,
    ) -> Considered {
        let mut entries = list(self.register());
        let considered: Vec<(Seq, RunId)> = entries.by_ref().take(CONSIDERED).collect();
        let after = considered.last().map(|(seq, _)| *seq).filter(|_| entries.next().is_some());
        let goes = |id: &RunId| self.get(*id).is_some_and(|run| !run.is_finished() && passes(run));
        let read = considered.len();
        Considered { runs: considered.into_iter().map(|(_, id)| id).filter(goes).collect(), after, read }
    }
}

/// Lets a run receive a signal that a node has sent, as one that was sent from outside.
pub(super) fn receive(book: &mut Book, id: RunId, (signal, payload): (&Name, &Payload), now: Time) -> Folded {
    let run = book.runs.get(id).ok_or("a run that receives a signal is unknown")?;
    if run.phase() != RunPhase::Running {
        return Err("a run that does not go forward receives a signal".into());
    }
    let until = run.plan().definition.kept_until(signal, now);
    let event = RunEvent::Signalled { signal: signal.clone(), payload: payload.clone(), until };
    book.apply(id, RunInput::Event(&event), now)?;
    book.runs.wake_descendants(id, Wake::Listening);
    Ok(())
}
