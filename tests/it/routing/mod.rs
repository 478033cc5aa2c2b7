//! Routing inside a scheduler: filters, wishes, and agents that are worth avoiding.

#[cfg(feature = "full")]
mod learned;

use counterpoint::routing::{
    Affine, BestMatch, ByPriority, ConsistentHash, LeastLoaded, Maglev, RoundRobin, RoutingStrategy, SkillMap,
    TwoChoices, WeightedRoundRobin,
};
use counterpoint::scheduler::{Routability, TaskStatus};
use counterpoint::task::Affinity;
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Failure, Incarnation, Needs,
    Outbox, Payload, Random, Scheduler, TaskCommand, TaskId, TaskSpec, Tier, Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A scheduler with its clock, and who was given what.
struct Stage {
    scheduler: Scheduler,
    now: Time,
    given: BTreeMap<TaskId, (AttemptId, Incarnation)>,
    lives: BTreeMap<AgentId, Incarnation>,
}

impl Stage {
    fn new(config: Config) -> Self {
        Self { scheduler: Scheduler::new(config), now: Time::ZERO, given: BTreeMap::new(), lives: BTreeMap::new() }
    }

    fn tell(&mut self, command: impl Into<Command>) -> Vec<(TaskId, AgentId)> {
        let mut outbox = Outbox::default();
        let accepted = self.scheduler.handle(self.now, command.into(), &mut outbox).expect("the command is sound");
        if let Accepted::Registered(life) = accepted {
            self.lives.insert(life.agent(), life);
        }
        let mut dispatched = Vec::new();
        for effect in outbox.effects() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                self.given.insert(attempt.task(), (*attempt, *to));
                dispatched.push((attempt.task(), to.agent()));
            }
        }
        dispatched
    }

    fn register(&mut self, spec: AgentSpec) -> Vec<(TaskId, AgentId)> {
        self.tell(Command::register(spec))
    }

    fn submit(&mut self, task: TaskSpec) -> Option<AgentId> {
        let id = task.id;
        self.tell(Command::submit(task)).into_iter().find(|(task, _)| *task == id).map(|(_, agent)| agent)
    }

    fn done(&mut self, task: u64) -> Vec<(TaskId, AgentId)> {
        let (attempt, by) = self.given[&TaskId::new(task)];
        self.tell(Command::complete(by, attempt, Payload::NULL))
    }

    fn check(&self) {
        self.scheduler.check().expect("every rule holds");
    }
}

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1)
}

fn task(id: u64) -> TaskSpec {
    TaskSpec::new(TaskId::new(id), "work")
}

#[test]
fn skills_come_and_go_while_tasks_wait() {
    let mut stage = Stage::new(Config::default());
    let needs = Needs::skill("paint");
    assert_eq!(stage.scheduler.routability(&needs), Routability::NoAgent);
    stage.register(AgentSpec::new(AgentId::new(1)));
    assert_eq!(stage.submit(TaskSpec::new(TaskId::new(1), "paint")), None);
    let by = stage.lives[&AgentId::new(1)];
    // The agent learns to paint.
    let spec = AgentSpec::new(AgentId::new(1)).with_skill("paint", 1);
    let given = stage.tell(AgentCommand::Update { by, spec });
    assert_eq!(given, [(TaskId::new(1), AgentId::new(1))]);
    assert_eq!(stage.scheduler.routability(&needs), Routability::AllBusy);
    stage.check();
    // It forgets again, with a picture unfinished: that one it may finish, another it does not get.
    stage.tell(AgentCommand::Update { by, spec: AgentSpec::new(AgentId::new(1)) });
    assert_eq!(stage.submit(TaskSpec::new(TaskId::new(2), "paint")), None);
    stage.done(1);
    assert_eq!(stage.scheduler.task(TaskId::new(1)).unwrap().status(), TaskStatus::Succeeded);
    assert_eq!(stage.scheduler.task(TaskId::new(2)).unwrap().status(), TaskStatus::Queued);
    assert_eq!(stage.scheduler.routability(&needs), Routability::NoAgent);
    assert_eq!(stage.scheduler.routability(&Needs::nothing()), Routability::Ready);
    stage.check();
    stage.tell(AgentCommand::Drain { agent: AgentId::new(1) });
    assert_eq!(stage.scheduler.routability(&Needs::nothing()), Routability::NoAgent);
}

#[test]
fn a_broad_skill_serves_a_narrow_need_if_the_host_permits_it() {
    for (map, served) in [(SkillMap::default(), false), (SkillMap::default().with_category("ml", ["training"]), true)] {
        let mut stage = Stage::new(Config::default().with_skills(map));
        stage.register(AgentSpec::new(AgentId::new(1)).with_skill("ml", 2));
        assert_eq!(stage.submit(TaskSpec::new(TaskId::new(1), "training")).is_some(), served);
        let ready = stage.scheduler.routability(&Needs::skill("training"));
        assert_eq!(ready, if served { Routability::AllBusy } else { Routability::NoAgent });
        stage.check();
    }
}

#[test]
fn a_task_avoids_the_agents_of_its_affinity() {
    let mut stage = Stage::new(Config::default());
    stage.register(agent(1).with_capacity(9).with_label("zone", "a"));
    assert_eq!(stage.submit(task(1)), Some(AgentId::new(1)));
    stage.done(1);
    let apart =
        task(2).with_after([TaskId::new(1)]).with_affinity(Affinity::default().with_apart_from([TaskId::new(1)]));
    assert_eq!(stage.submit(apart), None, "only its author could review it");
    let label = task(3).with_affinity(Affinity::default().with_not_label("zone", "a"));
    assert_eq!(stage.submit(label), None);
    let barred = task(4).with_affinity(Affinity::default().with_not_agents([AgentId::new(1)]));
    assert_eq!(stage.submit(barred), None);
    // Others of the kind are not held up by those that wait.
    assert_eq!(stage.submit(task(5)), Some(AgentId::new(1)));
    stage.check();
    let snapshot = stage.scheduler.snapshot();
    let restored = Scheduler::restore(Config::default(), Some(&snapshot), []).unwrap();
    assert_eq!(restored.snapshot(), snapshot);
    restored.check().unwrap();
    let given: BTreeSet<_> = stage.register(agent(2).with_capacity(9).with_label("zone", "b")).into_iter().collect();
    let second = AgentId::new(2);
    let expected = [(TaskId::new(2), second), (TaskId::new(3), second), (TaskId::new(4), second)];
    assert_eq!(given, BTreeSet::from(expected));
    stage.check();
}

#[test]
fn a_task_stays_apart_from_the_agents_of_the_time_when_it_became_ready() {
    let mut stage = Stage::new(Config::default());
    stage.register(agent(1));
    stage.register(agent(2));
    assert_eq!(stage.submit(task(1)), Some(AgentId::new(1)));
    assert_eq!(stage.submit(task(2)), Some(AgentId::new(2)));
    let apart = |of| Affinity::default().with_apart_from([TaskId::new(of)]);
    // Task 3 waits when task 4 becomes ready; task 5 has the agent of task 2 to avoid.
    assert_eq!(stage.submit(task(3).with_tier(Tier::High)), None);
    assert_eq!(stage.submit(task(4).with_affinity(apart(3))), None);
    assert_eq!(stage.submit(task(5).with_affinity(apart(2))), None);
    assert_eq!(stage.done(2), [(TaskId::new(3), AgentId::new(2))]);
    let check = |stage: &Stage| {
        let snapshot = stage.scheduler.snapshot();
        let restored = Scheduler::restore(Config::default(), Some(&snapshot), []).unwrap();
        assert_eq!(restored.snapshot(), snapshot);
    };
    check(&stage);
    let prioritise =
        TaskCommand::Prioritise { tasks: vec![TaskId::new(4), TaskId::new(5)], tier: Tier::High, reason: "now".into() };
    stage.tell(prioritise);
    check(&stage);
    stage.check();
    assert_eq!(stage.done(3), [(TaskId::new(4), AgentId::new(2))], "it became ready before task 3 had an agent");
    assert_eq!(stage.done(4), [], "task 5 excludes agent 2");
    assert_eq!(stage.done(1), [(TaskId::new(5), AgentId::new(1))]);
}

#[test]
fn preferences_are_met_where_they_can_be() {
    let mut stage = Stage::new(Config::default().with_strategy(Affine::default()));
    for id in 1..=6 {
        let zone = ["a", "b", "c"][usize::try_from(id % 3).unwrap()];
        stage.register(agent(id).with_capacity(2).with_label("zone", zone));
    }
    let wish = |id, affinity| task(id).with_affinity(affinity);
    let preferred = Affinity::default().with_preferred(AgentId::new(4));
    assert_eq!(stage.submit(wish(1, preferred.clone())), Some(AgentId::new(4)));
    assert_eq!(stage.submit(wish(2, Affinity::default().with_familiar(TaskId::new(1)))), Some(AgentId::new(4)));
    assert_ne!(stage.submit(wish(3, preferred)), Some(AgentId::new(4)), "it is busy, and a wish is no order");
    stage.done(1);
    stage.done(2);
    stage.done(3);
    let spread = Affinity::default().with_session("group").with_spread("zone");
    let zones = |stage: &Stage, agents: &[AgentId]| -> BTreeSet<String> {
        let label = |id: &AgentId| stage.scheduler.agent(*id).unwrap().spec().labels["zone"].to_string();
        agents.iter().map(label).collect()
    };
    for round in 0..2 {
        let picked: Vec<AgentId> =
            (0..3).map(|n| stage.submit(wish(10 + round * 3 + n, spread.clone())).unwrap()).collect();
        assert_eq!(zones(&stage, &picked).len(), 3, "each round goes to every zone: {picked:?}");
    }
    stage.check();
}

/// Agents 1 to 3 in the region `us`, 4 to 6 in `eu`; 6 is large. With every strategy a task for `eu` goes there while there is
/// room, the large one first, and then to any other.
#[test]
fn a_preference_is_met_with_every_strategy_and_delays_nothing() {
    for strategy in every_strategy() {
        let name = strategy().name().to_owned();
        let mut stage = Stage::new(Config::default().with_strategy(strategy()));
        for id in 1..=6 {
            let region = if id < 4 { "us" } else { "eu" };
            let agent = agent(id).with_label("region", region);
            stage.register(if id == 6 { agent.with_skill("memory", 64) } else { agent });
        }
        let wish = Affinity::default()
            .with_preferred_label("region", "eu", 10)
            .with_preferred_skill("memory", 32, 1)
            .with_preferred_label("region", "us", 0);
        let picked: Vec<u64> =
            (1..=6).map(|id| stage.submit(task(id).with_affinity(wish.clone())).unwrap().get()).collect();
        assert_eq!(picked[0], 6, "{name}: {picked:?}");
        assert!(picked[1..3].iter().all(|id| [4, 5].contains(id)), "{name}: {picked:?}");
        assert!(picked[3..].iter().all(|id| *id < 4), "{name}: {picked:?}");
        stage.done(4);
        let plain = stage.submit(task(7)).unwrap();
        assert!(plain.get() < 4, "{name}: the only agent with room");
        stage.check();
    }
}

#[test]
fn affinity_and_costs_are_data() {
    let affinity = Affinity::default()
        .with_preferred(AgentId::new(1))
        .with_session("s")
        .with_spread("zone")
        .with_not_label("zone", "a")
        .with_apart_from([TaskId::new(7)]);
    let task = task(1).with_affinity(affinity);
    let text = serde_json::to_string(&task).unwrap();
    assert_eq!(serde_json::from_str::<TaskSpec>(&text).unwrap(), task);
    let agent = agent(1).with_weight(3).with_cost_per_task(5).with_cost_per_second(7);
    let text = serde_json::to_string(&agent).unwrap();
    assert_eq!(serde_json::from_str::<AgentSpec>(&text).unwrap(), agent);
    // What was written before there were such fields reads as before.
    let old = r#"{"id":1,"kind":"k","needs":{}}"#;
    assert_eq!(serde_json::from_str::<TaskSpec>(old).unwrap().affinity, None);
}

type Make = fn() -> Box<dyn RoutingStrategy>;

fn every_strategy() -> Vec<Make> {
    #[cfg_attr(not(feature = "full"), allow(unused_mut, reason = "some of them are behind features"))]
    let mut strategies: Vec<Make> = vec![
        || Box::new(LeastLoaded::default()),
        || Box::new(RoundRobin::default()),
        || Box::new(WeightedRoundRobin::default()),
        || Box::new(ByPriority::default()),
        || Box::new(BestMatch::default()),
        || Box::new(TwoChoices::default()),
        || Box::new(ConsistentHash::default()),
        || Box::new(Maglev::default().with_size(101)),
        || Box::new(Affine::new(TwoChoices::default())),
    ];
    #[cfg(feature = "full")]
    strategies.extend(learned::strategies());
    strategies
}

/// Every strategy under the same random work: all rules hold, all work is done, and the same seed gives the same facts.
#[test]
fn every_strategy_serves() {
    for make in every_strategy() {
        let name = make().name().to_owned();
        let first = script(make());
        assert_eq!(first, script(make()), "{name} is not deterministic");
        assert!(!first.is_empty());
    }
}

fn script(strategy: Box<dyn RoutingStrategy>) -> Vec<(TaskId, AgentId)> {
    let mut stage = Stage::new(Config::default().with_strategy(strategy).with_seed(3));
    let mut random = Random::new(5, 0);
    let mut told = Vec::new();
    for id in 0..80 {
        let spec = agent(id)
            .with_capacity(1 + u32::try_from(id % 3).unwrap())
            .with_label("zone", if id % 2 == 0 { "a" } else { "b" });
        told.extend(stage.register(spec));
    }
    for id in 0..600 {
        stage.now = stage.now + Duration::from_millis(20);
        let mut task = task(id);
        let session = format!("s{}", random.below(20));
        match random.below(4) {
            0 => task = task.with_affinity(Affinity::default().with_session(session)),
            1 => {
                task =
                    task.with_affinity(Affinity::default().with_spread("zone").with_apart_from([TaskId::new(id / 2)]))
            }
            2 => task = task.with_deadline(stage.now + Duration::from_secs(1_000)),
            _ => {}
        }
        told.extend(stage.tell(Command::submit(task)));
        let running: Vec<u64> = stage.given.keys().map(|task| task.get()).collect();
        if running.len() > 60 {
            let victim = running[random.below(running.len())];
            let (attempt, by) = stage.given.remove(&TaskId::new(victim)).unwrap();
            told.extend(if random.below(9) == 0 {
                stage.tell(Command::fail(by, attempt, Failure::transient("once")))
            } else {
                stage.tell(Command::complete(by, attempt, Payload::NULL))
            });
        }
        if id % 100 == 0 {
            stage.check();
        }
    }
    // Everything ends.
    for _ in 0..10_000 {
        let Some((task, (attempt, by))) = stage.given.pop_first() else {
            let Some(at) = stage.scheduler.next_wakeup() else { break };
            stage.now = at;
            told.extend(stage.tell(Command::Tick));
            continue;
        };
        let running = stage.scheduler.task(task).is_some_and(|view| view.running().is_some());
        if running {
            told.extend(stage.tell(Command::complete(by, attempt, Payload::NULL)));
        }
    }
    stage.check();
    assert_eq!(stage.scheduler.queued(), [0; 4]);
    told
}

/// Who does a kind of work well leaves a trail, which fades; who fails it leaves none.
#[cfg(feature = "coordination")]
#[test]
fn failures_leave_no_trail_and_trails_fade() {
    let (mut scheduler, mut out) = (Scheduler::new(Config::default()), Outbox::default());
    let mut say = |at: u64, command: Command| scheduler.handle(Time::from_secs(at), command, &mut out).map(|_| ());
    for id in 1..=2 {
        say(0, Command::register(agent(id))).unwrap();
        say(0, Command::submit(task(id))).unwrap();
    }
    let mut words = Vec::new();
    for effect in out.effects() {
        let Effect::Dispatch { attempt, to, .. } = effect else { continue };
        words.push(if to.agent() == AgentId::new(1) {
            Command::complete(*to, *attempt, Payload::NULL)
        } else {
            Command::fail(*to, *attempt, Failure::permanent("no"))
        });
    }
    assert_eq!(words.len(), 2);
    for word in words {
        scheduler.handle(Time::from_secs(1), word, &mut out).unwrap();
    }
    let mut trails = counterpoint::routing::Trails::default();
    out.entries().iter().for_each(|entry| trails.observe(entry));
    let kind = task(1).kind;
    let strength = |id: u64, at: u64| trails.strength(&kind, AgentId::new(id), Time::from_secs(at));
    assert!(strength(1, 1) > strength(2, 1) + 1.9, "{} and {}", strength(1, 1), strength(2, 1));
    assert!((strength(1, 2) - 0.9 * strength(1, 1)).abs() < 1e-9, "a tenth in a second");
    assert!(strength(1, 100) < 0.2 && strength(2, 1) < 1.0 + 1e-9);
}
