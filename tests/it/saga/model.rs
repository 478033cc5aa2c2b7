//! What a journal may say about a saga: an independent reading of the rules, by search in the graph.

use counterpoint::Payload;
use counterpoint::dag::{Dag, NodeIx};
use counterpoint::definition::OnCompensationFailure;
use counterpoint::saga::{SagaFact, SagaOutcome, StepSpec};
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
    cancelled: bool,
    ended: bool,
}

fn ensure(holds: bool, why: impl Into<String>) -> Ruling {
    if holds { Ok(()) } else { Err(why.into()) }
}

impl<'a> Model<'a> {
    pub(super) fn check(graph: &'a Dag<StepSpec>, policy: OnCompensationFailure, facts: &[SagaFact]) -> Ruling {
        let places = vec![FRESH; graph.len()];
        let mut model = Self { graph, policy, places, back: None, cancelled: false, ended: false };
        for (place, fact) in facts.iter().enumerate() {
            model.fact(fact).map_err(|why| format!("fact {place}, {fact:?}: {why}"))?;
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
        spec.pivot && (at == At::Done || at == At::Unknown && !spec.undoable)
    }

    fn fact(&mut self, fact: &SagaFact) -> Ruling {
        ensure(!self.ended, "something happens after the end")?;
        match fact {
            SagaFact::Began { step } => self.begins(step.index()),
            SagaFact::Done { step, output } => {
                self.comes(step.index(), At::Done)?;
                self.places[step.index()].output = output.clone();
                Ok(())
            }
            SagaFact::Failed { step, maybe } => {
                let at = self.places[step.index()].at;
                let asked = !maybe || at == At::Asking || !self.spec(step.index()).query;
                ensure(asked, "it is given up although somebody could be asked")?;
                self.comes(step.index(), if *maybe { At::Unknown } else { At::Failed })
            }
            SagaFact::InDoubt { step } => {
                let place = &self.places[step.index()];
                ensure(place.at == At::Doing && self.spec(step.index()).query, "there is nothing to ask")?;
                self.places[step.index()].at = At::Doubt;
                Ok(())
            }
            SagaFact::Cancelled { anyway } => {
                ensure(*anyway || !(0..self.places.len()).any(|step| self.stands(step)), "a pivot has been passed")?;
                let back = self.back.as_ref().is_some_and(|back| back.to.is_empty());
                ensure(!self.cancelled && !back, "it turns back already")?;
                self.cancelled = true;
                Ok(())
            }
            SagaFact::Halted { to } => self.halts(to.iter().map(|step| step.index()).collect()),
            SagaFact::Unwinding { steps } => self.unwinds(&steps.iter().map(|step| step.index()).collect::<Vec<_>>()),
            SagaFact::Undone { step } => self.settles(step.index(), Undo::Active, At::Undone),
            SagaFact::UndoFailed { step } => self.turns(step.index(), Undo::Active, Undo::Failed),
            SagaFact::UndoRetried { step } => self.turns(step.index(), Undo::Failed, Undo::Owed),
            SagaFact::UndoSettled { step, abandoned } => {
                self.settles(step.index(), Undo::Failed, if *abandoned { At::Left } else { At::Undone })
            }
            SagaFact::Forward => self.forward(),
            SagaFact::Ended { outcome } => self.ends(outcome),
            other => Err(format!("an unknown fact {other:?}")),
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
                ensure(!self.goes_back(step), "it begins where the saga turns back")?;
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

    fn halts(&mut self, to: Vec<usize>) -> Ruling {
        let places = 0..self.places.len();
        let expected = match &self.back {
            Some(back) => {
                ensure(!back.to.is_empty() && back.undoing && self.is_settled(), "it turns back twice")?;
                ensure(!self.may_go_forward(), "it could go forward again")?;
                Vec::new()
            }
            None if self.cancelled => Vec::new(),
            None => {
                let mut broken =
                    places.clone().filter(|step| matches!(self.places[*step].at, At::Failed | At::Unknown));
                let broken = broken.next().ok_or("nothing has failed")?;
                let open = |point: &usize| {
                    let place = &self.places[*point];
                    place.at == At::Done
                        && place.used < self.spec(*point).again
                        && self.leads(*point, broken)
                        && !self.inside(&[*point]).into_iter().any(|step| self.stands(step))
                };
                let open: Vec<usize> = places.filter(open).collect();
                let last = |point: &usize| !open.iter().any(|other| self.leads(*point, *other));
                open.iter().copied().filter(last).collect()
            }
        };
        ensure(to == expected, format!("it turns to {expected:?}"))?;
        to.iter().for_each(|point| self.places[*point].used += 1);
        self.back = Some(Back { to, undoing: false });
        Ok(())
    }

    fn unwinds(&mut self, steps: &[usize]) -> Ruling {
        let back = self.back.as_ref().filter(|back| !back.undoing).ok_or("it goes forward")?;
        let inside = self.inside(&back.to);
        let busy = |step: &usize| matches!(self.places[*step].at, At::Doing | At::Doubt | At::Asking);
        ensure(!inside.iter().any(busy), "something is under way")?;
        let past = inside.iter().any(|step| self.stands(*step));
        let owed = |step: &usize| {
            !past && self.spec(*step).undoable && matches!(self.places[*step].at, At::Done | At::Unknown)
        };
        let expected: Vec<usize> = inside.into_iter().filter(owed).collect();
        ensure(steps == expected, format!("to be undone are {expected:?}"))?;
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
        !self.cancelled && !self.inside(&back.to).into_iter().any(left)
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
            self.places[*step].at == At::Left || happened && (spec.pivot || spec.undoable)
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
