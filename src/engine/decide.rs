//! Commands for decisions of persons.

use super::drive::Driver;
use crate::base::id::{NodeIx, RunId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::message::command::Accepted;
use crate::message::event::{DecisionEvent, NodeEvent};
use crate::message::rejected::{Forbidden, Rejected, Unknown, WrongState};
use crate::message::run::RunPhase;
use crate::scheduler::{Tx, fits, named};
use crate::workflow::machine::{Call, Made, Run};

type Verdict = Result<Accepted, Rejected>;

/// The person who decides: a name, and the roles that the host has verified.
pub(super) struct Decider {
    pub(super) by: Name,
    pub(super) roles: Vec<Name>,
}

impl Driver {
    pub(super) fn decide(
        &mut self,
        (id, node): (RunId, Name),
        decider: &Decider,
        option: Name,
        note: Payload,
        tx: &mut Tx<'_>,
    ) -> Verdict {
        let limits = self.core.config().limits();
        named("by", &decider.by, limits)?;
        fits(limits, &note)?;
        let (run, index) = deciding(self, id, &node, tx)?;
        let id = run.id();
        let node = run.plan().name(index);
        if decided(run, index).is_some_and(|made| (&made.by, &made.option) == (&decider.by, &option)) {
            return Ok(Accepted::Repeated);
        }
        may_decide(run, index, &node, decider)?;
        if !run.waiting().decision(index).is_some_and(|(decision, _)| decision.options.contains(&option)) {
            return Err(Rejected::Unknown(Unknown::DecisionOption { node, option }));
        }
        let node = run.plan().node_ref(index);
        let made = DecisionEvent::Made { by: decider.by.clone(), option, note };
        self.emit(NodeEvent::Decision(made).of(id, node), tx);
        Ok(Accepted::Done)
    }

    pub(super) fn delegate(
        &mut self,
        (id, node): (RunId, Name),
        decider: &Decider,
        to: Name,
        tx: &mut Tx<'_>,
    ) -> Verdict {
        let limits = self.core.config().limits();
        named("by", &decider.by, limits)?;
        named("to", &to, limits)?;
        let (run, index) = deciding(self, id, &node, tx)?;
        let id = run.id();
        let node = run.plan().name(index);
        may_decide(run, index, &node, decider)?;
        // A delegation must not circumvent the separation of duties.
        check_separation(run, index, &node, &to)?;
        if run.waiting().decision(index).is_some_and(|(_, ruling)| ruling.to.as_ref() == Some(&to)) {
            return Ok(Accepted::Repeated);
        }
        let node = run.plan().node_ref(index);
        let delegated = DecisionEvent::Delegated { by: decider.by.clone(), to };
        self.emit(NodeEvent::Decision(delegated).of(id, node), tx);
        Ok(Accepted::Done)
    }

    /// The index of a node of a run by its name.
    pub(super) fn node_of(&self, id: RunId, node: &Name) -> Result<(&Run, NodeIx), Rejected> {
        let run = self.book.runs.get(id).ok_or(Rejected::Unknown(Unknown::Run(id)))?;
        match run.plan().index_of(node) {
            Some(index) => Ok((run, index)),
            None => Err(Rejected::Unknown(Unknown::Node { run: id, node: node.clone() })),
        }
    }
}

/// The node of this name that decides, with its run: a node of the run, or the last call of this key of a durable function in it.
fn deciding<'d>(driver: &'d Driver, id: RunId, node: &Name, tx: &Tx<'_>) -> Result<(&'d Run, NodeIx), Rejected> {
    let found = driver.node_of(id, node);
    if let Err(Rejected::Unknown(Unknown::Node { .. })) = &found
        && let Some(called) = called(driver, id, node, tx)
    {
        return Ok(called);
    }
    found
}

/// The decision that is the last call of this key of a durable function: `release`, or with data `release=page 7`.
fn called<'d>(driver: &'d Driver, id: RunId, key: &Name, tx: &Tx<'_>) -> Option<(&'d Run, NodeIx)> {
    let runs = &driver.book.runs;
    let mut functions =
        runs.get(id)?.graph().nodes().filter_map(|node| Some((node.state.instances(), node.function_work()?)));
    functions.find_map(|(instances, work)| {
        let is_meant = |call: &&Call| {
            tx.meter.visit(1);
            call.key == *key || *key == *format!("{}{}", call.key, call.occurrence)
        };
        let call = work.calls().filter(is_meant).last()?;
        let child = runs.get(instances.get(call.instance()?)?.worker().child()?)?;
        let decides = |ix: &NodeIx| child.graph().node(*ix).is_some_and(|node| node.race_work().is_some());
        Some((child, child.plan().index_of(&call.key).filter(decides)?))
    })
}

fn may_decide(run: &Run, index: NodeIx, node: &Name, decider: &Decider) -> Result<(), Rejected> {
    let (id, phase) = (run.id(), run.phase());
    if phase != RunPhase::Running {
        return Err(Rejected::State(WrongState::RunPhase { run: id, phase }));
    }
    let Some((decision, ruling)) = run.waiting().decision(index) else {
        return Err(Rejected::State(WrongState::NothingToDecide { run: id, node: node.clone() }));
    };
    check_separation(run, index, node, &decider.by)?;
    let theirs = match &ruling.to {
        Some(to) => *to == decider.by,
        None => decision.roles(ruling.level).any(|role| decider.roles.contains(role)),
    };
    if theirs {
        Ok(())
    } else {
        Err(Rejected::Forbidden(Forbidden::NotDecider { node: node.clone(), by: decider.by.clone() }))
    }
}

/// The decision that a node made.
fn decided(run: &Run, node: NodeIx) -> Option<&Made> {
    run.graph().node(node)?.race_work()?.made()
}

/// Rejects a decision by the person who has decided one of the nodes that this one must be kept apart from.
fn check_separation(run: &Run, index: NodeIx, node: &Name, by: &Name) -> Result<(), Rejected> {
    let apart = run.waiting().decision(index).map(|(decision, _)| &decision.not_by[..]).unwrap_or_default();
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
