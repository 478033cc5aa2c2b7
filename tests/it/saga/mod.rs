//! Sagas without an engine: random graphs, outcomes, queries, save-points, pivots and remedies, against an independent
//! implementation of the rules; and restored after every event.

mod model;
mod rules;

use counterpoint::Payload;
use counterpoint::dag::{Builder, Dag, NodeIx};
use counterpoint::definition::OnCompensationFailure;
use counterpoint::saga::{Answer, Remedy, Saga, SagaEvent, StepSpec, Work, WorkKind};
use model::Model;
use proptest::prelude::*;

/// Numbers to decide by; when they are used up every answer is 0.
struct Draws<'a>(core::slice::Iter<'a, u16>);

impl Draws<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next().map_or(0, |number| usize::from(*number) % bound.max(1))
    }
}

fn drawn(shape: &[u16], most: usize) -> (Dag<StepSpec>, OnCompensationFailure) {
    let mut draws = Draws(shape.iter());
    let count = 1 + draws.below(most);
    let mut graph = Builder::new();
    let nodes: Vec<NodeIx> = (0..count)
        .map(|place| {
            let mut spec = StepSpec::new();
            if draws.below(4) > 0 {
                spec = spec.compensable();
            }
            if draws.below(3) == 1 {
                spec = spec.with_query();
            }
            match draws.below(9) {
                1 | 2 => spec = spec.as_save_point(1 + draws.below(2) as u32),
                3 => spec = spec.as_pivot(),
                4 => spec = spec.as_pivot().as_save_point(1),
                _ => {}
            }
            graph.node(place.to_string(), spec)
        })
        .collect();
    for to in 1..count {
        for from in 0..to {
            if draws.below(3) == 1 {
                graph.edge(nodes[from], nodes[to]);
            }
        }
    }
    let policy =
        [OnCompensationFailure::Hold, OnCompensationFailure::Continue, OnCompensationFailure::Stop][draws.below(3)];
    (graph.build().unwrap(), policy)
}

/// What comes of a piece of work: a function of the work and of how often it was asked for.
fn answer(seed: u64, work: &Work, times: u32) -> Answer {
    let kind = match &work.kind {
        WorkKind::Do { round } => format!("do {round}"),
        WorkKind::Query { round } => format!("ask {round}"),
        WorkKind::Compensate { round, .. } => format!("undo {round} {times}"),
        other => panic!("{other:?}"),
    };
    let hash = format!("{seed} {} {kind}", work.step)
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
    match hash % 20 {
        _ if seed == 0 => Answer::Done(Payload::NULL),
        0..14 => Answer::Done(Payload::new(format!("{kind} of {}", work.step).into())),
        14..17 => Answer::Failed,
        _ => Answer::Unknown,
    }
}

/// A host in miniature.
struct World {
    graph: Dag<StepSpec>,
    policy: OnCompensationFailure,
    saga: Saga,
    events: Vec<SagaEvent>,
    held: Vec<Work>,
    /// After each call: how many events there were, and what was outstanding.
    marks: Vec<(usize, Vec<Work>)>,
    seed: u64,
    words: usize,
    asked: std::collections::BTreeMap<NodeIx, u32>,
    /// The index of the event by which the saga was cancelled, and whether it was even after a pivot.
    cancelled: Option<(usize, bool)>,
}

impl World {
    fn new(shape: &[u16], seed: u64) -> Self {
        let (graph, policy) = drawn(shape, 9);
        let saga = Saga::new(&graph).with_on_compensation_failure(policy);
        let (events, held, marks, asked) = (Vec::new(), Vec::new(), Vec::new(), Default::default());
        Self { graph, policy, saga, events, held, marks, seed, words: 0, asked, cancelled: None }
    }

    /// The saga that the first events lead to, with what it has asked for.
    fn cut(&self, at: usize) -> Self {
        let saga = Saga::new(&self.graph).with_on_compensation_failure(self.policy).follow(&self.events[..at]).unwrap();
        let (held, graph) = (saga.outstanding(), self.graph.clone());
        let events = self.events[..at].to_vec();
        let mut cut = Self {
            graph,
            policy: self.policy,
            saga,
            events,
            held,
            marks: Vec::new(),
            asked: Default::default(),
            cancelled: self.cancelled.filter(|(index, _)| *index < at),
            ..*self
        };
        cut.saga.resume(&mut cut.events);
        cut
    }

    fn mark(&mut self) {
        self.marks.push((self.events.len(), self.saga.outstanding()));
    }

    fn take(&mut self) -> bool {
        let next = self.saga.next(&mut self.events);
        let some = next.is_some();
        self.held.extend(next);
        self.mark();
        some
    }

    fn reply(&mut self, at: usize) {
        if self.held.is_empty() {
            return;
        }
        let work = self.held.remove(at % self.held.len());
        let times = self.asked.entry(work.step).or_default();
        *times += 1;
        let answer = answer(self.seed, &work, *times);
        self.saga.answer(work.step, answer, &mut self.events).unwrap();
        assert!(self.saga.answer(work.step, Answer::Failed, &mut self.events).is_err(), "an answer is taken twice");
        self.mark();
    }

    fn speak(&mut self) {
        let Some(step) = self.saga.failed_compensations().next() else { return };
        let word = [Remedy::Retry, Remedy::Declare, Remedy::Abandon][self.words % 3];
        self.words += 1;
        self.saga.settle(step, word, &mut self.events).unwrap();
        self.mark();
    }

    fn play(&mut self, schedule: &[u16], rough: bool) {
        let mut draws = Draws(schedule.iter());
        while draws.0.len() > 0 && self.saga.outcome().is_none() {
            match draws.below(12) {
                0..=4 => _ = self.take(),
                5..=9 => self.reply(draws.below(9)),
                10 if rough && draws.below(4) == 1 => {
                    let before = self.events.len();
                    let abort = draws.below(3) == 1;
                    let events = &mut self.events;
                    let said = if abort { self.saga.abort(events) } else { self.saga.cancel(events) };
                    assert!(said.is_ok() || self.events.len() == before, "a rejected call recorded events");
                    if said.is_ok() {
                        self.cancelled = Some((before, abort));
                    }
                    self.mark();
                }
                _ => self.speak(),
            }
        }
        self.finish();
    }

    fn finish(&mut self) {
        for _ in 0..2_000 {
            if self.saga.outcome().is_some() && self.held.is_empty() {
                return;
            }
            if self.take() {
                continue;
            }
            if self.held.is_empty() { self.speak() } else { self.reply(0) }
        }
        panic!("it never ends: {:?}\n{:#?}", self.saga, self.events);
    }

    fn obeys(&self) -> Result<(), TestCaseError> {
        let told = Model::check(&self.graph, self.policy, &self.events, self.cancelled);
        told.map_err(|why| TestCaseError::fail(format!("{why}\n{:#?}\n{:#?}", self.graph, self.events)))
    }
}

fn numbers(most: usize) -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..most)
}

proptest! {
    #![proptest_config(crate::property(2_000))]

    /// Whatever happens, it ends, and every event on the way is one that the rules allow.
    #[test]
    fn every_event_of_a_saga_follows_the_rules(shape in numbers(80), schedule in numbers(120), seed in 0_u64..1_000) {
        let mut world = World::new(&shape, seed);
        world.play(&schedule, true);
        world.obeys()?;
    }
}

proptest! {
    #![proptest_config(crate::property(100))]

    /// Cut off after any event it goes on to an end that the rules allow; after any call the events lead to the saga that
    /// lived, and to the same work.
    #[test]
    fn a_saga_continues_after_a_crash_at_any_event(shape in numbers(80), schedule in numbers(80), seed in 0_u64..1_000) {
        let mut world = World::new(&shape, seed);
        world.play(&schedule, true);
        for cut in 0..=world.events.len() {
            let mut crashed = world.cut(cut);
            crashed.finish();
            crashed.obeys()?;
        }
        for (mark, outstanding) in &world.marks {
            let restored = Saga::new(&world.graph).with_on_compensation_failure(world.policy).follow(&world.events[..*mark]).unwrap();
            prop_assert_eq!(&restored.outstanding(), outstanding);
        }
        prop_assert_eq!(world.cut(world.events.len()).saga, world.saga.clone());
        let text = serde_json::to_string(&world.events).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<SagaEvent>>(&text).unwrap(), world.events);
    }
}
