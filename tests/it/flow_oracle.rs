//! Random definitions, outcomes and interleavings against an independent reading of the rules, live and across crashes.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "what goes wrong in a test is to stop it"
)]

use crate::flow::draw::{Draws, Taste, definition, input};
use crate::flow::{RUN, World, model, tell};
use counterpoint::{
    Command, Config, Engine, EngineSnapshot, Entry, Event, Limits, Outbox, Phase, RunEvent, RunOutcome, RunSpec,
    TaskEvent, UndoOutcome,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn numbers(most: usize) -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..most)
}

/// A world in which a random run has come to its end.
fn played(shape: &[u16], schedule: &[u16], seed: u64, taste: Taste, rough: bool) -> World {
    let mut draws = Draws::new(shape);
    let input = input(&mut draws);
    let definition = definition(&mut draws, taste);
    counterpoint::workflow::validate(&definition, &Limits::default()).unwrap();
    let mut world = World::new();
    world.say(Command::define(definition)).unwrap();
    world.say(Command::start(RunSpec::new(RUN, "flow").with_input(input))).unwrap();
    world.play(&mut Draws::new(schedule), seed, RUN, rough);
    world
}

fn obeys(journal: &[Entry]) -> Result<(), TestCaseError> {
    model::check(journal, true).map_err(|why| TestCaseError::fail(format!("{why}\n{}", tell(journal))))
}

fn text(engine: &Engine) -> String {
    serde_json::to_string(&engine.snapshot()).unwrap()
}

const WILD: Taste = Taste { races: true, most: 10 };

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_time: 15_000, ..crate::property(1_000) })]

    /// Whatever happens, every run ends, and every fact on the way is one that the rules allow.
    #[test]
    fn every_fact_follows_the_rules(shape in numbers(160), schedule in numbers(120), seed in 0_u64..1_000) {
        let world = played(&shape, &schedule, seed, WILD, true);
        obeys(&world.journal)?;
        prop_assert!(world.engine.outstanding().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_time: 15_000, ..crate::property(40) })]

    /// Cut off after any fact, a run goes on to an end that the rules allow, with nothing done that was done before.
    #[test]
    fn goes_on_after_a_crash_at_any_fact(shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000) {
        let world = played(&shape, &schedule, seed, Taste { races: true, most: 5 }, true);
        for cut in 0..=world.journal.len() {
            obeys(&again(&world, cut, seed).journal)?;
        }
    }

    /// Where nothing is a race and nobody interferes, a crash does not even change whether the run succeeds.
    #[test]
    fn ends_as_it_would_have_without_the_crash(shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000) {
        let world = played(&shape, &schedule, seed, Taste { races: false, most: 5 }, false);
        let succeeded = |world: &World| matches!(world.outcome(), RunOutcome::Succeeded { .. });
        for cut in 0..=world.journal.len() {
            let crashed = again(&world, cut, seed);
            obeys(&crashed.journal)?;
            prop_assert_eq!(succeeded(&crashed), succeeded(&world), "cut after {}", cut);
            if succeeded(&world) {
                prop_assert_eq!(crashed.output(), world.output());
            }
        }
    }

    /// At the end of any call: snapshot and tail, the whole journal, and the engine that lived are one; and the commands
    /// that followed lead to the same facts.
    #[test]
    fn snapshots_and_journals_lead_to_the_same(shape in numbers(120), schedule in numbers(60), seed in 0_u64..1_000) {
        let world = played(&shape, &schedule, seed, Taste { races: true, most: 6 }, true);
        let live = text(&world.engine);
        for (first, (_, _, mark)) in world.log.iter().enumerate() {
            let (before, after) = world.journal.split_at(*mark);
            let full = Engine::restore(Config::default(), None, before).unwrap();
            let snapshot: EngineSnapshot = serde_json::from_str(&text(&full)).unwrap();
            let tail = Engine::restore(Config::default(), Some(&snapshot), after).unwrap();
            prop_assert_eq!(text(&tail), live.as_str());
            tail.check().unwrap();
            let from = Engine::restore(Config::default(), Some(&snapshot), []).unwrap();
            prop_assert_eq!(text(&from), text(&full));
            if first % 4 != 0 {
                continue;
            }
            for mut engine in [full, from] {
                let mut out = Outbox::default();
                let owed = engine.outstanding();
                engine.resume(before.last().map_or(counterpoint::Time::ZERO, |entry| entry.at), &mut out);
                prop_assert_eq!(out.effects(), owed.as_slice());
                for (now, command, _) in &world.log[first..] {
                    let _ = engine.handle(*now, command.clone(), &mut out);
                }
                prop_assert_eq!(out.entries(), after);
            }
        }
    }
}

/// What the properties above are worth depends on what is drawn: everything that a run can do happens often enough.
#[test]
fn random_runs_do_everything_that_runs_can_do() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for case in 0..300 {
        let mut random = counterpoint::Random::new(7, case);
        let mut numbers = |count: usize| (0..count).map(|_| random.below(1 << 16) as u16).collect::<Vec<u16>>();
        let (shape, schedule) = (numbers(160), numbers(120));
        for entry in &played(&shape, &schedule, case, WILD, true).journal {
            let what = match &entry.event {
                Event::Run(RunEvent::TurnedBack { .. }) => "back to a save-point",
                Event::Run(RunEvent::WentForward { .. }) => "forward again",
                Event::Run(RunEvent::NodeUndone { outcome: UndoOutcome::Failed { .. }, .. }) => "not undone",
                Event::Run(RunEvent::Finished { outcome: RunOutcome::Compensated { .. }, .. }) => "compensated",
                Event::Run(RunEvent::Finished { outcome: RunOutcome::Failed { .. }, .. }) => "failed",
                Event::Run(RunEvent::Finished { outcome: RunOutcome::Succeeded { .. }, .. }) => "succeeded",
                Event::Run(RunEvent::HandlerFired { .. }) => "handled",
                Event::Run(RunEvent::Entered { .. }) => "a state",
                Event::Task(TaskEvent::Submitted { spec, .. }) => match spec.owner.map(|owner| owner.phase) {
                    Some(Phase::Query) => "asked",
                    Some(Phase::Undo) => "undone",
                    _ => continue,
                },
                _ => continue,
            };
            *counts.entry(what).or_default() += 1;
        }
    }
    assert_eq!(counts.len(), 10, "{counts:?}");
    assert!(counts.values().all(|count| *count >= 10), "{counts:?}");
}

/// The run goes on from the first `cut` facts of its journal. Hosts say again what was not written down.
fn again(world: &World, cut: usize, seed: u64) -> World {
    let journal = world.journal[..cut].to_vec();
    let engine = Engine::restore(Config::default(), None, &journal).unwrap();
    let mut crashed = World::around(engine, journal);
    crashed.resume();
    if crashed.engine.agents().count() == 0 {
        crashed.hire();
    }
    for (_, command, _) in &world.log {
        if matches!(command, Command::Run(counterpoint::RunCommand::Define(_) | counterpoint::RunCommand::Start(_))) {
            crashed.say(command.clone()).unwrap();
        }
    }
    crashed.finish(seed);
    crashed
}
