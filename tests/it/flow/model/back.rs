//! Save-points and doubt, as the model reads the rules.

use super::Ruling;
use super::flow::{Flow, Kind, Place, Stand, Undo};
use counterpoint::Name;
use counterpoint::definition::{Action, Body, Map, OnCompensationFailure, Repeat};
use counterpoint::message::{Cause, CompensationOutcome};
use counterpoint::task::{Owner, SideEffects};
use serde_json::{Value, json};

/// A way back to save-points, or to where an operator wants it.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) to: Vec<usize>,
    /// What an operator wants done anew, and whether undone first.
    pub(super) anew: Option<(Vec<usize>, bool)>,
    pub(super) undoing: bool,
    /// The node that has others undone while the run goes forward, and these.
    pub(super) thrown: Option<(usize, Vec<usize>)>,
}

impl Flow {
    /// Whether a node comes after another: by links, or by a milestone.
    fn comes_after(&self, at: usize, before: usize) -> bool {
        let node = self.node(at);
        let milestone = node.milestone.as_ref().map(|milestone| &milestone.after);
        let mut sources = node.after.iter().map(|link| &link.node).chain(milestone);
        sources.any(|source| {
            let source = self.place_of(source).expect("the definition is sound");
            source == before || self.comes_after(source, before)
        })
    }

    fn after(&self, points: &[usize]) -> Vec<usize> {
        (0..self.places.len()).filter(|at| points.iter().any(|point| self.comes_after(*at, *point))).collect()
    }

    pub(super) fn goes_back(&self, at: usize) -> bool {
        self.back.as_ref().is_some_and(|back| match &back.anew {
            _ if back.thrown.is_some() => back.thrown.iter().any(|(_, nodes)| nodes.contains(&at)),
            Some((nodes, _)) => nodes.contains(&at),
            None => back.to.iter().any(|point| self.comes_after(at, *point)),
        })
    }

    /// All that goes back on a way.
    fn inside(&self, back: &Back) -> Vec<usize> {
        if let Some((_, nodes)) = &back.thrown {
            return nodes.clone();
        }
        back.anew.as_ref().map_or_else(|| self.after(&back.to), |(nodes, _)| nodes.clone())
    }

    /// An operator sets the run back.
    pub(super) fn resets(&mut self, nodes: Vec<usize>, undo: bool) -> Ruling {
        let over = self.stand == Stand::Finished && !self.succeeded && self.owner.is_none();
        ensure!(self.stand == Stand::Running || over, "a run is set back that is done or turns back");
        ensure!(self.back.is_none(), "a run is set back that goes back");
        ensure!(nodes.is_sorted(), "the nodes are in no order");
        for at in 0..self.places.len() {
            let (node, place, inside) = (self.node(at), &self.places[at], nodes.contains(&at));
            let follows = nodes.iter().any(|from| self.comes_after(at, *from));
            ensure!(inside || !follows, "{at} comes after what is done anew, and is not");
            if inside {
                let committed = |piece: &super::flow::Piece| piece.end.is_none() && (node.pivot || piece.committed);
                ensure!(!self.stands(at), "it is set back past the pivot {at}");
                ensure!(!place.pieces.iter().any(committed), "it is set back past the pivot {at}, which is under way");
                let alone = node.after.iter().all(|link| nodes.contains(&self.source(link)));
                ensure!(alone || !super::flow::repeats(node), "what came to {at} does not come again");
                continue;
            }
            let wanted = place.interrupted.is_some() || place.remedy.is_some() || self.is_spare(at);
            ensure!(place.undone.is_none() && !self.is_broken(at), "{at} stays, which is undone or has failed");
            let halted = over && place.end == Some(Kind::Cancelled) && !wanted;
            ensure!(!halted, "{at} stays, which was withdrawn because the run turned back");
            ensure!(place.end.is_some() || !self.is_spare(at), "{at} stays, which is being withdrawn");
        }
        let begun = |at: &usize| {
            let place = &self.places[*at];
            place.begun() || place.end.is_some() || place.remedy.is_some() || place.held
        };
        ensure!(nodes.iter().any(begun), "nothing is to be done anew");
        (self.stand, self.cause, self.to_undo) = (Stand::Running, None, Vec::new());
        self.back = Some(Back { to: Vec::new(), anew: Some((nodes, undo)), undoing: false, thrown: None });
        Ok(())
    }

    pub(super) fn stands(&self, at: usize) -> bool {
        let (node, place) = (self.node(at), &self.places[at]);
        let effect = place.pieces.iter().any(|piece| piece.side_effects != SideEffects::None);
        let undoable = match &node.action {
            Action::States(states) => states.states.iter().any(|state| state.undo.is_some()),
            _ => node.undo.is_some(),
        };
        let within = place.pieces.iter().any(|piece| piece.committed && piece.side_effects != SideEffects::None);
        within || node.pivot && (place.end == Some(Kind::Succeeded) || effect && !undoable)
    }

    /// The last save-points before a node.
    fn points(&self, broken: usize) -> Vec<usize> {
        let open = |point: &usize| {
            let Some(save) = &self.node(*point).save else { return false };
            let most = save.retries + u32::from(save.alternative.is_some());
            let place = &self.places[*point];
            place.end == Some(Kind::Succeeded)
                && place.used < most
                && self.comes_after(broken, *point)
                && !self.after(&[*point]).into_iter().any(|at| self.stands(at))
        };
        let open: Vec<usize> = (0..self.places.len()).filter(open).collect();
        open.iter().copied().filter(|point| !open.iter().any(|other| self.comes_after(*other, *point))).collect()
    }

    pub(super) fn turns_back(&mut self, to: Vec<usize>, cause: &Cause) -> Ruling {
        ensure!(self.stand == Stand::Running && self.back.is_none(), "it goes back and does not go forward");
        let (Cause::Node { node, .. } | Cause::Limit { node: Some(node), .. }) = cause else {
            return Err("it goes back without a failure".to_owned());
        };
        let broken = self.place_of(node).ok_or("an unknown node")?;
        ensure!(self.is_broken(broken), "it goes back for a failure that is taken care of");
        ensure!(!self.waits_late(broken), "it goes back for a failure that waits for a word");
        ensure!(self.has_finished(), "it goes back before what goes on without the failure has ended");
        let expected = self.points(broken);
        ensure!(to == expected && !to.is_empty(), "it should go back to {expected:?}");
        to.iter().for_each(|point| self.places[*point].used += 1);
        self.back = Some(Back { to, anew: None, undoing: false, thrown: None });
        Ok(())
    }

    /// Whether the run as a whole may turn back for this failure.
    pub(super) fn may_halt(&self, broken: usize) -> Ruling {
        match &self.back {
            None => ensure!(self.points(broken).is_empty(), "it could go back to {:?}", self.points(broken)),
            Some(back) => {
                ensure!(back.undoing && self.is_settled(), "it halts before it is back at its save-points");
                ensure!(self.leaves_something(back), "it could go forward again");
            }
        }
        Ok(())
    }

    fn leaves_something(&self, back: &Back) -> bool {
        let abandoned = |at: usize| matches!(self.places[at].undone, Some(CompensationOutcome::Abandoned { .. }));
        let left = |at: usize| self.stands(at) || back.anew.is_none() && abandoned(at);
        self.inside(back).into_iter().any(left)
    }

    /// A node has others undone while the run goes forward.
    pub(super) fn throws(&mut self, at: usize, nodes: Vec<usize>) -> Ruling {
        ensure!(self.back.is_none(), "a node has others undone while the run goes back");
        let Action::Compensate { of } = &self.node(at).action else { return Err("it undoes nothing".to_owned()) };
        let meant = |other: &usize| of.is_empty() || of.contains(&self.node(*other).name);
        let over = |other: &usize| {
            let place = &self.places[*other];
            place.end.is_some() && place.active() == 0 && !self.stands(*other) && self.is_undone_by(*other)
        };
        let expected: Vec<usize> = (0..self.places.len()).filter(|other| meant(other) && over(other)).collect();
        let expected = if self.pivot_passed { Vec::new() } else { expected };
        ensure!(nodes == expected, "to be undone on the way are {expected:?}");
        self.back = Some(Back { to: Vec::new(), anew: None, undoing: false, thrown: Some((at, nodes)) });
        Ok(())
    }

    /// Whether nodes are undone for this one, and whether that is over.
    pub(super) fn undoes_for(&self, at: usize) -> Option<bool> {
        let back = self.back.as_ref().filter(|back| back.thrown.as_ref().is_some_and(|(by, _)| *by == at))?;
        Some(back.undoing && self.is_settled())
    }

    /// The nodes that were undone for this one, and whether one of them was abandoned.
    pub(super) fn undone_for(&self, at: usize) -> Option<(Vec<Name>, bool)> {
        let (by, nodes) = self.back.as_ref()?.thrown.as_ref()?;
        let abandoned = |at: &usize| matches!(self.places[*at].undone, Some(CompensationOutcome::Abandoned { .. }));
        let names = nodes.iter().map(|at| self.node(*at).name.clone()).collect();
        (*by == at).then(|| (names, nodes.iter().any(abandoned)))
    }

    pub(super) fn is_settled(&self) -> bool {
        let settled = |at: &usize| matches!(&self.places[*at].undone, Some(undone) if !matches!(undone, CompensationOutcome::Failed { .. }));
        self.to_undo.iter().all(settled)
    }

    pub(super) fn unwinds_after(&mut self, nodes: Vec<usize>) -> Ruling {
        let back = self.back.as_ref().filter(|back| !back.undoing).ok_or("it turns back without having halted")?;
        let inside = self.inside(back);
        let left = back.anew.as_ref().is_some_and(|(_, undo)| !undo);
        let busy =
            |at: &usize| self.places[*at].active() > 0 || self.places[*at].begun() && self.places[*at].end.is_none();
        ensure!(!inside.iter().any(busy), "it turns back while something is under way");
        let past = left || inside.iter().any(|at| self.stands(*at));
        let expected: Vec<usize> = inside.into_iter().filter(|at| !past && self.is_undone_by(*at)).collect();
        ensure!(nodes == expected, "to be undone are {expected:?}");
        self.to_undo = nodes;
        self.back.as_mut().expect("it goes back").undoing = true;
        Ok(())
    }

    pub(super) fn goes_forward(&mut self, nodes: &[usize]) -> Ruling {
        let back = self.back.take().filter(|back| back.undoing).ok_or("it goes forward already")?;
        ensure!(self.stand == Stand::Running && self.is_settled(), "it goes forward before all is undone");
        ensure!(!self.leaves_something(&back), "it goes forward although something is left");
        ensure!(nodes == self.inside(&back), "anew are {:?}", self.inside(&back));
        let stays: Vec<usize> = nodes.iter().copied().filter(|at| self.stays(*at)).collect();
        for at in stays {
            let name = self.node(at).name.clone();
            if !self.left.contains(&name) {
                self.left.push(name);
            }
        }
        self.reduced.retain(|(reader, _), _| reader.is_some_and(|reader| !nodes.contains(&reader)));
        for at in back.to {
            let again = self.node(at).save.as_ref().expect("it is a save-point").retries;
            self.places[at].instead = self.places[at].used > again;
        }
        self.to_undo.clear();
        for &at in nodes {
            let place = core::mem::take(&mut self.places[at]);
            self.places[at] = Place { added: place.added, closed: place.closed, ..Place::default() };
            self.arrivals.remove(&at);
        }
        Ok(())
    }

    /// Whether a compensation may begin although one has failed.
    pub(super) fn is_held_by_failure(&self, at: usize) -> bool {
        let failed = |at: &usize| matches!(self.places[*at].undone, Some(CompensationOutcome::Failed { .. }));
        let begun = self.places[at].pieces.iter().any(|piece| piece.undo != Undo::Idle);
        self.definition.on_compensation_failure == OnCompensationFailure::Stop
            && !begun
            && self.to_undo.iter().any(failed)
    }

    /// Somebody is asked about a piece.
    pub(super) fn asks(&mut self, owner: Owner, payload: &Value) -> Ruling {
        let forward = matches!(self.stand, Stand::Running | Stand::Halting);
        let piece = &mut self.places[owner.node.index()].pieces[owner.item as usize];
        let doubt = piece.doubt.as_mut().filter(|doubt| !doubt.asked && forward);
        ensure!(*payload == json!({ "input": piece.input }), "a query is given {payload}");
        doubt.ok_or("somebody is asked about what is not in doubt")?.asked = true;
        Ok(())
    }

    /// Whether a piece that ended so is in doubt.
    pub(super) fn is_doubted(&self, at: usize, side_effects: &SideEffects) -> bool {
        let node = self.node(at);
        let task = matches!(
            &node.action,
            Action::Do(Body::Task(_))
                | Action::Map(Map { body: Body::Task(_), .. })
                | Action::Repeat(Repeat { body: Body::Task(_), .. })
        );
        task && node.query.is_some() && *side_effects == SideEffects::Possible
    }
}

/// What an answer makes of a piece in doubt.
pub(super) fn resolved(answer: &SideEffects, cancelled: bool) -> (bool, SideEffects) {
    let SideEffects::Done(answer) = answer else { return (false, SideEffects::Possible) };
    match &answer.value()["happened"] {
        Value::Bool(true) => {
            (!cancelled, SideEffects::Done(counterpoint::Payload::new(answer.value()["output"].clone())))
        }
        Value::Bool(false) => (false, SideEffects::None),
        _ => (false, SideEffects::Possible),
    }
}
