//! Strategies that learn from results, and those of `coordination`.

use super::{Make, Stage, agent, task};
use counterpoint::coordination::Reputation;
use counterpoint::message::rejected::{Unknown, WrongState};
use counterpoint::resilience::outlier;
use counterpoint::routing::{
    Adaptive, Affine, Auction, Candidate, CostAware, LeastLoaded, LinUcb, MultiFactor, PeakEwma, Performance, Roster,
    RoutingStrategy, Trails, TwoChoices,
};
use counterpoint::task::{Affinity, Exhausted, Rating};
use counterpoint::{
    Accepted, AgentId, Command, Config, Failure, Needs, Payload, Policy, Random, Rejected, Retry, TaskCommand, TaskId,
    TaskSpec, Time,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub fn strategies() -> [Make; 8] {
    [
        || Box::new(PeakEwma::default()),
        || Box::new(Performance::default()),
        || Box::new(CostAware::default()),
        || Box::new(MultiFactor::default()),
        || Box::new(Affine::new(PeakEwma::default())),
        || Box::new(LinUcb::default()),
        || Box::new(Adaptive::default()),
        || {
            let bid = |_: &TaskSpec, agent: &Candidate<'_>, _: Time| Some(u64::from(agent.in_flight()));
            Box::new(Auction::new(bid))
        },
    ]
}

#[test]
fn the_cheapest_that_is_in_time() {
    let mut stage = Stage::new(Config::default().with_strategy(CostAware::default()));
    stage.register(agent(1).with_capacity(50).with_cost_per_second(1_000));
    stage.register(agent(2).with_capacity(50).with_cost_per_task(100_000));
    // The cheap one takes half a minute, the dear one a second; both are learned.
    for (id, who, takes) in (0..20).map(|id| (id, 1 + id % 2, if id % 2 == 0 { 30 } else { 1 })) {
        let only = Affinity::default().with_not_agents([AgentId::new(3 - who)]);
        stage.submit(task(id).with_affinity(only));
        stage.now = stage.now + Duration::from_secs(takes);
        stage.done(id);
    }
    assert_eq!(stage.submit(task(100)), Some(AgentId::new(1)));
    assert_eq!(stage.submit(task(101).with_deadline(stage.now + Duration::from_secs(5))), Some(AgentId::new(2)));
    assert_eq!(stage.submit(task(102).with_deadline(stage.now + Duration::from_secs(60))), Some(AgentId::new(1)));
    // In no time at all: the fastest.
    assert_eq!(stage.submit(task(103).with_deadline(stage.now + Duration::from_millis(1))), Some(AgentId::new(2)));
}

#[test]
fn a_score_can_be_taken_apart() {
    let mut roster = Roster::default();
    roster.add(agent(1).with_skill("work", 5).with_capacity(4));
    roster.add(agent(2).with_capacity(4));
    let class = roster.class(&Needs::skill("work"));
    let score = MultiFactor::default().with_factor("luck", 1.0, |_, agent, _| agent.id().get() as f64 - 1.0).unwrap();
    roster.begin(AgentId::new(1));
    let among = roster.among(class, Time::ZERO).unwrap();
    let first = score.breakdown(&task(1), &among.get(AgentId::new(1)).unwrap(), &among);
    let value = |name: &str| first.factors.iter().find(|factor| factor.name == name).unwrap().value;
    assert!((value("availability") - 0.5625).abs() < 1e-9);
    assert!(value("skill") > 0.5 && value("luck") == 0.0);
    let sum: f64 = first.factors.iter().map(|factor| factor.weight * factor.value).sum();
    let weights: f64 = first.factors.iter().map(|factor| factor.weight).sum();
    assert!((first.score - sum / weights * first.success * first.success).abs() < 1e-9);
    assert!(first.to_string().contains("availability 0.56 x 0.3"), "{first}");
    assert!(MultiFactor::default().with_factor("odd", f64::NAN, |_, _, _| 1.0).is_err());
    assert!(MultiFactor::default().with_factor("odd", -1.0, |_, _, _| 1.0).is_err());
}

/// What a strategy makes of a fleet of 100 agents with 4 slots each at 70 % load, of which two fail everything in 5 ms:
/// the share of tasks that succeed at their only attempt.
fn black_hole(config: Config) -> f64 {
    let mut stage = Stage::new(config.with_seed(7));
    (0..100).for_each(|id| drop(stage.register(agent(id).with_capacity(4))));
    let once = Policy::default().with_retry(Retry::never()).with_exhausted(Exhausted::Fail);
    let mut random = Random::new(11, 0);
    let mut exponential = |mean: f64| Duration::from_secs_f64(-mean * (1.0 - random.unit()).ln());
    let mut ends: BTreeMap<(Time, TaskId), AgentId> = BTreeMap::new();
    let (mut arrival, mut submitted, mut succeeded) = (Time::ZERO, 0_u64, 0_u32);
    const TASKS: u64 = 12_000;
    while submitted < TASKS || !ends.is_empty() {
        let end = ends.first_key_value().map(|((at, task), agent)| (*at, *task, *agent));
        let given = match end {
            Some((at, task, agent)) if at <= arrival || submitted == TASKS => {
                ends.remove(&(at, task));
                stage.now = at;
                let (attempt, by) = stage.given[&task];
                if agent.get() < 2 {
                    stage.tell(Command::fail(by, attempt, Failure::transient("broken")))
                } else {
                    succeeded += 1;
                    stage.tell(Command::complete(by, attempt, Payload::NULL))
                }
            }
            _ => {
                stage.now = arrival;
                arrival = arrival + exponential(1.0 / 280.0);
                submitted += 1;
                stage.tell(Command::submit(task(submitted).with_policy(once.clone())))
            }
        };
        for (task, agent) in given {
            let takes = if agent.get() < 2 { Duration::from_millis(5) } else { exponential(1.0) };
            ends.insert((stage.now + takes, task), agent);
        }
    }
    stage.check();
    f64::from(succeeded) / TASKS as f64
}

#[test]
fn an_agent_that_fails_fast_attracts_no_work() {
    fn with(strategy: impl RoutingStrategy + 'static) -> Config {
        Config::default().with_strategy(strategy)
    }
    let ejecting = |config: Config| config.with_outlier_ejection(outlier::Rules::default());
    assert!(black_hole(with(LeastLoaded::default())) < 0.6, "without protection most of the work is lost");
    let protected: [(f64, &str); 6] = [
        (black_hole(ejecting(with(LeastLoaded::default()))), "least loaded with outlier ejection"),
        (black_hole(ejecting(with(TwoChoices::default()))), "two choices with outlier ejection"),
        (black_hole(with(Performance::default())), "performance"),
        (black_hole(with(PeakEwma::default())), "peak ewma"),
        (black_hole(with(MultiFactor::default())), "score"),
        (black_hole(ejecting(with(LinUcb::default()))), "lin-ucb with outlier ejection"),
    ];
    for (success, name) in protected {
        println!("{name}: {success:.4}");
        assert!(success >= 0.99, "{name}: {success}");
    }
}

/// What two agents are given of so many tasks, one at a time: `takes` is how long an agent takes for a kind.
fn shares(
    config: Config,
    kinds: &[&str],
    tasks: u64,
    takes: fn(u64, &str) -> Duration,
) -> BTreeMap<(String, u64), u64> {
    let mut stage = Stage::new(config);
    (1..=2).for_each(|id| drop(stage.register(agent(id))));
    let mut given = BTreeMap::new();
    for id in 0..tasks {
        let kind = kinds[id as usize % kinds.len()];
        let to = stage.submit(TaskSpec::new(TaskId::new(id), kind).with_needs(Needs::nothing())).unwrap().get();
        *given.entry((kind.to_owned(), to)).or_default() += 1;
        stage.now = stage.now + takes(to, kind);
        stage.done(id);
    }
    given
}

fn exploring() -> [(&'static str, Config, u64); 7] {
    let performing = |rate| Config::default().with_strategy(Performance::default().with_exploration(rate));
    let with = |strategy: LinUcb| Config::default().with_strategy(strategy);
    [
        // The bound on the share of an agent that is tried only because little is known: rate times log2(2N).
        ("lin-ucb at 1", with(LinUcb::default().with_exploration(1.0)), 9),
        ("lin-ucb", with(LinUcb::default()), 2),
        ("performance at 1", performing(1.0), 9),
        ("performance at 0.2", performing(0.2), 2),
        ("cost aware", Config::default().with_strategy(CostAware::default().with_exploration(1.0)), 9),
        ("cost aware at 0.2", Config::default().with_strategy(CostAware::default().with_exploration(0.2)), 2),
        ("score", Config::default().with_strategy(MultiFactor::default().with_exploration(1.0)), 9),
    ]
}

#[test]
fn agents_that_look_alike_are_tried() {
    for (name, config, bound) in exploring() {
        let takes = |agent, _: &str| if agent == 1 { Duration::from_secs(60) } else { Duration::from_millis(10) };
        let given = shares(config, &["work"], 500, takes);
        let slow = given.get(&("work".to_owned(), 1)).copied().unwrap_or(0);
        assert!((1..=bound + 2).contains(&slow), "{name}: {given:?}");
    }
}

/// An unknown agent is not tried with a task whose deadline it is expected to miss.
#[test]
fn nothing_is_tried_that_is_expected_to_be_late() {
    let mut stage = Stage::new(Config::default().with_strategy(CostAware::default().with_exploration(1.0)));
    stage.register(agent(1));
    stage.register(agent(3));
    for (id, who, takes) in (0..20).map(|id| (id, 1 + id % 2 * 2, if id % 2 == 0 { 1 } else { 90 })) {
        stage.submit(task(id).with_affinity(Affinity::default().with_not_agents([AgentId::new(4 - who)])));
        stage.now = stage.now + Duration::from_secs(takes);
        stage.done(id);
    }
    // Nothing is known of the second agent, which is expected to be like the others.
    stage.register(agent(2));
    assert_eq!(stage.submit(task(100).with_deadline(stage.now + Duration::from_secs(5))), Some(AgentId::new(1)));
    stage.done(100);
    assert_eq!(stage.submit(task(101).with_deadline(stage.now + Duration::from_secs(100))), Some(AgentId::new(2)));
}

#[test]
fn each_specialist_gets_its_kind() {
    for (name, config, bound) in exploring() {
        let takes = |agent, kind: &str| {
            if (agent == 1) == (kind == "draw") { Duration::from_millis(10) } else { Duration::from_secs(60) }
        };
        // The kinds alternate, so that each agent begins with the kind of the other one.
        let given = shares(config, &["paint", "draw"], 400, takes);
        for wrong in [("paint".to_owned(), 1), ("draw".to_owned(), 2)] {
            assert!(given.get(&wrong).copied().unwrap_or(0) <= bound + 6, "{name}: {given:?}");
        }
    }
}

fn rate(task: u64, permille: u16) -> Command {
    TaskCommand::Rate { task: TaskId::new(task), rating: Rating::new(permille).unwrap() }.into()
}

/// Two agents that take equally long; the results of the first one are of no use. What the second one is given of the last
/// hundred of two hundred tasks, if the results are rated and if not.
fn useful(strategy: Make, seed: u64) -> [u32; 2] {
    [true, false].map(|is_rated| {
        let mut stage = Stage::new(Config::default().with_strategy(strategy()).with_seed(seed));
        (1..=2).for_each(|id| drop(stage.register(agent(id))));
        let mut second = 0;
        for id in 0..200 {
            let to = stage.submit(task(id)).unwrap().get();
            second += u32::from(id >= 100 && to == 2);
            stage.now = stage.now + Duration::from_secs(1);
            stage.done(id);
            if is_rated {
                stage.tell(rate(id, if to == 1 { 0 } else { 1_000 }));
            }
        }
        stage.check();
        second
    })
}

#[test]
fn ratings_after_the_fact_reach_every_learned_strategy() {
    let strategies: [(&str, Make); 7] = [
        ("performance", || Box::new(Performance::default())),
        ("cost aware", || Box::new(CostAware::default())),
        ("score", || Box::new(MultiFactor::default())),
        ("peak ewma", || Box::new(PeakEwma::default())),
        ("lin-ucb", || Box::new(LinUcb::default())),
        ("trails", || Box::new(Trails::default())),
        ("auction", || {
            let equal = |_: &TaskSpec, _: &Candidate<'_>, _: Time| Some(100);
            Box::new(Auction::new(equal).with_reputation(Reputation::default()))
        }),
    ];
    for (name, strategy) in strategies {
        let found = [1, 2, 3, 4].map(|seed| useful(strategy, seed));
        let [rated, unrated] = [0, 1].map(|which| found.iter().map(|shares| shares[which]).sum::<u32>());
        assert!(rated >= 320 && rated > unrated, "{name}: {rated} of 400 with ratings, {unrated} without: {found:?}");
    }
}

#[test]
fn a_rating_is_part_of_the_task_and_given_once() {
    let mut host = crate::kit::host(Config::default().with_strategy(Performance::default()));
    for id in 1..=2 {
        host.join(agent(id));
    }
    host.submit(task(1));
    let rejected = |state: WrongState| Err(Rejected::State(state));
    assert_eq!(host.say(rate(1, 500)), rejected(WrongState::TaskNotEnded(TaskId::new(1))));
    assert_eq!(host.say(rate(9, 500)), Err(Rejected::Unknown(Unknown::Task(TaskId::new(9)))));
    let first = host.holder(1);
    host.wait(Duration::from_secs(1));
    host.complete(1);
    assert_eq!(host.say(rate(1, 0)), Ok(Accepted::Done));
    assert_eq!(host.say(rate(1, 0)), Ok(Accepted::Repeated));
    assert_eq!(host.say(rate(1, 500)), rejected(WrongState::TaskRated(TaskId::new(1))));
    // A task that no agent has performed.
    host.submit(TaskSpec::new(TaskId::new(2), "other"));
    host.cancel(2).unwrap();
    assert_eq!(host.say(rate(2, 500)), rejected(WrongState::NothingToRate(TaskId::new(2))));

    let config = || Config::default().with_strategy(Performance::default());
    let replayed = counterpoint::Scheduler::restore(config(), None, &host.journal).unwrap();
    assert_eq!(replayed.snapshot(), host.snapshot());
    let text = serde_json::to_string(&host.snapshot()).unwrap();
    let snapshot = serde_json::from_str(&text).unwrap();
    // A replay has learned the rating; a snapshot contains it, but not what was learned from it.
    for (mut restored, to) in
        [(replayed, 3 - first), (counterpoint::Scheduler::restore(config(), Some(&snapshot), &[]).unwrap(), first)]
    {
        assert_eq!(restored.task(TaskId::new(1)).unwrap().rating(), Some(Rating::WORST));
        let mut out = counterpoint::Outbox::default();
        restored.resume(host.now, &mut out);
        let mut host = crate::kit::Host::over(restored);
        host.submit(task(3));
        assert_eq!(host.holder(3), to);
    }
}

/// The event of a rating names agent and kind: a strategy learns from it although it knows nothing of the task.
#[test]
fn a_rating_counts_for_a_task_of_before_a_snapshot() {
    let config = || Config::default().with_strategy(Performance::default());
    let mut host = crate::kit::host(config());
    for id in 1..=2 {
        host.join(agent(id));
    }
    host.submit(task(1));
    let first = host.holder(1);
    host.wait(Duration::from_secs(1));
    host.complete(1);
    let mut restored = counterpoint::Scheduler::restore(config(), Some(&host.snapshot()), &[]).unwrap();
    restored.resume(host.now, &mut counterpoint::Outbox::default());
    let mut host = crate::kit::Host::over(restored);
    host.say(rate(1, 0)).unwrap();
    host.submit(task(2));
    assert_eq!(host.holder(2), 3 - first);
}

#[derive(Debug, Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<LinUcb>>);

impl RoutingStrategy for Shared {
    fn name(&self) -> &'static str {
        "shared"
    }

    fn pick(
        &mut self,
        task: &TaskSpec,
        among: &counterpoint::routing::Candidates<'_>,
        random: &mut Random,
    ) -> Option<AgentId> {
        self.0.lock().unwrap().pick(task, among, random)
    }

    fn observe(&mut self, entry: &counterpoint::Entry) {
        self.0.lock().unwrap().observe(entry);
    }
}

#[test]
fn a_bandit_learns_the_same_from_a_replay() {
    let strategy = Shared::default();
    let mut host = crate::kit::host(Config::default().with_strategy(strategy.clone()));
    for (id, level) in [(1, 3), (2, 1)] {
        host.join(agent(id).with_skill("work", level).with_capacity(2));
    }
    for id in 1..=60 {
        host.submit(TaskSpec::new(TaskId::new(id), "work").with_needs(Needs::skill("work")));
        if id == 7 {
            // One that ends without an attempt.
            host.submit(TaskSpec::new(TaskId::new(1_000), "other").with_needs(Needs::skill("other")));
            host.cancel(1_000).unwrap();
        }
        let takes = if host.holder(id) == 1 { 40 } else { 900 };
        host.wait(Duration::from_millis(takes));
        if id % 9 == 0 {
            host.fail(id, Failure::permanent("no"))
        } else {
            host.complete(id)
        }
        if id % 4 == 0 {
            host.say(rate(id - 3, 700)).unwrap();
        }
    }
    let live = strategy.0.lock().unwrap().explain();
    let mut replayed = LinUcb::default();
    let fresh = replayed.explain();
    host.journal.iter().for_each(|entry| replayed.observe(entry));
    assert_eq!(replayed.explain(), live);
    assert_ne!(live, fresh);
    // And a scheduler that is restored with it.
    let restored = Shared::default();
    let config = Config::default().with_strategy(restored.clone());
    counterpoint::Scheduler::restore(config, None, &host.journal).unwrap();
    assert_eq!(restored.0.lock().unwrap().explain(), live);
}
