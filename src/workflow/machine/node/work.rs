//! The kinds of work that a node can do.

use super::{
    Applied, Arrival, DelegateWork, FunctionWork, Illegal, Instance, Instances, MapWork, RaceWork, RoundsWork,
    SendWork, StatesWork, WaitWork,
};
use crate::base::id::Seq;
use crate::base::payload::Payload;
use crate::definition::{FunctionCall, Join, Machine};
use crate::message::event::Opening;
use crate::workflow::functions::Functions;
use crate::workflow::machine::change::Renewal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The work of a node, by its kind, with the state of its machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NodeWork {
    /// The node ends when it starts: a choice, a pass, a stop, a failure.
    #[default]
    Immediate,
    Task,
    Map(MapWork),
    Repeat,
    Rounds(RoundsWork),
    States(StatesWork),
    Delegate(DelegateWork),
    Function(FunctionWork),
    Wait(WaitWork),
    Race(RaceWork),
    Send(SendWork),
    /// The rollback of the run compensates nodes for it.
    Compensation,
}

impl NodeWork {
    pub(crate) fn new(kind: Machine) -> Self {
        match kind {
            Machine::Immediate => Self::Immediate,
            Machine::Task => Self::Task,
            Machine::Map => Self::Map(MapWork::default()),
            Machine::Repeat => Self::Repeat,
            Machine::Rounds => Self::Rounds(RoundsWork::default()),
            Machine::States => Self::States(StatesWork::default()),
            Machine::Delegate => Self::Delegate(DelegateWork::default()),
            Machine::Function => Self::Function(FunctionWork::default()),
            Machine::Wait => Self::Wait(WaitWork::default()),
            Machine::Race => Self::Race(RaceWork::default()),
            Machine::Send => Self::Send(SendWork::default()),
            Machine::Compensation => Self::Compensation,
        }
    }

    pub(crate) const fn kind(&self) -> Machine {
        match self {
            Self::Immediate => Machine::Immediate,
            Self::Task => Machine::Task,
            Self::Map(_) => Machine::Map,
            Self::Repeat => Machine::Repeat,
            Self::Rounds(_) => Machine::Rounds,
            Self::States(_) => Machine::States,
            Self::Delegate(_) => Machine::Delegate,
            Self::Function(_) => Machine::Function,
            Self::Wait(_) => Machine::Wait,
            Self::Race(_) => Machine::Race,
            Self::Send(_) => Machine::Send,
            Self::Compensation => Machine::Compensation,
        }
    }

    /// The output of the instances: of the last one, or for a map or for rounds the list of all.
    pub(super) fn collected(&self, instances: &Instances) -> Payload {
        let each = || instances.iter().map(|instance| instance.output().value().clone());
        match self {
            Self::Map(map) => {
                let items = map.items().map_or(0, |items| items as usize);
                let left = items.saturating_sub(instances.as_slice().len());
                Payload::new(each().chain(core::iter::repeat_n(Value::Null, left)).collect::<Value>())
            }
            Self::Rounds(_) => Payload::new(each().collect::<Value>()),
            Self::Delegate(delegate) => delegate.results_so_far(instances),
            Self::Function(function) => function.result(),
            Self::Task | Self::Repeat => instances.last().map(Instance::output).unwrap_or_default(),
            Self::Immediate | Self::States(_) | Self::Wait(_) | Self::Race(_) | Self::Send(_) | Self::Compensation => {
                Payload::NULL
            }
        }
    }

    /// The output when a limit ends the node.
    pub(super) fn partial(&self, instances: &Instances) -> Payload {
        match self {
            Self::States(states) => states.value(),
            Self::Immediate
            | Self::Task
            | Self::Map(_)
            | Self::Repeat
            | Self::Rounds(_)
            | Self::Delegate(_)
            | Self::Function(_)
            | Self::Wait(_)
            | Self::Race(_)
            | Self::Send(_)
            | Self::Compensation => self.collected(instances),
        }
    }

    /// Whether instances are compensated one after the other, the last first.
    pub(crate) const fn is_undone_in_turn(&self) -> bool {
        matches!(self, Self::Repeat | Self::States(_) | Self::Delegate(_) | Self::Function(_))
    }

    /// Opens the work.
    pub(super) fn open(&mut self, opening: &Opening) -> Applied {
        match (self, opening) {
            (Self::Map(map), Opening::Map { items, list, bounds }) => map.open(*items, list.as_ref(), *bounds),
            (Self::Repeat, Opening::Repeat) | (Self::States(_), Opening::States) => {}
            (Self::Rounds(_), Opening::Rounds) | (Self::Compensation, Opening::Compensation { .. }) => {}
            (Self::Delegate(delegate), Opening::Delegation) => delegate.open(),
            (Self::Function(function), Opening::Function) => function.open(),
            (Self::Wait(wait), Opening::Wait { until }) => wait.open(*until),
            (Self::Race(race), Opening::Race { since, until }) => race.open(*since, until),
            (Self::Send(send), Opening::Send) => send.open(),
            (_, _) => return Err(Illegal::new("a node opens", "it is of another kind")),
        }
        Ok(())
    }

    /// Begins an instance. Returns what it performs: the index of the state for a node with states, the number of the call
    /// from 1 for a function.
    pub(super) fn begin(&mut self, index: u32) -> Applied<u32> {
        const INPUT: &str = "an instance begins";
        match self {
            Self::States(states) => return states.begin(),
            Self::Function(function) => return function.begin(index),
            Self::Delegate(delegate) => delegate.begin(index)?,
            Self::Rounds(rounds) => rounds.begin(),
            Self::Map(map) if map.items().is_none_or(|items| index >= items) => {
                return Err(Illegal::new(INPUT, "the map has no such item"));
            }
            Self::Task | Self::Map(_) | Self::Repeat => {}
            Self::Immediate | Self::Wait(_) | Self::Race(_) | Self::Send(_) | Self::Compensation => {
                return Err(Illegal::new(INPUT, "its node has no instances"));
            }
        }
        Ok(0)
    }

    /// Whether the node keeps its instances when it is executed again: the calls of a function that is retried, or rolled back
    /// to one of its calls.
    pub(crate) fn keeps_instances(&self, renewal: Renewal) -> bool {
        matches!(self, Self::Function(function) if renewal == Renewal::Retry || function.cut().is_some())
    }

    /// A function requests new calls.
    pub(crate) fn request(&mut self, calls: &[FunctionCall], functions: &Arc<Functions>) -> Applied {
        let Self::Function(function) = self else {
            return Err(Illegal::new("a function requests calls", "the node is none"));
        };
        function.request(calls, functions)
    }

    /// Computes what follows from the data of a snapshot. False if a part of it cannot be executed.
    pub(crate) fn restore(&mut self, functions: &Arc<Functions>) -> bool {
        if let Self::Function(function) = self { function.restore(functions) } else { true }
    }

    /// The runs that a sent signal has reached.
    pub(crate) fn sent(&mut self, receivers: u32, after: Option<Seq>) -> Applied {
        let Self::Send(send) = self else {
            return Err(Illegal::new("a node sends a signal", "it is of another kind"));
        };
        send.sent(receivers, after)
    }

    /// Records a token on a link. Returns whether the node starts more than once.
    pub(super) fn arrive(&mut self, join: Join, links: u32, link: u32, arrival: Arrival) -> bool {
        let Self::Rounds(rounds) = self else { return false };
        rounds.arrive(join, links, link, arrival);
        true
    }

    /// Drops the data that is not needed after the end of the node.
    pub(super) fn close(&mut self) {
        match self {
            Self::Map(map) => map.reset(),
            Self::Rounds(rounds) => rounds.reset(),
            Self::States(states) => states.reset(),
            Self::Wait(wait) => wait.reset(),
            Self::Function(function) => function.close(),
            Self::Send(send) => send.reset(),
            Self::Immediate | Self::Task | Self::Repeat | Self::Delegate(_) | Self::Race(_) | Self::Compensation => {}
        }
    }

    /// The initial work of a node that is executed again. Items that hosts added to a map are kept.
    pub(super) fn renewed(mut self) -> Self {
        if let Self::Map(map) = &mut self {
            map.reset();
            return self;
        }
        Self::new(self.kind())
    }

    /// Checks that the work of a node under way is consistent with its instances.
    pub(super) fn check_working(&self, instances: &Instances) -> Result<(), String> {
        let is_sound = match self {
            Self::Immediate => false,
            Self::Task => !instances.is_empty(),
            Self::Map(map) => map.items().is_some_and(|items| instances.len() <= items),
            Self::Delegate(delegate) => delegate.parts().is_some(),
            Self::Function(function) => function.has_begun(),
            Self::Wait(wait) => *wait != WaitWork::NotBegun,
            Self::Send(send) => *send != SendWork::NotBegun,
            Self::Race(race) => race.ruling().is_some(),
            Self::States(states) => states.is_sound(instances),
            Self::Repeat | Self::Rounds(_) | Self::Compensation => true,
        };
        if is_sound { Ok(()) } else { Err(format!("is under way as {:?} without its work", self.kind())) }
    }
}
