//! Work that is done several times: maps and repeats.

use super::moves::Move;
use super::{PieceEnd, Run};
use crate::definition::{Action, Map, Repeat};
use crate::event::{MapEvent, NodeEvent, Opening};
use crate::limits::Limits;
use crate::payload::Payload;
use crate::run::{LimitReached, NodeOutcome};
use crate::task::Failure;
use serde_json::json;

/// A map of so many items may say what it likes.
const FEW: u32 = 1_024;

/// Of a list that is put together from parts, the most bytes that are looked at to find out how long it is.
const LOOKED_AT: u32 = 1 << 26;

impl Run {
    fn map(&self, node: u32) -> Option<&Map> {
        match &self.plan.node(node)?.0.action {
            Action::Map(map) => Some(map),
            Action::Do(_)
            | Action::Choose { .. }
            | Action::Repeat(_)
            | Action::Delegate(_)
            | Action::Wait { .. }
            | Action::Race { .. }
            | Action::States(_)
            | Action::Pass
            | Action::Stop
            | Action::Fail(_) => None,
        }
    }

    /// How many items a map that is under way has so far: those of its list, and those that were added.
    pub(super) fn items(&self, node: u32) -> Option<u32> {
        let state = self.state(node)?;
        let Some(Opening::Map { items, .. }) = state.opening() else { return None };
        let added = state.more.as_ref().map_or(0, |more| more.added.len());
        Some(items.saturating_add(u32::try_from(added).unwrap_or(u32::MAX)))
    }

    /// Whether a map has as many items as it says that it has: room is made for all of them when it ends, and the number
    /// stands in a journal or a snapshot that anybody may have changed. A few more are nobody's ruin.
    pub(super) fn check_size(&self, node: u32, opening: &Opening) -> Result<(), &'static str> {
        let Opening::Map { items, list } = opening else { return Ok(()) };
        if *items <= FEW {
            return Ok(());
        }
        let over = || Some(self.map(node)?.over.eval(&self.scope_of(Some(node), Payload::NULL, LOOKED_AT)));
        let length = |list: &Payload| list.value().as_array().map_or(0, Vec::len);
        let found = match list {
            Some(list) => length(list),
            None => match over() {
                Some(Ok(list)) => length(&list),
                // Each item has a byte, and another that parts it from the next.
                Some(Err(wide)) => wide.bytes as usize / 2,
                None => 0,
            },
        };
        if *items as usize <= found { Ok(()) } else { Err("a map goes over more items than its list has") }
    }

    /// The same, if it takes more.
    pub(crate) fn items_if_open(&self, node: u32) -> Option<u32> {
        let items = self.items(node)?;
        self.is_open(node).then_some(items)
    }

    fn is_open(&self, node: u32) -> bool {
        let more = self.state(node).and_then(|state| state.more.as_ref());
        self.map(node).is_some_and(|map| map.open) && !more.is_some_and(|more| more.closed || more.enough)
    }

    pub(super) fn items_added(&mut self, node: u32, items: &[Payload]) -> Result<(), &'static str> {
        self.agenda.insert(node);
        self.state_mut(node).ok_or("an unknown node gets items")?.more_mut().added.extend_from_slice(items);
        Ok(())
    }

    /// An item has succeeded, the last so far.
    pub(super) fn note_last(&mut self, node: u32, item: u32) {
        let asks = self.map(node).is_some_and(|map| map.enough.is_some());
        if let Some(state) = self.state_mut(node).filter(|state| asks && state.ended().is_none()) {
            state.more_mut().last = Some(item);
        }
    }

    /// Whether what is done is enough, by the condition, asked after each item that has succeeded.
    fn is_enough(&self, node: u32, items: u32, limits: &Limits) -> bool {
        let Some(enough) = self.map(node).and_then(|map| map.enough.as_ref()) else { return false };
        let Some(state) = self.state(node) else { return false };
        let Some(last) = state.more.as_ref().and_then(|more| more.last) else { return false };
        let last = state.pieces.get(last as usize).and_then(|piece| piece.end.as_ref());
        let last = last.map(PieceEnd::output).unwrap_or_default();
        let over = u32::try_from(state.pieces.len()).unwrap_or(u32::MAX).saturating_sub(state.active);
        let done = over.saturating_sub(state.failed);
        let item = json!({ "done": done, "failed": state.failed, "items": items, "last": last.value() });
        enough.when.holds(&self.scope(Some(node), Payload::new(item), limits))
    }

    fn has_enough(&self, node: u32) -> bool {
        self.state(node).and_then(|state| state.more.as_ref()).is_some_and(|more| more.enough)
    }

    /// A map: begins items while it may, ends when all are done, when it has enough, or when too many have failed.
    pub(super) fn go_over(&mut self, node: u32, limits: &Limits) -> Option<Move> {
        let items = self.items(node)?;
        let map = self.map(node)?;
        let enough = map.enough.as_ref();
        let (cancels, awaits_none) = enough.map_or((false, false), |enough| (enough.cancels, enough.begun));
        let (at_once, tolerated) = (map.at_once, map.tolerated(items));
        let state = self.state(node)?;
        let (active, failed) = (state.active, state.failed);
        if self.has_enough(node) {
            let cancel = if cancels { self.cancel_pieces(node) } else { None };
            return cancel.or_else(|| {
                let over = !cancels || self.state(node).is_some_and(|state| state.active == 0);
                over.then(|| self.end(node, NodeOutcome::Succeeded))
            });
        }
        if self.is_enough(node, items, limits) {
            return Some(Move::of(node, NodeEvent::Map(MapEvent::Enough)));
        }
        if failed > tolerated {
            return self.cancel_pieces(node).or_else(|| self.too_many_failed(node));
        }
        let begun = u32::try_from(self.state(node)?.pieces.len()).unwrap_or(u32::MAX);
        if begun < items {
            if at_once.is_some_and(|most| active >= most) {
                return None;
            }
            let item = self.item(node, begun, limits)?;
            let next = self.begin_with(node, begun, item, limits);
            // An item that is too large ends the map, but not before the others.
            return if active > 0 && matches!(next, Move::Node(..)) { self.cancel_pieces(node) } else { Some(next) };
        }
        let over = active == 0 || awaits_none;
        (over && !self.is_open(node)).then(|| self.end(node, NodeOutcome::Succeeded))
    }

    /// An item of a map: of its list, which is evaluated once, or of what was added.
    fn item(&mut self, node: u32, place: u32, limits: &Limits) -> Option<Payload> {
        let Some(Opening::Map { items, list }) = self.state(node)?.opening() else { return None };
        if let Some(added) = place.checked_sub(*items) {
            let more = self.state(node)?.more.as_ref();
            return more.and_then(|more| more.added.get(added as usize).cloned());
        }
        if let Some(list) = list {
            return Some(Payload::new(list.value().get(place as usize).cloned().unwrap_or_default()));
        }
        let list = match self.state(node)?.more.as_ref().and_then(|more| more.items.as_ref()) {
            Some(list) => list.clone(),
            None => self.list(node, &self.map(node)?.over, limits),
        };
        let item = list.value().get(place as usize).cloned().unwrap_or_default();
        self.state_mut(node)?.more_mut().items = Some(list);
        Some(Payload::new(item))
    }

    /// What a node did not wait for is withdrawn, if it is a map that cancels the rest.
    pub(super) fn drop_rest(&mut self, node: u32) -> Option<Move> {
        let cancels = self.map(node).and_then(|map| map.enough.as_ref()).is_some_and(|enough| enough.cancels);
        if cancels && self.state(node)?.active > 0 { self.cancel_pieces(node) } else { None }
    }

    /// A repeat: another round, or the end.
    pub(super) fn go_round(&self, node: u32, limits: &Limits) -> Option<Move> {
        let (definition, _) = self.plan.node(node)?;
        let Action::Repeat(Repeat { until, whilst, most, .. }) = &definition.action else { return None };
        let pieces = &self.state(node)?.pieces;
        let rounds = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let output = match pieces.last() {
            None => Payload::NULL,
            Some(last) => {
                let end = last.end.as_ref()?;
                if !end.succeeded() {
                    let failure = end.failure().cloned();
                    let failure = failure.unwrap_or_else(|| Failure::permanent("a round was cancelled"));
                    let maybe = self.state(node)?.is_doubtful();
                    return Some(self.end(node, NodeOutcome::Failed { failure, maybe, limit: None }));
                }
                end.output()
            }
        };
        let scope = self.scope(Some(node), output.clone(), limits);
        let over = rounds > 0 && until.holds(&scope) || whilst.as_ref().is_some_and(|whilst| !whilst.holds(&scope));
        if over {
            return Some(self.end(node, NodeOutcome::Succeeded));
        }
        if rounds >= *most {
            return Some(self.exhausted(node, LimitReached::Rounds { most: *most }, output));
        }
        Some(self.begin_with(node, rounds, output, limits))
    }

    pub(super) fn too_many_failed(&self, node: u32) -> Option<Move> {
        let state = self.state(node).filter(|state| state.active == 0)?;
        let mut ends = state.pieces.iter().filter_map(|piece| piece.end.as_ref());
        let first = ends.find(|end| !end.succeeded()).and_then(|end| end.failure().cloned());
        let failure = first.unwrap_or_else(|| Failure::permanent("an item was cancelled"));
        Some(self.end(node, NodeOutcome::Failed { failure, maybe: state.is_doubtful(), limit: None }))
    }
}
