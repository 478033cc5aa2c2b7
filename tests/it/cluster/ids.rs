//! Partitions of ids and keys, and the routing of commands.

use counterpoint::cluster::{BadShards, Misrouted, Partition, PartitionKey, ShardId, Shards, Target};
use counterpoint::definition::{Action, Body, Call, Definition, Node};
use counterpoint::engine::{EngineSnapshot, Follower};
use counterpoint::schedule::{Firing, Occasion};
use counterpoint::task::AttemptNumber;
use counterpoint::{
    AgentId, AgentSpec, Command, Config, Effect, Engine, Entry, Outbox, Payload, RunId, RunSpec, TaskId, TaskSpec, Time,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn routes_are_the_same_in_every_version() {
    let shards = Shards::new(64).unwrap();
    let of = |number| shards.shard_of(Partition::of_task(TaskId::new(number))).get();
    assert_eq!([0, 1, 2, 3, 4].map(of), [0, 36, 26, 15, 6]);
    let keys = ["order-17", "order-18", "tenant north", ""].map(|key| Partition::of_key(key).get());
    assert_eq!(keys, [1241, 3422, 2210, 3837]);
    assert_eq!(PartitionKey::new("tenant north").task("invoice 1"), TaskId::new(3_531_523_515_162_390_637));
}

#[test]
fn consecutive_numbers_are_spread_evenly() {
    let shards = Shards::new(64).unwrap();
    let mut counts = [0; 64];
    (0..64_000).for_each(|number| counts[shards.shard_of(Partition::of_run(RunId::new(number))).index()] += 1);
    // 1,000 each, within five standard deviations.
    assert!(counts.iter().all(|count| (840..=1_160).contains(count)), "{counts:?}");
}

#[test]
fn a_deployment_has_a_power_of_two_of_shards() {
    for count in [0, 3, 63, 4_097, 8_192, u16::MAX] {
        assert_eq!(Shards::new(count), Err(BadShards::Count(count)));
        assert!(serde_json::from_str::<Shards>(&count.to_string()).is_err());
    }
    let shards = Shards::new(4).unwrap();
    assert_eq!(serde_json::from_str::<Shards>(&serde_json::to_string(&shards).unwrap()).unwrap(), shards);
    assert_eq!(shards.shard(4), Err(BadShards::Unknown { shard: ShardId::new(4), shards: 4 }));
    assert_eq!(
        shards.partitions_of(ShardId::new(3)).map(|(first, last)| (first.get(), last.get())),
        Ok((3_072, 4_095))
    );
}

proptest! {
    #![proptest_config(crate::property(256))]

    #[test]
    fn ids_of_a_partition_key_are_in_its_partition(
        partition in prop_oneof![Just(String::new()), "[a-z]{1,8}", Just("x".repeat(300))],
        keys in prop::collection::btree_set("[a-z0-9]{0,6}", 1..20),
        count in (0_u32..13).prop_map(|power| 1_u16 << power),
    ) {
        let key = PartitionKey::new(partition);
        let shards = Shards::new(count).unwrap();
        let ids: BTreeSet<TaskId> = keys.iter().map(|name| key.task(name)).collect();
        prop_assert_eq!(ids.len(), keys.len());
        for id in ids {
            prop_assert!(!id.is_engine_made() && !id.is_of_tenant());
            prop_assert_eq!(Partition::of_task(id), key.partition());
            let (first, last) = shards.partitions_of(shards.shard_of(key.partition())).unwrap();
            prop_assert!((first..=last).contains(&Partition::of_task(id)));
        }
    }

    /// With twice as many shards, each shard is divided into two.
    #[test]
    fn doubling_the_shards_divides_each(number in any::<u64>(), power in 0_u32..12) {
        let (few, many) = (Shards::new(1 << power).unwrap(), Shards::new(2 << power).unwrap());
        let partition = Partition::of_run(RunId::new(number));
        prop_assert_eq!(many.shard_of(partition).get() / 2, few.shard_of(partition).get());
    }
}

#[test]
fn commands_go_to_the_shard_of_their_ids() {
    let shards = Shards::new(8).unwrap();
    let key = PartitionKey::new("order 17");
    let one = Target::One(shards.shard_of(key.partition()));
    let task = key.task("a");
    let other =
        (0..).map(TaskId::new).find(|id| shards.shard_of(Partition::of_task(*id)) != shards.shard_of(key.partition()));
    let (other, reason) = (other.unwrap(), || "test".into());
    let attempt = AttemptNumber::FIRST.of(task);
    let by = counterpoint::Incarnation::new(AgentId::new(1), 1);
    let at_one = [
        Command::submit(TaskSpec::new(task, "x").with_after([key.task("b")])),
        Command::start(RunSpec::new(key.run("r"), "w")),
        Command::complete(by, attempt, Payload::NULL),
        counterpoint::TaskCommand::Cancel { task, reason: reason() }.into(),
        counterpoint::TaskCommand::Replay { dead: task, fresh: key.task("c") }.into(),
    ];
    for command in at_one {
        assert_eq!(Target::of(&command, shards), Ok(one), "{command:?}");
    }
    let schedule = counterpoint::ScheduleCommand::Pause { schedule: "order 17".into(), note: reason() };
    assert_eq!(Target::of(&schedule.into(), shards), Ok(one));
    let define = Command::define(Definition::new("w"));
    assert_eq!(Target::of(&define, shards), Ok(Target::Every));
    let drain = counterpoint::AgentCommand::Drain { agent: AgentId::new(1) };
    assert_eq!(Target::of(&drain.into(), shards), Ok(Target::Every));

    let across = Command::submit(TaskSpec::new(task, "x").with_after([other]));
    assert!(matches!(Target::of(&across, shards), Err(Misrouted::Across { second, .. }) if second == other));
    let none = counterpoint::TaskCommand::SubmitAll(Vec::new());
    assert_eq!(Target::of(&none.into(), shards), Err(Misrouted::Empty));
    assert_eq!(Target::of(&Command::Tick, shards), Err(Misrouted::OneShard));
    let many = |filter| counterpoint::TaskCommand::ReplayAll { filter, first: task, tier: None };
    assert_eq!(Target::of(&many(Default::default()).into(), shards), Err(Misrouted::ManyIds { first: task }));
    assert_eq!(Target::of(&many(Default::default()).into(), Shards::new(1).unwrap()), Ok(Target::Every));
}

#[test]
fn a_run_of_a_schedule_is_in_the_partition_of_the_schedule() {
    for at in 0..50 {
        let nightly = Firing::new("nightly", Occasion::Nominal { at: Time::from_secs(at) });
        assert_eq!(Partition::of_run(nightly.run()), Partition::of_key("nightly"));
    }
}

/// A run with child runs and tasks, driven to its end. Returns the journal and the ids that the engine created.
fn family(engine: &mut Engine, run: RunId, journal: &mut Vec<Entry>) -> BTreeSet<u64> {
    let (mut outbox, mut made) = (Outbox::default(), BTreeSet::new());
    let mut inbox = vec![Command::start(RunSpec::new(run, "outer"))];
    while let Some(command) = inbox.pop() {
        engine.handle(Time::ZERO, command, &mut outbox).unwrap();
        for effect in outbox.effects() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                made.insert(attempt.task().get());
                inbox.push(Command::complete(*to, *attempt, Payload::NULL));
            }
        }
        outbox.drain_entries(journal);
        outbox.clear();
    }
    made.extend(engine.runs().map(|run| run.id()).filter(|id| id.is_engine_made()).map(|id| id.get()));
    made
}

fn started(config: Config, journal: &mut Vec<Entry>) -> Engine {
    let inner = Definition::new("inner").with_node(Node::new("work", Action::task("work")));
    let outer = Definition::new("outer")
        .with_node(Node::new("first", Action::task("work")))
        .with_node(Node::new("child", Action::Do(Body::Call(Call::of("inner")))));
    let (mut engine, mut outbox) = (Engine::new(config), Outbox::default());
    let agent = AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_capacity(10);
    for command in [Command::define(inner), Command::define(outer), Command::register(agent)] {
        engine.handle(Time::ZERO, command, &mut outbox).unwrap();
    }
    outbox.drain_entries(journal);
    engine
}

#[test]
fn engines_of_two_shards_make_different_ids_that_route_to_them() {
    let shards = Shards::new(2).unwrap();
    let mut all = BTreeSet::new();
    for shard in shards.all() {
        let mut journal = Vec::new();
        let mut engine = started(Config::default().with_partitioned_ids(), &mut journal);
        let runs = (0..40).map(RunId::new).filter(|run| shards.shard_of(Partition::of_run(*run)) == shard);
        for run in runs {
            for made in family(&mut engine, run, &mut journal) {
                assert_eq!(shards.shard_of(Partition::of_task(TaskId::new(made))), shard);
                all.insert((shard, made));
            }
        }
        engine.check().unwrap();
        assert_eq!(
            Engine::restore(Config::default().with_partitioned_ids(), None, &journal).unwrap().snapshot(),
            engine.snapshot()
        );
    }
    let distinct: BTreeSet<u64> = all.iter().map(|(_, made)| *made).collect();
    // Two tasks and a child run for each of 40 runs.
    assert_eq!((all.len(), distinct.len()), (120, 120));
}

/// A restart with or without the setting, from a journal or a snapshot, never makes an id again.
#[test]
fn ids_stay_unique_when_the_setting_changes() {
    let configs: [fn() -> Config; 2] = [Config::default, || Config::default().with_partitioned_ids()];
    for order in [[0, 1, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]] {
        let mut journal = Vec::new();
        let mut engine = started(configs[order[0]](), &mut journal);
        let mut made = 0;
        let mut seen = BTreeSet::new();
        for (step, form) in order.into_iter().enumerate() {
            for run in 0..3 {
                let run = RunId::new(100 * step as u64 + run);
                seen.extend(family(&mut engine, run, &mut journal));
                made += 3;
            }
            engine.check().unwrap();
            assert_eq!(seen.len(), made, "an id was made twice in {order:?}");
            let snapshot = EngineSnapshot::from_bytes(&engine.snapshot().to_bytes().unwrap()).unwrap();
            let replayed = Engine::restore(configs[form](), None, &journal).unwrap();
            assert_eq!(replayed.snapshot(), snapshot);
            let mut follower = Follower::new(&configs[form]());
            journal.iter().for_each(|entry| follower.follow(entry).unwrap());
            engine = Engine::restore(configs[form](), Some(&snapshot), []).unwrap();
            engine.check().unwrap();
            assert_eq!(engine.snapshot(), snapshot);
        }
    }
}
