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
use crate::flow::{RUN, World, model, tell, timeless};
use counterpoint::engine::EngineSnapshot;
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{
    CatalogueEvent, CompensationOutcome, Migration, NodeEvent, Obstacle, Opening, RunEvent, RunPhase, TaskEvent,
};
use counterpoint::task::Phase;
use counterpoint::{
    Accepted, Command, Engine, Entry, Event, Limits, Outbox, Rejected, RunCommand, RunOutcome, RunSpec,
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

/// The same, and after so many draws the run moves to a definition that means the same by other names.
fn moved(shape: &[u16], schedule: &[u16], seed: u64, after: usize) -> World {
    let mut draws = Draws::new(shape);
    let (input, taste) = (input(&mut draws), Taste { races: true, most: 8 });
    let mut world = World::new();
    world.move_after = Some(after);
    world.say(Command::define(definition(&mut draws, taste))).unwrap();
    world.say(Command::start(RunSpec::new(RUN, "flow").with_input(input))).unwrap();
    world.play(&mut Draws::new(schedule), seed, RUN, false);
    world
}

/// What was done in the end and on the way, by the names of the first definition.
fn told(world: &World) -> Vec<String> {
    let tasks = world.journal.iter().filter_map(|entry| match &entry.event {
        Event::Task { event: TaskEvent::Submitted { spec, .. }, .. } => Some(format!("{} {}", spec.kind, spec.payload)),
        _ => None,
    });
    // A node that compensates others gives their names.
    let plain = |text: String| {
        let mut parts = text.split('.');
        let first = parts.next().unwrap_or_default().to_owned();
        let rest = parts.map(|part| part.trim_start_matches(|letter: char| letter.is_ascii_digit()));
        rest.fold(first, |text, part| text + part)
    };
    tasks.chain([serde_json::to_string(world.outcome()).unwrap()]).map(plain).collect()
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
    fn every_event_follows_the_rules(shape in numbers(160), schedule in numbers(120), seed in 0_u64..1_000) {
        let world = played(&shape, &schedule, seed, WILD, true);
        obeys(&world.journal)?;
        prop_assert!(world.engine.outstanding().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_time: 15_000, ..crate::property(40) })]

    /// Cut off after any fact, a run goes on to an end that the rules allow, with nothing done that was done before.
    #[test]
    fn continues_after_a_crash_at_any_event(shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000) {
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

    /// A run that moves to the same by other names, in other places, does what it would have done.
    #[test]
    fn by_other_names_a_run_does_the_same(
        shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000, after in 0_usize..30,
    ) {
        let [as_it_was, renamed] = [usize::MAX, after].map(|after| moved(&shape, &schedule, seed, after));
        obeys(&renamed.journal)?;
        prop_assert_eq!(told(&renamed), told(&as_it_was), "{}", tell(&renamed.journal));
    }

    /// A run that moves to a version with the same nodes goes on as if nothing had happened: not a fact is different.
    #[test]
    fn a_move_to_the_same_changes_nothing(
        shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000, at in any::<prop::sample::Index>(),
    ) {
        let world = played(&shape, &schedule, seed, Taste { races: true, most: 6 }, true);
        let (mut engine, mut out) = (Engine::new(timeless()), Outbox::default());
        let default = |version: u32| -> Command {
            RunCommand::SetDefault { workflow: "flow".into(), version: Some(version), reason: "the same".into() }.into()
        };
        let at = at.index(world.log.len());
        let mut newest = 0;
        for (place, (now, command, _)) in world.log.iter().enumerate() {
            if let Some(run) = engine.run(RUN).filter(|run| place == at && run.phase() == RunPhase::Running) {
                let same = run.definition().clone().with_version(1_000);
                let _ = engine.handle(*now, Command::define(same), &mut out);
                // Workflows that are called by name are to stay what they were.
                let _ = engine.handle(*now, default(newest), &mut out);
                let (migration, reason) = (Migration::to_version(1_000), "the same".into());
                let moved = engine.handle(*now, RunCommand::Migrate { run: RUN, migration, reason }.into(), &mut out);
                // What was due at that moment may have halted it.
                let runs = engine.run(RUN).is_some_and(|run| run.phase() == RunPhase::Running);
                let goes_back =
                    matches!(&moved, Err(Rejected::State(WrongState::NotMigratable { obstacles, .. })) if *obstacles == [Obstacle::RollingBack]);
                prop_assert!(moved == Ok(Accepted::Done) || goes_back || !runs, "{moved:?}");
                engine.check().unwrap();
            }
            let _ = engine.handle(*now, command.clone(), &mut out);
            if let Command::Run(RunCommand::Define(definition)) = command
                && definition.name == "flow"
            {
                newest = newest.max(definition.version);
                if place >= at {
                    let _ = engine.handle(*now, default(newest), &mut out);
                }
            }
        }
        let facts = |entries: &[Entry]| -> Vec<Event> {
            let of_move = |event: &Event| match event {
                Event::Catalogue(CatalogueEvent::DefaultSet { .. }) => true,
                // A run that has moved moves back where one that has not is there already.
                Event::Run { event: RunEvent::Migrated { version, reason, .. }, .. } => {
                    *version == 1_000 || *version == 0 && reason == "tuned"
                }
                Event::Catalogue(CatalogueEvent::Defined { definition }) => definition.version == 1_000,
                _ => false,
            };
            entries.iter().map(|entry| entry.event.clone()).filter(|event| !of_move(event)).collect()
        };
        prop_assert_eq!(facts(out.entries()), facts(&world.journal));
    }

    /// At the end of any call: snapshot and tail, the whole journal, and the engine that lived are one; and the commands
    /// that followed lead to the same facts.
    #[test]
    fn snapshots_and_journals_lead_to_the_same(shape in numbers(120), schedule in numbers(60), seed in 0_u64..1_000) {
        let world = played(&shape, &schedule, seed, Taste { races: true, most: 6 }, true);
        let live = text(&world.engine);
        for (first, (_, _, mark)) in world.log.iter().enumerate() {
            let (before, after) = world.journal.split_at(*mark);
            let full = Engine::restore(timeless(), None, before).unwrap();
            let snapshot: EngineSnapshot = serde_json::from_str(&text(&full)).unwrap();
            let tail = Engine::restore(timeless(), Some(&snapshot), after).unwrap();
            prop_assert_eq!(text(&tail), live.as_str());
            tail.check().unwrap();
            let from = Engine::restore(timeless(), Some(&snapshot), []).unwrap();
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
                Event::Run { event: RunEvent::RolledBack { .. }, .. } => "back to a save-point",
                Event::Run { event: RunEvent::Restarted { .. }, .. } => "forward again",
                Event::Node { event: NodeEvent::Opened { what: Opening::Compensation { nodes } }, .. }
                    if !nodes.is_empty() =>
                {
                    "undone on the way"
                }
                Event::Node { event: NodeEvent::Held { .. }, .. } => "held",
                Event::Node { event: NodeEvent::Retrying { .. }, .. } => "run again",
                Event::Run { event: RunEvent::Updated { .. }, .. } => "updated",
                Event::Run { event: RunEvent::Retried { .. }, .. } => "tried again",
                Event::Run { event: RunEvent::Reset { undo: true, .. }, .. } => "set back and undone",
                Event::Run { event: RunEvent::Reset { undo: false, .. }, .. } => "set back as it is",
                Event::Node {
                    event: NodeEvent::Compensated { outcome: CompensationOutcome::Failed { .. } }, ..
                } => "not undone",
                Event::Run { event: RunEvent::Finished { outcome: RunOutcome::Compensated { .. } }, .. } => {
                    "compensated"
                }
                Event::Run { event: RunEvent::Finished { outcome: RunOutcome::Failed { .. } }, .. } => "failed",
                Event::Run { event: RunEvent::Finished { outcome: RunOutcome::Succeeded { .. } }, .. } => "succeeded",
                Event::Node { event: NodeEvent::HandlerFired { .. }, .. } => "handled",
                Event::Node { event: NodeEvent::StateEntered { .. }, .. } => "a state",
                Event::Task { event: TaskEvent::Submitted { spec, .. }, .. } => {
                    match spec.owner.map(|owner| owner.phase) {
                        Some(Phase::Query) => "asked",
                        Some(Phase::Undo) => "undone",
                        _ => continue,
                    }
                }
                Event::Catalogue(CatalogueEvent::Redefined { .. }) => "defined again",
                Event::Run { event: RunEvent::Migrated { version: 0, .. }, .. } => "moved on",
                _ => continue,
            };
            *counts.entry(what).or_default() += 1;
        }
    }
    assert_eq!(counts.len(), 19, "{counts:?}");
    // Most nodes that compensate others begin before there is something to undo.
    let least = |what: &str| if what == "undone on the way" { 1 } else { 10 };
    assert!(counts.iter().all(|(what, count)| *count >= least(what)), "{counts:?}");
}

/// The run goes on from the first `cut` facts of its journal. Hosts say again what was not written down.
fn again(world: &World, cut: usize, seed: u64) -> World {
    let journal = world.journal[..cut].to_vec();
    let engine = Engine::restore(timeless(), None, &journal).unwrap();
    let mut crashed = World::around(engine, journal);
    crashed.resume();
    if crashed.engine.agents().count() == 0 {
        crashed.hire();
    }
    for (_, command, _) in &world.log {
        if matches!(command, Command::Run(RunCommand::Define(_) | RunCommand::Start(_))) {
            // Some definitions were refused at first, too.
            let again = crashed.say(command.clone());
            assert!(again.is_ok() || matches!(command, Command::Run(RunCommand::Define(_))), "{again:?}");
        }
    }
    crashed.finish(seed);
    crashed
}
