//! The events that a saga may record: an independent implementation of the rules, by search in the graph.

use counterpoint::Payload;
use counterpoint::dag::{Dag, NodeIx};
use counterpoint::definition::OnCompensationFailure;
use counterpoint::saga::{CompensationEnd, SagaEvent, SagaOutcome, StepSpec};
use std::collections::BTreeSet;

type Ruling = Result<(), String>;

#[derive(Clone, Copy, PartialEq, Debug)]
enum At {
    Nowhere,
    Doing,
    Doubt,
    Asking,
    Done,
    Failed,
    Unknown,
    Undone,
    Left,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Undo {
    No,
    Owed,
    Active,
    Failed,
    Settled,
}

#[derive(Clone)]
struct Place {
    at: At,
    undo: Undo,
    used: u32,
    output: Payload,
    /// Its compensation has failed once on this way back: where all others go on, it holds back nothing since.
    failed: bool,
}

const FRESH: Place = Place { at: At::Nowhere, undo: Undo::No, used: 0, output: Payload::NULL, failed: false };

struct Back {
    to: Vec<usize>,
    undoing: bool,
}

pub(super) struct Model<'a> {
    graph: &'a Dag<StepSpec>,
    policy: OnCompensationFailure,
    places: Vec<Place>,
    back: Option<Back>,
    failing: bool,
    ended: bool,
}

fn ensure(holds: bool, why: impl Into<String>) -> Ruling {
    if holds { Ok(()) } else { Err(why.into()) }
}

impl<'a> Model<'a> {
    /// Checks events. `cancelled` is the index of the event by which the saga was cancelled, and whether it was even after a
    /// pivot.
    pub(super) fn check(
        graph: &'a Dag<StepSpec>,
        policy: OnCompensationFailure,
        events: &[SagaEvent],
        cancelled: Option<(usize, bool)>,
    ) -> Ruling {
        let places = vec![FRESH; graph.len()];
        let mut model = Self { graph, policy, places, back: None, failing: false, ended: false };
        for (place, event) in events.iter().enumerate() {
            let cancel = cancelled.and_then(|(at, anyway)| (at == place).then_some(anyway));
            model.event(event, cancel).map_err(|why| format!("event {place}, {event:?}: {why}"))?;
        }
        ensure(model.ended, "it did not end")
    }

    fn spec(&self, step: usize) -> StepSpec {
        *self.graph.get(NodeIx::new(step as u32)).unwrap()
    }

    fn leads(&self, from: usize, to: usize) -> bool {
        self.graph.topology().reaches(NodeIx::new(from as u32), NodeIx::new(to as u32))
    }

    /// What goes back when the saga turns to these points.
    fn inside(&self, to: &[usize]) -> BTreeSet<usize> {
        let inside = |step: &usize| to.is_empty() || to.iter().any(|point| self.leads(*point, *step));
        (0..self.places.len()).filter(inside).collect()
    }

    fn goes_back(&self, step: usize) -> bool {
        self.back.as_ref().is_some_and(|back| self.inside(&back.to).contains(&step))
    }

    fn stands(&self, step: usize) -> bool {
        let (spec, at) = (self.spec(step), self.places[step].at);
        spec.pivot && (at == At::Done || at == At::Unknown && !spec.compensable)
    }

    fn event(&mut self, event: &SagaEvent, cancel: Option<bool>) -> Ruling {
        ensure(!self.ended, "something happens after the end")?;
        match event {
            SagaEvent::Began { step } => self.begins(step.index()),
            SagaEvent::Completed { step, output } => {
                self.comes(step.index(), At::Done)?;
                self.places[step.index()].output = output.clone();
                Ok(())
            }
            SagaEvent::Failed { step, outcome_unknown: maybe } => {
                let at = self.places[step.index()].at;
                let asked = !maybe || at == At::Asking || !self.spec(step.index()).query;
                ensure(asked, "it is given up although somebody could be asked")?;
                self.comes(step.index(), if *maybe { At::Unknown } else { At::Failed })
            }
            SagaEvent::OutcomeUnknown { step } => {
                let place = &self.places[step.index()];
                ensure(place.at == At::Doing && self.spec(step.index()).query, "there is nothing to ask")?;
                self.places[step.index()].at = At::Doubt;
                Ok(())
            }
            SagaEvent::Failing => self.fails(cancel),
            SagaEvent::RolledBack { to } => self.rolls_back(to.iter().map(|step| step.index()).collect()),
            SagaEvent::Compensating { steps } => {
                self.compensates(&steps.iter().map(|step| step.index()).collect::<Vec<_>>())
            }
            SagaEvent::Compensated { step, end } => match end {
                CompensationEnd::Compensated => self.settles(step.index(), Undo::Active, At::Undone),
                CompensationEnd::Failed => self.turns(step.index(), Undo::Active, Undo::Failed),
                CompensationEnd::Declared => self.settles(step.index(), Undo::Failed, At::Undone),
                CompensationEnd::Abandoned => self.settles(step.index(), Undo::Failed, At::Left),
                other => Err(format!("an unknown end {other:?}")),
            },
            SagaEvent::CompensationRetried { step } => self.turns(step.index(), Undo::Failed, Undo::Owed),
            SagaEvent::Restarted => self.forward(),
            SagaEvent::Ended { outcome } => self.ends(outcome),
            other => Err(format!("an unknown event {other:?}")),
        }
    }

    fn begins(&mut self, step: usize) -> Ruling {
        match self.places[step].at {
            At::Doubt => self.places[step].at = At::Asking,
            At::Nowhere => {
                let graph = self.graph.topology();
                let before = graph.predecessors(NodeIx::new(step as u32));
                let ready = before.iter().all(|before| self.places[before.index()].at == At::Done);
                ensure(ready, "something that comes before it is not done")?;
                ensure(!self.failing && !self.goes_back(step), "it begins where the saga rolls back")?;
                self.places[step].at = At::Doing;
            }
            _ => {
                ensure(self.places[step].undo == Undo::Owed, "it begins and is not ready")?;
                let free = |place: &Place| {
                    matches!(place.undo, Undo::No | Undo::Settled)
                        || self.policy == OnCompensationFailure::Continue && place.failed
                };
                let mut later = (0..self.places.len()).filter(|later| self.leads(step, *later));
                ensure(later.all(|later| free(&self.places[later])), "one that came after it is not undone")?;
                let halted = self.policy == OnCompensationFailure::Stop
                    && self.places.iter().any(|place| place.undo == Undo::Failed);
                ensure(!halted, "nothing is to be begun")?;
                self.places[step].undo = Undo::Active;
            }
        }
        Ok(())
    }

    fn comes(&mut self, step: usize, at: At) -> Ruling {
        let place = &mut self.places[step];
        ensure(matches!(place.at, At::Doing | At::Asking), "it was not under way")?;
        place.at = at;
        Ok(())
    }

    /// The whole saga fails: it was cancelled, a step failed without a save-point before it, or a partial rollback left
    /// something.
    fn fails(&mut self, cancel: Option<bool>) -> Ruling {
        ensure(!self.failing, "it fails twice")?;
        match (cancel, &self.back) {
            (Some(anyway), _) => {
                let past = (0..self.places.len()).any(|step| self.stands(step));
                ensure(anyway || !past, "a pivot has been passed")?;
            }
            (None, Some(back)) => {
                ensure(back.undoing && self.is_settled() && !self.may_go_forward(), "it could go forward again")?;
            }
            (None, None) => {
                let broken = self.broken().ok_or("nothing has failed")?;
                ensure(self.points(broken).is_empty(), "there is a save-point")?;
            }
        }
        self.failing = true;
        // A partial rollback that compensates completes that first.
        if self.back.as_ref().is_none_or(|back| !back.undoing) {
            self.back = Some(Back { to: Vec::new(), undoing: false });
        }
        Ok(())
    }

    fn rolls_back(&mut self, to: Vec<usize>) -> Ruling {
        ensure(self.back.is_none() && !self.failing, "it rolls back twice")?;
        let expected = self.points(self.broken().ok_or("nothing has failed")?);
        ensure(to == expected && !to.is_empty(), format!("it rolls back to {expected:?}"))?;
        to.iter().for_each(|point| self.places[*point].used += 1);
        self.back = Some(Back { to, undoing: false });
        Ok(())
    }

    fn broken(&self) -> Option<usize> {
        (0..self.places.len()).find(|step| matches!(self.places[*step].at, At::Failed | At::Unknown))
    }

    /// The save-points to which the failure of a step leads.
    fn points(&self, broken: usize) -> Vec<usize> {
        let open = |point: &usize| {
            let place = &self.places[*point];
            place.at == At::Done
                && place.used < self.spec(*point).max_rollbacks
                && self.leads(*point, broken)
                && !self.inside(&[*point]).into_iter().any(|step| self.stands(step))
        };
        let open: Vec<usize> = (0..self.places.len()).filter(open).collect();
        let last = |point: &usize| !open.iter().any(|other| self.leads(*point, *other));
        open.iter().copied().filter(last).collect()
    }

    fn compensates(&mut self, steps: &[usize]) -> Ruling {
        if self.failing && self.back.as_ref().is_some_and(|back| back.undoing && !back.to.is_empty()) {
            ensure(self.is_settled(), "the compensation after a save-point is not settled")?;
            self.back = Some(Back { to: Vec::new(), undoing: false });
        }
        let back = self.back.as_ref().filter(|back| !back.undoing).ok_or("it goes forward")?;
        let inside = self.inside(&back.to);
        let busy = |step: &usize| matches!(self.places[*step].at, At::Doing | At::Doubt | At::Asking);
        ensure(!inside.iter().any(busy), "something is under way")?;
        let past = inside.iter().any(|step| self.stands(*step));
        let owed = |step: &usize| {
            !past && self.spec(*step).compensable && matches!(self.places[*step].at, At::Done | At::Unknown)
        };
        let expected: Vec<usize> = inside.into_iter().filter(owed).collect();
        ensure(steps == expected, format!("to be compensated are {expected:?}"))?;
        self.places.iter_mut().for_each(|place| (place.undo, place.failed) = (Undo::No, false));
        steps.iter().for_each(|step| self.places[*step].undo = Undo::Owed);
        self.back = self.back.take().map(|back| Back { undoing: true, ..back });
        Ok(())
    }

    fn turns(&mut self, step: usize, from: Undo, to: Undo) -> Ruling {
        let place = &mut self.places[step];
        ensure(place.undo == from, format!("its compensation is {:?}", place.undo))?;
        place.undo = to;
        place.failed |= to == Undo::Failed;
        Ok(())
    }

    fn settles(&mut self, step: usize, from: Undo, at: At) -> Ruling {
        self.turns(step, from, Undo::Settled)?;
        self.places[step].at = at;
        Ok(())
    }

    fn is_settled(&self) -> bool {
        self.places.iter().all(|place| matches!(place.undo, Undo::No | Undo::Settled))
    }

    fn may_go_forward(&self) -> bool {
        let Some(back) = self.back.as_ref().filter(|back| !back.to.is_empty()) else { return false };
        let left = |step: usize| self.places[step].at == At::Left || self.stands(step);
        !self.failing && !self.inside(&back.to).into_iter().any(left)
    }

    fn forward(&mut self) -> Ruling {
        ensure(self.is_settled() && self.may_go_forward(), "it may not go forward")?;
        let back = self.back.take().filter(|back| back.undoing).ok_or("it goes forward already")?;
        for step in self.inside(&back.to) {
            self.places[step] = FRESH;
        }
        Ok(())
    }

    fn ends(&mut self, outcome: &SagaOutcome) -> Ruling {
        self.ended = true;
        if *outcome == SagaOutcome::Completed {
            return ensure(self.places.iter().all(|place| place.at == At::Done), "something is not done");
        }
        let back = self.back.as_ref().ok_or("it goes forward")?;
        ensure(back.to.is_empty() && back.undoing && self.is_settled(), "it is not at its end")?;
        let stays = |step: &usize| {
            let spec = self.spec(*step);
            let happened = matches!(self.places[*step].at, At::Done | At::Unknown);
            self.places[*step].at == At::Left || happened && (spec.pivot || spec.compensable)
        };
        let residue: Vec<usize> = (0..self.places.len()).filter(stays).collect();
        match outcome {
            SagaOutcome::Compensated => {
                let any = self.places.iter().any(|place| place.at == At::Undone);
                ensure(residue.is_empty() && any, format!("{residue:?} is left"))
            }
            SagaOutcome::Failed { residue: told } => {
                let told: Vec<usize> = told.iter().map(|step| step.index()).collect();
                ensure(told == residue, format!("{residue:?} is left"))?;
                let any = self.places.iter().any(|place| place.at == At::Undone);
                ensure(!(residue.is_empty() && any), "it is compensated")
            }
            other => Err(format!("an unknown outcome {other:?}")),
        }
    }
}
