//! People decide.

use super::drive::Driver;
use crate::base::id::{NodeIx, RunId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::message::command::Accepted;
use crate::message::event::{DecisionEvent, NodeEvent};
use crate::message::rejected::{Forbidden, Rejected, Unknown, WrongState};
use crate::message::run::RunPhase;
use crate::scheduler::{Tx, fits, named};
use crate::workflow::machine::{Made, Run};

type Verdict = Result<Accepted, Rejected>;

/// Who speaks: a name, and the roles that the host says they have.
pub(super) struct Voice {
    pub(super) by: Name,
    pub(super) roles: Vec<Name>,
}

impl Driver {
    pub(super) fn decide(
        &mut self,
        (id, node): (RunId, Name),
        voice: &Voice,
        option: Name,
        note: Payload,
        tx: &mut Tx<'_>,
    ) -> Verdict {
        let limits = self.core.config().limits();
        named("by", &voice.by, limits)?;
        fits(limits, &note)?;
        let (run, place) = self.node_of(id, &node)?;
        if decided(run, place).is_some_and(|made| (&made.by, &made.option) == (&voice.by, &option)) {
            return Ok(Accepted::Repeated);
        }
        may_decide(run, place, &node, voice)?;
        if !run.asks(place).is_some_and(|(decision, _)| decision.options.contains(&option)) {
            return Err(Rejected::Unknown(Unknown::DecisionOption { node, option }));
        }
        let node = run.plan().node_ref(place);
        let made = DecisionEvent::Made { by: voice.by.clone(), option, note };
        self.emit(NodeEvent::Decision(made).of(id, node), tx);
        Ok(Accepted::Done)
    }

    pub(super) fn delegate(&mut self, (id, node): (RunId, Name), voice: &Voice, to: Name, tx: &mut Tx<'_>) -> Verdict {
        let limits = self.core.config().limits();
        named("by", &voice.by, limits)?;
        named("to", &to, limits)?;
        let (run, place) = self.node_of(id, &node)?;
        may_decide(run, place, &node, voice)?;
        // Delegation never widens what somebody may do.
        four_eyes(run, place, &node, &to)?;
        if run.asks(place).is_some_and(|(_, ruling)| ruling.to.as_ref() == Some(&to)) {
            return Ok(Accepted::Repeated);
        }
        let node = run.plan().node_ref(place);
        let delegated = DecisionEvent::Delegated { by: voice.by.clone(), to };
        self.emit(NodeEvent::Decision(delegated).of(id, node), tx);
        Ok(Accepted::Done)
    }

    /// A node of a run, by its name.
    pub(super) fn node_of(&self, id: RunId, node: &Name) -> Result<(&Run, NodeIx), Rejected> {
        let run = self.book.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        match run.plan().index_of(node) {
            Some(place) => Ok((run, place)),
            None => Err(Rejected::Unknown(Unknown::Node { run: id, node: node.clone() })),
        }
    }
}

fn may_decide(run: &Run, place: NodeIx, node: &Name, voice: &Voice) -> Result<(), Rejected> {
    let (id, phase) = (run.id(), run.phase());
    if phase != RunPhase::Running {
        return Err(Rejected::State(WrongState::RunPhase { run: id, phase }));
    }
    let Some((decision, ruling)) = run.asks(place) else {
        return Err(Rejected::State(WrongState::NothingToDecide { run: id, node: node.clone() }));
    };
    four_eyes(run, place, node, &voice.by)?;
    let theirs = match &ruling.to {
        Some(to) => *to == voice.by,
        None => decision.roles(ruling.level).any(|role| voice.roles.contains(role)),
    };
    if theirs {
        Ok(())
    } else {
        Err(Rejected::Forbidden(Forbidden::NotDecider { node: node.clone(), by: voice.by.clone() }))
    }
}

/// The decision that a node made.
fn decided(run: &Run, node: NodeIx) -> Option<&Made> {
    run.graph().node(node)?.race_work()?.made()
}

/// Whoever decided what this node must be kept apart from may not decide it.
fn four_eyes(run: &Run, place: NodeIx, node: &Name, by: &Name) -> Result<(), Rejected> {
    let apart = run.asks(place).map(|(decision, _)| &decision.not_by[..]).unwrap_or_default();
    let same = apart.iter().find(|other| {
        let other = run.plan().index_of(other);
        other.and_then(|other| decided(run, other)).is_some_and(|made| made.by == *by)
    });
    match same {
        Some(other) => {
            Err(Rejected::Forbidden(Forbidden::FourEyes { node: node.clone(), by: by.clone(), other: other.clone() }))
        }
        None => Ok(()),
    }
}
