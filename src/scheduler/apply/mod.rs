//! The state of the scheduler, and its changes by events. Changes that no event records are in `unrecorded`.
//!
//! Applying an event makes no decision. An event that the state does not allow is an [`InconsistentEvent`].

mod agents;
mod attempts;
mod check;
mod control;
mod restore;
mod tasks;
mod unrecorded;

pub(crate) use tasks::sub_queue;
pub(crate) use unrecorded::{admit_newcomer, keep_details, note_heartbeat};

use super::inconsistent::{Applied, InconsistentEvent};
use super::index::Index;
use super::ix::Place;
use super::preemption::PreemptionCandidates;
use super::queue::{QueueRules, Queues};
use super::standing::Standing;
use super::tasks::{Since, Tasks};
use super::timers::Timers;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::{Entry, Event};
use crate::routing::SkillMap;
use core::time::Duration;
use std::collections::BTreeMap;

/// The settings that the application of events depends on.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) queues: QueueRules,
    /// The grace period: how long an agent may take to answer a request to stop an attempt or to give it back.
    pub(crate) grace: Duration,
    pub(crate) skills: SkillMap,
    /// The total amount of each shared resource.
    pub(crate) shared: BTreeMap<Name, u64>,
}

/// The state of agents and tasks: the result of applying all their events.
#[derive(Debug)]
pub(crate) struct State {
    tasks: Tasks,
    index: Index,
    queues: Queues,
    candidates: PreemptionCandidates,
    timers: Timers,
    standing: Standing,
    /// How many incarnations of agents have begun.
    incarnations: u64,
    /// What the time limits of attempts are counted with.
    pub(crate) since: Since,
}

impl State {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { queues, grace, skills, shared } = setup;
        Self {
            tasks: Tasks::default(),
            index: Index::new(skills, shared),
            queues: Queues::new(queues),
            candidates: PreemptionCandidates::default(),
            timers: Timers::default(),
            standing: Standing::default(),
            incarnations: 0,
            since: Since { grace, heartbeats: Time::ZERO },
        }
    }

    pub(crate) const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(crate) const fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) const fn queues(&self) -> &Queues {
        &self.queues
    }

    pub(crate) const fn candidates(&self) -> &PreemptionCandidates {
        &self.candidates
    }

    pub(crate) const fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(crate) const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// How many incarnations of agents have begun.
    pub(crate) const fn incarnations(&self) -> u64 {
        self.incarnations
    }

    pub(crate) fn apply(&mut self, entry: &Entry, place: Place) -> Applied {
        self.index.set_now(entry.at);
        match &entry.event {
            Event::Agent { agent, event } => self.apply_agent(entry.at, *agent, event),
            Event::Task { task, event } => self.apply_task((entry.seq, entry.at), *task, place, event),
            Event::Control(event) => self.apply_control((entry.seq, entry.at), event),
            Event::Catalogue(_) | Event::Run { .. } | Event::Node { .. } | Event::Schedule { .. } => {
                Err(InconsistentEvent("a scheduler without an engine has no runs"))
            }
        }
    }
}
