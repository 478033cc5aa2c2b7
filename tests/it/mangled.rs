//! What nobody wrote so, for the engine with its workflows: journals, snapshots and commands with numbers changed, facts left
//! out, doubled and swapped. A typed error, or a state that is sound and goes on; never a panic.

use crate::flow::draw::{Draws, Taste, definition, input};
use crate::flow::{RUN, World};
use crate::restore::{Harm, flip, harms};
use counterpoint::{AgentId, AgentSpec, Command, Config, Engine, EngineSnapshot, Entry, Outbox, RunSpec, Time};
use proptest::prelude::*;

fn played(shape: &[u16], schedule: &[u16], seed: u64) -> World {
    let mut draws = Draws::new(shape);
    let input = input(&mut draws);
    let definition = definition(&mut draws, Taste { races: true, most: 6 });
    let mut world = World::new();
    world.say(Command::define(definition)).unwrap();
    world.say(Command::start(RunSpec::new(RUN, "flow").with_input(input))).unwrap();
    world.play(&mut Draws::new(schedule), seed, RUN, true);
    world
}

fn numbers(most: usize) -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..most)
}

/// It resumes, takes commands, and comes to the end of time; what it writes on the way can be read again.
fn goes_on(mut engine: Engine, journal: &[Entry], from: Option<&EngineSnapshot>) -> Result<(), TestCaseError> {
    let now = journal.last().map_or(Time::ZERO, |entry| entry.at);
    let mut out = Outbox::default();
    engine.resume(now, &mut out);
    prop_assert_eq!(engine.check(), Ok(()), "after resume");
    for agent in 1..3 {
        let _ = engine.handle(now, Command::register(AgentSpec::new(AgentId::new(agent))), &mut out);
        prop_assert_eq!(engine.check(), Ok(()), "after a command");
    }
    let _ = engine.handle(Time::MAX, Command::Tick, &mut out);
    prop_assert_eq!(engine.check(), Ok(()), "at the end of time");
    let all: Vec<Entry> = journal.iter().chain(out.entries()).cloned().collect();
    let again = Engine::restore(Config::default(), from, &all);
    prop_assert!(again.is_ok(), "what it wrote cannot be read: {:?}", again.err());
    prop_assert_eq!(again.unwrap().snapshot(), engine.snapshot());
    Ok(())
}

proptest! {
    #![proptest_config(crate::property(128))]

    #[test]
    fn journals_of_runs(
        shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000,
        harm in prop::collection::vec(harms(), 1..4),
    ) {
        let mut entries = played(&shape, &schedule, seed).journal;
        harm.iter().for_each(|harm: &Harm| harm.to(&mut entries));
        if let Ok(engine) = Engine::restore(Config::default(), None, &entries) {
            goes_on(engine, &entries, None)?;
        }
    }

    #[test]
    fn snapshots_of_runs(
        shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000,
        which: prop::sample::Index, bit in 0_u32..64, cut: prop::sample::Index,
    ) {
        let world = played(&shape, &schedule, seed);
        let head = &world.journal[..cut.index(world.journal.len())];
        let taken = Engine::restore(Config::default(), None, head).unwrap().snapshot();
        let mut value = serde_json::to_value(taken).unwrap();
        flip(&mut value, which, bit);
        let Ok(snapshot) = serde_json::from_value::<EngineSnapshot>(value) else { return Ok(()) };
        if let Ok(engine) = Engine::restore(Config::default(), Some(&snapshot), []) {
            goes_on(engine, &[], Some(&snapshot))?;
        }
    }

    /// Commands with numbers in them changed, in any order, to an engine that has seen some as they were.
    #[test]
    fn commands(
        shape in numbers(100), schedule in numbers(60), seed in 0_u64..1_000,
        order in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u32..64, any::<bool>()), 1..40),
    ) {
        let log = played(&shape, &schedule, seed).log;
        let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
        let mut journal = Vec::new();
        for (which, number, bit, bent) in order {
            let (now, command, _) = &log[which.index(log.len())];
            let mut value = serde_json::to_value(command).unwrap();
            if bent {
                flip(&mut value, number, bit);
            }
            let Ok(command) = serde_json::from_value::<Command>(value) else { continue };
            let quiet = engine.next_wakeup().is_none_or(|at| at > *now);
            let before = engine.last_seq();
            let verdict = engine.handle(*now, command, &mut out);
            prop_assert!(verdict.is_ok() || !quiet || engine.last_seq() == before, "what was refused left facts");
            prop_assert_eq!(engine.check(), Ok(()));
            out.drain_entries(&mut journal);
            out.clear();
        }
        let again = Engine::restore(Config::default(), None, &journal).unwrap();
        prop_assert_eq!(again.snapshot(), engine.snapshot());
    }
}
