//! A node that performs its body for each item of a list, with one instance for each item.

use super::instance::is_default;
use super::step::{Decided, Ending, Step, Surroundings, begin, cancel_then, first_failure};
use super::{Applied, Illegal, Instance, InstanceEnd, Instances};
use crate::base::payload::Payload;
use crate::base::structure::OrAnomaly;
use crate::definition::{Map, MapBounds, NoValue};
use crate::message::event::{MapEvent, NodeEvent, Opening};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The state of a map. Items that hosts added are kept when the map is executed again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct MapWork(Option<Box<State>>);

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct State {
    /// The list, while the map is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<List>,
    /// Items that hosts added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    added: Vec<Payload>,
    #[serde(default, skip_serializing_if = "is_default")]
    intake: Intake,
    #[serde(default, skip_serializing_if = "is_default")]
    progress: Progress,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct List {
    /// The number of items.
    items: u32,
    /// The list, if its expression could change while the map is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded: Option<Payload>,
    /// The bounds that come from data.
    #[serde(default, skip_serializing_if = "is_default")]
    bounds: MapBounds,
    /// The list otherwise: evaluated when the first item is begun, and again after a restore.
    #[serde(skip)]
    evaluated: Option<Payload>,
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        (self.items, &self.recorded, self.bounds) == (other.items, &other.recorded, other.bounds)
    }
}

/// Whether a host may add items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Intake {
    #[default]
    Open,
    Closed,
}

/// How many of its items a map waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Progress {
    /// All items.
    #[default]
    All,
    /// The completion condition is evaluated after each success; this item succeeded last.
    Since { item: u32 },
    /// No further items.
    Completion,
}

/// Reading.
impl MapWork {
    fn list(&self) -> Option<&List> {
        self.0.as_ref()?.list.as_ref()
    }

    /// The number of items so far while the map is under way: those of its list and those that were added.
    pub(crate) fn items(&self) -> Option<u32> {
        let state = self.0.as_ref()?;
        let added = u32::try_from(state.added.len()).unwrap_or(u32::MAX);
        Some(state.list.as_ref()?.items.saturating_add(added))
    }

    /// The number of items if the map accepts more.
    pub(crate) fn items_if_open(&self, map: &Map) -> Option<u32> {
        let state = self.0.as_ref()?;
        let takes = map.open && state.intake == Intake::Open && state.progress != Progress::Completion;
        self.items().filter(|_| takes)
    }

    /// The recorded opening of a map that is under way.
    pub(crate) fn opening(&self) -> Option<(u32, Option<&Payload>)> {
        self.list().map(|list| (list.items, list.recorded.as_ref()))
    }

    /// The opening of the next attempt of a map that is under way, with the list and the bounds of the one before.
    pub(crate) fn again(&self) -> Option<Opening> {
        let List { items, recorded, bounds, .. } = self.list()?;
        let bounds = (*bounds != MapBounds::default()).then_some(*bounds);
        Some(Opening::Map { items: *items, list: recorded.clone(), bounds })
    }

    fn progress(&self) -> Progress {
        self.0.as_ref().map(|state| state.progress).unwrap_or_default()
    }

    /// An item; none while the list is not evaluated.
    fn item(&self, index: u32) -> Option<Payload> {
        let state = self.0.as_ref()?;
        let list = state.list.as_ref()?;
        if let Some(added) = index.checked_sub(list.items) {
            return Some(state.added.get(added as usize).cloned().unwrap_or_default());
        }
        let all = list.recorded.as_ref().or(list.evaluated.as_ref())?;
        Some(Payload::new(all.value().get(index as usize).cloned().unwrap_or_default()))
    }

    /// Begins items within the bound; ends when all items have ended, when the completion condition holds, or when too
    /// many have failed.
    pub(crate) fn next(&self, map: &Map, instances: &Instances, around: &dyn Surroundings) -> Decided {
        let items = self.items().or_anomaly("a map is under way without a list")?;
        let (cancels, only_begun) =
            map.completion.as_ref().map_or((false, false), |enough| (enough.cancel_rest, enough.on_start));
        if self.progress() == Progress::Completion {
            return Ok(if cancels {
                cancel_then(instances, || Ending::Succeeded)
            } else {
                Step::End(Ending::Succeeded)
            });
        }
        if self.is_enough(map, items, instances, around) {
            return Ok(Step::Record(NodeEvent::Map(MapEvent::Completion)));
        }
        let bounds = self.list().map(|list| list.bounds).unwrap_or_default();
        if instances.failed() > bounds.tolerated(map, items) {
            return Ok(cancel_then(instances, || first_failure(instances, "an item was cancelled")));
        }
        let active = instances.active();
        if instances.len() < items {
            if bounds.max_concurrent(map).is_some_and(|most| active >= most) {
                return Ok(Step::Idle);
            }
            return Ok(match self.item(instances.len()) {
                Some(item) => begin(around.input_or_item(item), instances),
                None => Step::Evaluate,
            });
        }
        let is_over = (active == 0 || only_begun) && self.items_if_open(map).is_none();
        Ok(if is_over { Step::End(Ending::Succeeded) } else { Step::Idle })
    }

    /// Whether the completion condition of the map holds.
    fn is_enough(&self, map: &Map, items: u32, instances: &Instances, around: &dyn Surroundings) -> bool {
        let (Some(enough), Progress::Since { item: last }) = (&map.completion, self.progress()) else { return false };
        let last = instances.get(last).and_then(Instance::end);
        let last = last.map(InstanceEnd::output).unwrap_or_default();
        let (done, failed) = (instances.succeeded(), instances.failed());
        around.meter().spend_copy(last.bytes());
        let item = json!({ "done": done, "failed": failed, "items": items, "last": last.value() });
        around.holds(&enough.when, Payload::new(item))
    }

    /// The next step after the end of the map: cancels the remaining items, if the completion requires it.
    pub(crate) fn rest(map: &Map, instances: &Instances) -> Step {
        let cancels = map.completion.as_ref().is_some_and(|enough| enough.cancel_rest);
        match instances.next_to_cancel().filter(|_| cancels) {
            Some(worker) => Step::Cancel(worker),
            None => Step::Idle,
        }
    }

    /// Whether the list has as many items as recorded. Memory for the results is allocated when the map ends, and the
    /// recorded number comes from a journal or snapshot that may be forged. Small numbers are not checked.
    pub(crate) fn check_size(
        items: u32,
        recorded: Option<&Payload>,
        over: impl FnOnce() -> Result<Payload, NoValue>,
    ) -> Result<(), &'static str> {
        /// Numbers of items up to this one are not checked.
        const FEW: u32 = 1_024;
        if items <= FEW {
            return Ok(());
        }
        let length = |list: &Payload| list.value().as_array().map_or(0, Vec::len);
        let found = match recorded {
            Some(list) => length(list),
            None => match over() {
                Ok(list) => length(&list),
                // An item takes at least one byte, and a comma another.
                Err(NoValue::TooWide { bytes }) => bytes as usize / 2,
                Err(NoValue::Missing { .. } | NoValue::Invalid { .. }) => 0,
            },
        };
        if items as usize <= found { Ok(()) } else { Err("its list has fewer items than it claims") }
    }
}

/// Transitions.
impl MapWork {
    fn state_mut(&mut self) -> &mut State {
        self.0.get_or_insert_default()
    }

    pub(super) fn open(&mut self, items: u32, recorded: Option<&Payload>, bounds: Option<MapBounds>) {
        let bounds = bounds.unwrap_or_default();
        self.state_mut().list = Some(List { items, recorded: recorded.cloned(), bounds, evaluated: None });
    }

    /// Stores the evaluated list.
    pub(crate) fn set_list(&mut self, evaluated: Payload) {
        if let Some(list) = self.0.as_mut().and_then(|state| state.list.as_mut()) {
            list.evaluated = Some(evaluated);
        }
    }

    /// Drops the evaluated list, because the run has migrated.
    pub(super) fn forget_list(&mut self) {
        if let Some(list) = self.0.as_mut().and_then(|state| state.list.as_mut()) {
            list.evaluated = None;
        }
    }

    /// Applies a change of its items.
    pub(super) fn apply(&mut self, event: &MapEvent) -> Applied {
        if self.list().is_none() {
            return Err(Illegal::new("the items of a map change", "it is not under way"));
        }
        let state = self.state_mut();
        match event {
            MapEvent::ItemsAdded { items } => state.added.extend_from_slice(items),
            MapEvent::Closed => state.intake = Intake::Closed,
            MapEvent::Completion => state.progress = Progress::Completion,
        }
        Ok(())
    }

    /// Records the success of an item.
    pub(super) fn succeeded(&mut self, map: &Map, item: u32) {
        if map.completion.is_some() && self.progress() != Progress::Completion {
            self.state_mut().progress = Progress::Since { item };
        }
    }

    /// Resets the state to the initial one, except for items that hosts added.
    pub(super) fn reset(&mut self) {
        if let Some(state) = &mut self.0 {
            (state.list, state.progress) = (None, Progress::All);
        }
        self.0.take_if(|state| **state == State::default());
    }
}

/// The opening of a map over this list; none if it is not a list.
pub(crate) fn opening(list: &Payload, is_recorded: bool, bounds: Option<MapBounds>) -> Option<Opening> {
    let items = u32::try_from(list.value().as_array()?.len()).unwrap_or(u32::MAX);
    Some(Opening::Map { items, list: is_recorded.then(|| list.clone()), bounds })
}

#[cfg(test)]
mod tests {
    use super::super::step::fixture::{self, Alone, fail, payload, succeeded};
    use super::*;
    use crate::definition::{Body, Completion, Expr, Work};
    use crate::task::{Failure, SideEffects, codes};

    fn map() -> Map {
        Map::over(Expr::Input, Body::Task(Work::new("each")))
    }

    fn work(items: u32) -> MapWork {
        let mut work = MapWork::default();
        work.open(items, None, None);
        work
    }

    fn next(work: &MapWork, map: &Map, instances: &Instances) -> Step {
        work.next(map, instances, &Alone::default()).unwrap()
    }

    #[test]
    fn items_begin_in_order_once_the_list_is_evaluated() {
        let (mut work, map) = (work(2), map());
        assert!(matches!(next(&work, &map, &Instances::default()), Step::Evaluate));
        work.set_list(payload(json!(["a", "b"])));
        assert!(matches!(next(&work, &map, &Instances::default()), Step::Begin(item) if item.value() == "a"));
        let one = succeeded(&[json!(1)]);
        assert!(matches!(next(&work, &map, &one), Step::Begin(item) if item.value() == "b"));
        assert!(matches!(next(&work, &map, &succeeded(&[json!(1), json!(2)])), Step::End(Ending::Succeeded)));
    }

    #[test]
    fn no_more_are_under_way_than_at_once() {
        let map = map().max_concurrent(1);
        let mut instances = Instances::default();
        fixture::begin(&mut instances);
        assert!(matches!(next(&work(2), &map, &instances), Step::Idle));
    }

    #[test]
    fn a_failure_beyond_the_tolerance_cancels_the_rest() {
        let mut instances = Instances::default();
        let [first, second] = [fixture::begin(&mut instances), fixture::begin(&mut instances)];
        fail(&mut instances, first);
        assert!(matches!(next(&work(2), &map(), &instances), Step::Cancel(_)));
        fail(&mut instances, second);
        assert!(matches!(next(&work(2), &map(), &instances), Step::End(Ending::Failed { .. })));
        assert!(matches!(next(&work(2), &map().tolerate(2), &instances), Step::End(Ending::Succeeded)));
    }

    #[test]
    fn the_failure_is_not_that_of_an_item_that_was_cancelled_because_of_it() {
        let mut instances = Instances::default();
        let [first, second] = [fixture::begin(&mut instances), fixture::begin(&mut instances)];
        let cancelled = Failure::permanent("cancelled").with_code(codes::CANCELLED);
        let end = InstanceEnd::failed(SideEffects::None, cancelled);
        instances.change("ends", first, |one| one.finish(end)).unwrap();
        fail(&mut instances, second);
        let Step::End(Ending::Failed { failure, instance }) = next(&work(2), &map(), &instances) else {
            panic!("the map fails")
        };
        assert_eq!((&*failure.message, instance), ("broken", Some(second)));
    }

    #[test]
    fn enough_is_recorded_once_and_ends_the_map() {
        let map = map().with_completion(Completion::after(1));
        let (mut work, mut instances) = (work(3), succeeded(&[json!(1)]));
        fixture::begin(&mut instances);
        work.succeeded(&map, 0);
        assert!(matches!(next(&work, &map, &instances), Step::Record(_)));
        work.apply(&MapEvent::Completion).unwrap();
        assert!(matches!(next(&work, &map, &instances), Step::End(Ending::Succeeded)));
        assert!(matches!(MapWork::rest(&map, &instances), Step::Idle));
        let cancels = Map { completion: Some(Completion::after(1).cancel_rest()), ..map };
        assert!(matches!(next(&work, &cancels, &instances), Step::Cancel(_)));
        assert!(matches!(MapWork::rest(&cancels, &instances), Step::Cancel(_)));
    }

    #[test]
    fn an_open_map_waits_for_more_and_keeps_what_it_was_given() {
        let map = map().open();
        let mut work = work(0);
        assert!(matches!(next(&work, &map, &Instances::default()), Step::Idle));
        work.apply(&MapEvent::ItemsAdded { items: vec![payload(json!(7))] }).unwrap();
        assert!(matches!(next(&work, &map, &Instances::default()), Step::Begin(item) if item.value() == 7));
        work.apply(&MapEvent::Closed).unwrap();
        work.reset();
        assert_eq!((work.items(), work.apply(&MapEvent::Closed).is_err()), (None, true));
        work.open(0, None, None);
        assert_eq!((work.items(), work.items_if_open(&map)), (Some(1), None));
    }

    #[test]
    fn a_large_claim_needs_a_list() {
        let short = payload(json!([1, 2, 3]));
        assert!(MapWork::check_size(2_000, Some(&short), || Ok(Payload::NULL)).is_err());
        assert!(MapWork::check_size(2_000, None, || Err(NoValue::TooWide { bytes: 4_000 })).is_ok());
        assert!(MapWork::check_size(3, None, || Ok(Payload::NULL)).is_ok());
    }
}
