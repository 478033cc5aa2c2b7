//! Whoever follows the facts has the state of the engine, and snapshots of it need not stop the engine.

use crate::flow::draw::{Draws, Taste, definition, input};
use crate::flow::{World, timeless};
use crate::model::{play, setups, steps};
use counterpoint::engine::{EngineSnapshot, Follower};
use counterpoint::{Command, Engine, RestoreError, RunSpec, Seq, TaskId, TaskSpec};
use proptest::prelude::*;

fn text(snapshot: &EngineSnapshot) -> String {
    serde_json::to_string(snapshot).unwrap()
}

proptest! {
    #![proptest_config(crate::property(60))]

    /// After every call, byte for byte; and from a snapshot of its own on.
    #[test]
    fn a_follower_has_the_state_of_the_engine(
        shape in prop::collection::vec(any::<u16>(), 0..120),
        schedule in prop::collection::vec(any::<u16>(), 0..80),
        seed in 0_u64..1_000,
    ) {
        let mut draws = Draws::new(&shape);
        let input = input(&mut draws);
        let definition = definition(&mut draws, Taste { races: true, most: 8 });
        let mut world = World::new();
        world.say(Command::define(definition)).unwrap();
        world.say(Command::start(RunSpec::new(crate::flow::RUN, "flow").with_input(input))).unwrap();
        world.play(&mut Draws::new(&schedule), seed, crate::flow::RUN, true);

        let config = timeless();
        let mut follower = Follower::new(&config);
        let marks: std::collections::BTreeSet<usize> = world.log.iter().map(|(_, _, mark)| *mark).collect();
        for (count, entry) in world.journal.iter().enumerate() {
            if marks.contains(&count) {
                let engine = Engine::restore(timeless(), None, &world.journal[..count]).unwrap();
                prop_assert_eq!(text(&follower.snapshot()), text(&engine.snapshot()), "after {} facts", count);
                let mut other = Follower::from_snapshot(&config, &follower.snapshot()).unwrap();
                other.follow(entry).unwrap();
                follower.follow(entry).unwrap();
                prop_assert_eq!(other.snapshot(), follower.snapshot());
            } else {
                follower.follow(entry).unwrap();
            }
        }
        prop_assert_eq!(text(&follower.snapshot()), text(&world.engine.snapshot()));
        prop_assert_eq!(follower.state().check(), Ok(()));
    }

    /// The same for tasks, agents, tenants and retention, under every order and strategy that the model knows.
    #[test]
    fn a_follower_has_the_state_of_the_scheduler(setup in setups(), steps in steps(60)) {
        let world = play(&setup, &steps).map_err(TestCaseError::fail)?;
        let mut follower = Follower::new(&setup.config());
        let states: std::collections::BTreeMap<usize, &String> =
            world.calls.iter().map(|call| (call.journal, &call.state)).collect();
        for (count, entry) in (1..).zip(&world.journal) {
            follower.follow(entry).unwrap();
            if let Some(state) = states.get(&count) {
                prop_assert_eq!(&serde_json::to_string(&follower.snapshot().scheduler).unwrap(), *state);
            }
        }
    }
}

#[test]
fn a_follower_takes_events_in_order_only() {
    let mut world = World::new();
    world.say(Command::submit(TaskSpec::new(TaskId::new(1), "any"))).unwrap();
    let mut follower = Follower::new(&timeless());
    let gap = RestoreError::Gap { expected: Seq::new(1), found: Seq::new(2) };
    assert_eq!(follower.follow(&world.journal[1]), Err(gap));
    follower.follow(&world.journal[0]).unwrap();
    assert_eq!(follower.last_seq(), Seq::new(1));
}
