//! Tasks that wait for the result of an equal one: single flight.

use super::{FollowUp, Stage, Task, Tasks};
use crate::base::id::{Seq, TaskId};
use crate::base::structure::{Arena, IdMap, Slot};
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::ix::TaskIx;
use crate::task::TaskOutcome;
use std::collections::{BTreeSet, VecDeque};

/// The index of a flight.
pub(crate) type FlightIx = Slot;

/// All flights. A flight exists while tasks wait in it.
#[derive(Debug, Default)]
pub(super) struct Flights {
    flights: Arena<Flight>,
    /// The flights whose leads have not ended.
    by_lead: IdMap<TaskId, FlightIx>,
    /// The flights whose leads have succeeded: the tasks that wait in them are to be answered.
    landed: VecDeque<FlightIx>,
}

#[derive(Debug)]
struct Flight {
    /// The task that is performed.
    lead: TaskId,
    /// The tasks that wait for its result, in the order of their submits.
    waiting: BTreeSet<(Seq, TaskId)>,
}

impl Flights {
    fn join(&mut self, lead: TaskId, waiting: (Seq, TaskId)) -> FlightIx {
        let known = self.by_lead.get(&lead).copied().filter(|at| self.flights.get(*at).is_some());
        let at = known.unwrap_or_else(|| self.flights.insert(Flight { lead, waiting: BTreeSet::new() }));
        self.by_lead.insert(lead, at);
        if let Some(flight) = self.flights.get_mut(at) {
            flight.waiting.insert(waiting);
        }
        at
    }

    /// A task no longer waits.
    pub(super) fn leave(&mut self, at: FlightIx, waiting: (Seq, TaskId)) {
        let Some(flight) = self.flights.get_mut(at) else { return };
        flight.waiting.remove(&waiting);
        if flight.waiting.is_empty() {
            self.by_lead.remove(&flight.lead);
            self.flights.remove(at);
            self.landed.retain(|landed| *landed != at);
        }
    }

    /// A task has ended. If tasks wait for its result, they are to be answered; if it has none, the first of them is performed
    /// and the others wait for that one, which is returned.
    pub(super) fn ended(&mut self, lead: TaskId, succeeded: bool) -> Option<TaskId> {
        if self.by_lead.len() == 0 {
            return None;
        }
        let at = self.by_lead.remove(&lead)?;
        if succeeded {
            self.landed.push_back(at);
            return None;
        }
        let flight = self.flights.get_mut(at)?;
        let (_, next) = flight.waiting.pop_first()?;
        flight.lead = next;
        if flight.waiting.is_empty() {
            self.flights.remove(at);
        } else {
            self.by_lead.insert(next, at);
        }
        Some(next)
    }

    /// The next task that is to be answered.
    pub(super) fn next_answered(&self) -> Option<TaskId> {
        let flight = self.flights.get(*self.landed.front()?)?;
        flight.waiting.first().map(|(_, task)| *task)
    }

    pub(super) fn has_landed(&self) -> bool {
        !self.landed.is_empty()
    }

    /// Discards the next task that is to be answered. False if it is another one.
    pub(super) fn drop_answered(&mut self, task: TaskId) -> bool {
        let Some(at) = self.landed.front().copied().filter(|_| self.next_answered() == Some(task)) else {
            return false;
        };
        let first = self.flights.get(at).and_then(|flight| flight.waiting.first().copied());
        first.into_iter().for_each(|first| self.leave(at, first));
        true
    }
}

impl Tasks {
    /// A queued task, which was removed from its queue, waits for the result of an equal one.
    pub(crate) fn join(&mut self, at: TaskIx, lead: TaskId) -> Applied {
        let is_open = self.by_id(lead).is_some_and(|task| !task.has_ended() && task.flight().is_none());
        let task = self.at(at)?;
        if !is_open || task.id() == lead || self.flights.by_lead.get(&task.id()).is_some() {
            return Err(InconsistentEvent("a task waits for the result of one that is not performed"));
        }
        let flight = self.flights.join(lead, (task.seq, task.id()));
        self.at_mut(at)?.wait(Stage::Joined { flight });
        Ok(())
    }

    /// The task for whose result a task waits, if it does.
    pub(crate) fn joined_to(&self, task: &Task) -> Option<TaskId> {
        Some(self.flights.flights.get(task.flight()?)?.lead)
    }

    /// The end of a task for those that wait for its result.
    pub(super) fn land(&mut self, lead: TaskId, succeeded: bool) {
        let Some(next) = self.flights.ended(lead, succeeded) else { return };
        if let Some(task) = self.ix(next).and_then(|at| self.tasks.get_mut(at.0)) {
            task.wait(Stage::Blocked { on: 0 });
            self.follow_ups.insert((FollowUp::Ready, next));
        }
    }

    /// A task of a snapshot waits for the result of an equal one, which may have ended in the meantime.
    pub(crate) fn put_joined(&mut self, at: TaskIx, lead: TaskId) -> Applied {
        match self.by_id(lead).map(|task| task.end().map(|ended| &ended.outcome)) {
            Some(None) => self.join(at, lead),
            Some(Some(TaskOutcome::Succeeded(_))) => {
                let task = self.at(at)?;
                let waiting = (task.seq, task.id());
                let flight = match self.flights.landed.back().copied().filter(|at| self.is_led_by(*at, lead)) {
                    Some(flight) => flight,
                    None => {
                        let flight = self.flights.flights.insert(Flight { lead, waiting: BTreeSet::new() });
                        self.flights.landed.push_back(flight);
                        flight
                    }
                };
                if let Some(known) = self.flights.flights.get_mut(flight) {
                    known.waiting.insert(waiting);
                }
                self.at_mut(at)?.wait(Stage::Joined { flight });
                Ok(())
            }
            Some(Some(_)) | None => Err(InconsistentEvent("it waits for the result of a task that has none")),
        }
    }

    fn is_led_by(&self, at: FlightIx, lead: TaskId) -> bool {
        self.flights.flights.get(at).is_some_and(|flight| flight.lead == lead)
    }

    /// Whether every task that waits for a result is in its flight, and every flight has a lead.
    pub(super) fn check_flights(&self) -> Result<(), String> {
        let joined = self.iter().filter_map(|(_, task)| Some((task, task.flight()?)));
        let mut count = 0;
        for (task, at) in joined {
            count += 1;
            let flight = self.flights.flights.get(at);
            if !flight.is_some_and(|flight| flight.waiting.contains(&(task.seq, task.id()))) {
                return Err(format!("{} is not in its flight", task.id()));
            }
        }
        let mut listed = 0;
        for (at, flight) in self.flights.flights.iter() {
            listed += flight.waiting.len();
            let lead = self.by_id(flight.lead);
            let landed = self.flights.landed.contains(&at);
            let is_open =
                lead.is_some_and(|lead| !lead.has_ended()) && self.flights.by_lead.get(&flight.lead) == Some(&at);
            if flight.waiting.is_empty() || landed == is_open || lead.is_none() {
                return Err(format!("the flight of {} is empty or has no lead", flight.lead));
            }
        }
        if count != listed { Err(format!("{count} tasks wait in flights, {listed} are listed")) } else { Ok(()) }
    }
}
