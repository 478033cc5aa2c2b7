//! Known answers, and the same answers every time.

use counterpoint::definition::{Action, Definition, Expr, Link, Node, Work};
use counterpoint::message::rejected::Invalid;
use counterpoint::resilience::capacity::erlang;
use counterpoint::scheduler::TaskStatus;
use counterpoint::sim::{
    AgentModel, Arrivals, Distribution, Fault, Faults, Job, Operation, Report, Rules, SimError, Simulation, Step,
};
use counterpoint::workflow::Attempt;
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, Command, Config, Failure, Payload, Policy, Rejected, Retry, RunId, RunOutcome,
    RunSpec, TaskCommand, TaskId, TaskSpec, Time,
};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn agent(id: u64) -> AgentModel {
    AgentModel::new(AgentSpec::new(AgentId::new(id)).with_skill("work", 1))
}

fn task(id: u64) -> TaskSpec {
    TaskSpec::new(TaskId::new(id), "work")
}

fn at(second: u64, id: u64) -> Job {
    Job::task(Time::from_secs(second), task(id))
}

/// M/M/c: the waits are those of Erlang's formula.
#[test]
fn waits_are_those_of_erlang() {
    let arrivals = Arrivals::poisson(11, 8.0).unwrap();
    let jobs = arrivals.take(30_000).zip(1..).map(|(at, n)| Job::task(at, task(n)));
    let report = Simulation::new(11)
        .with_agents((1..=10).map(agent))
        .with_service("work", Distribution::exponential(SECOND).unwrap())
        .with_jobs(jobs)
        .run()
        .unwrap();
    let load = erlang::Load::new(8.0, SECOND).unwrap();
    let waited = 1.0 - report.begun_within(Duration::ZERO);
    assert!((waited / erlang::waits(load, 10) - 1.0).abs() < 0.06, "{waited} for {}", erlang::waits(load, 10));
    let (mean, told) = (report.waits().mean().as_secs_f64(), erlang::mean_wait(load, 10).unwrap().as_secs_f64());
    assert!((mean / told - 1.0).abs() < 0.15, "{mean} for {told}");
    assert!((report.utilisation() - 0.8).abs() < 0.02, "{}", report.utilisation());
    let within = report.begun_within(Duration::from_millis(500));
    assert!((within - erlang::service_level(load, 10, Duration::from_millis(500))).abs() < 0.02, "{within}");
}

fn rough(seed: u64) -> Simulation {
    let policy = Policy::default().with_attempt_timeout(Duration::from_secs(20));
    let jobs = Arrivals::poisson(seed, 1.0).unwrap().take(80).zip(1..);
    let faults = Fault::ALL.iter().fold(Faults::none(), |faults, fault| faults.with(*fault, 10));
    Simulation::new(seed)
        .with_agents((1..=3).map(|id| {
            let spec = AgentSpec::new(AgentId::new(id)).with_skill("work", 1).with_lease(Duration::from_secs(8));
            AgentModel::new(spec).with_failures(100, Failure::transient("no")).unwrap()
        }))
        .with_service("work", Distribution::log_normal(SECOND, 1.0).unwrap())
        .with_network(Distribution::exponential(Duration::from_millis(30)).unwrap())
        .with_reminders(Duration::from_secs(5))
        .with_snapshots(30)
        .with_verification(32)
        .with_jobs(jobs.map(move |(at, n)| Job::task(at, task(n).with_policy(policy.clone()))))
        .with_faults(faults.until(Time::from_secs(120)))
        .with_oracle(Rules::default().with_cancel_grace(Duration::from_secs(30)))
        .must_end_by(Time::from_secs(40_000))
}

#[test]
fn two_runs_are_equal_to_the_byte() {
    let (one, other) = (rough(5).run().unwrap(), rough(5).run().unwrap());
    assert!(one.host.crashes > 0 && one.faults.len() > 5, "{:?}", one.faults);
    assert_eq!(serde_json::to_string(&one.journal).unwrap(), serde_json::to_string(&other.journal).unwrap());
    assert_eq!(one, other);
    assert_ne!(one.digest(), rough(6).run().unwrap().digest());
}

/// A change of this number is a change of what seeds mean: of a failure that somebody has noted down.
#[test]
fn the_golden_digest() {
    let jobs = (1..=50).map(|n| at(n % 7, n));
    let report = Simulation::new(1)
        .with_agents((1..=2).map(agent))
        .with_service("work", Distribution::uniform(SECOND, 3 * SECOND).unwrap())
        .with_jobs(jobs.collect::<Vec<_>>())
        .run()
        .unwrap();
    assert_eq!(report.count(TaskStatus::Succeeded), 50);
    assert_eq!(format!("{:016x}", report.digest()), "afcf7b32ca2cbe22");
}

/// The same task takes the same in a world with more agents.
#[test]
fn worlds_differ_in_what_was_changed_and_not_in_luck() {
    let busy = |agents| -> Report {
        let report = Simulation::new(3).with_agents((1..=agents).map(agent));
        let report = report.with_service("work", Distribution::exponential(SECOND).unwrap());
        report.with_jobs((1..=200).map(|n| at(n / 4, n))).run().unwrap()
    };
    let sum = |report: &Report| report.agents.iter().map(|agent| agent.busy).sum::<Duration>();
    assert_eq!(sum(&busy(5)), sum(&busy(9)));
    assert!(busy(9).waits().mean() < busy(5).waits().mean());
}

#[test]
fn a_trace_is_played_as_it_was_recorded() {
    let rows = "0.5,1200\n0.9,300\n4,2000\n";
    let jobs = rows.lines().zip(1..).map(|(row, n)| {
        let (at, took) = row.split_once(',').unwrap();
        let at = Time::ZERO + Duration::from_secs_f64(at.parse().unwrap());
        Job::task(at, task(n)).taking(Duration::from_millis(took.parse().unwrap()))
    });
    let fast = agent(1).with_speed(2.0).unwrap();
    let report = Simulation::new(1).with_agent(fast).with_jobs(jobs.collect::<Vec<_>>()).run().unwrap();
    let ends: Vec<f64> = report.tasks.iter().map(|task| task.ended.unwrap().as_secs_f64()).collect();
    assert_eq!(ends, [1.1, 1.25, 5.0]);
    assert_eq!(report.waits().as_slice(), [0, 0, 200].map(Duration::from_millis));
    assert_eq!(report.end, Time::from_secs(5));
}

#[test]
fn agents_break_and_come_back() {
    let spec = AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_lease(6 * SECOND);
    let frail =
        AgentModel::new(spec).with_breakdowns(Distribution::constant(10 * SECOND), Distribution::constant(20 * SECOND));
    let report = Simulation::new(2)
        .with_agent(frail)
        .with_service("work", Distribution::constant(4 * SECOND))
        .with_jobs((1..=8).map(|n| at(0, n)).collect::<Vec<_>>())
        .run()
        .unwrap();
    assert!(report.settled);
    assert_eq!(report.count(TaskStatus::Succeeded), 8);
    // Two in each life of ten seconds, and one that dies with it.
    assert_eq!((report.agents[0].deaths, report.lost_agents, report.retries), (3, 3, 3));
}

#[test]
fn a_workflow_runs_on_models() {
    let refuse = |task: &TaskSpec, _: &Attempt| match task.kind.as_str() {
        "ship" => Err(Failure::permanent("no ship")),
        kind => Ok(Payload::of(&kind).unwrap()),
    };
    let definition = Definition::new("order")
        .with_node(Node::new("charge", Action::task("work")).with_undo(Work::new("refund")))
        .with_node(Node::new("ship", Action::task("ship")).with_link(Link::success("charge")))
        .with_output(Expr::node("ship"));
    let spec = AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_skill("ship", 1).with_skill("refund", 1);
    let report = Simulation::new(1)
        .with_agent(AgentModel::new(spec))
        .with_definition(definition)
        .with_answers(refuse)
        .with_jobs([Job::run(Time::from_secs(1), RunSpec::new(RunId::new(1), "order"))])
        .with_oracle(Rules::default())
        .run()
        .unwrap();
    assert!(matches!(report.runs[0].outcome, Some(RunOutcome::Compensated { .. })));
    let kinds: Vec<&str> = report.tasks.iter().map(|task| task.kind.as_str()).collect();
    assert_eq!(kinds, ["work", "ship", "refund"]);
    assert_eq!(report.run_times().longest(), 3 * SECOND);
}

/// Attempts that wait with an agent are begun in turn, called back for others, and asked for.
#[test]
fn agents_that_wait_with_work_and_agents_that_ask_for_it() {
    let hoard = AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_prefetch(3);
    let asks = AgentSpec::new(AgentId::new(2)).with_skill("work", 1).with_polls();
    let report = Simulation::new(4)
        .with_agents([hoard, asks].map(AgentModel::new))
        .with_service("work", Distribution::constant(SECOND))
        .with_jobs((1..=20).map(|n| at(0, n)).collect::<Vec<_>>())
        .with_oracle(Rules::default().with_cancel_grace(Duration::from_secs(30)))
        .run()
        .unwrap();
    assert_eq!(report.count(TaskStatus::Succeeded), 20);
    // Who waits with four has them still when the other has asked in vain.
    let attempts: Vec<u64> = report.agents.iter().map(|agent| agent.attempts).collect();
    assert!(attempts.iter().all(|number| *number > 6) && attempts.iter().sum::<u64>() == 20, "{attempts:?}");
    assert!(report.end <= Time::from_secs(13), "{}", report.end);
}

#[test]
fn an_operator_brings_agents_and_sends_them_away() {
    let brought = Rc::new(Cell::new(1));
    let count = Rc::clone(&brought);
    let autoscale = move |engine: &counterpoint::Engine, _: Time| {
        let waiting: usize = engine.queued().iter().sum();
        if waiting > 4 {
            count.set(count.get() + 1);
            vec![Operation::Join(Box::new(agent(count.get())))]
        } else if waiting == 0 && engine.agents().count() > 1 {
            vec![Operation::Retire(AgentId::new(count.get()))]
        } else {
            Vec::new()
        }
    };
    let report = Simulation::new(4)
        .with_agent(agent(1))
        .with_service("work", Distribution::constant(SECOND))
        .with_jobs((1..=60).map(|n| at(n / 4, n)).collect::<Vec<_>>())
        .with_operator(SECOND, autoscale)
        .with_oracle(Rules::default().prompt())
        .run()
        .unwrap();
    assert!(brought.get() > 2, "{}", brought.get());
    assert_eq!(report.count(TaskStatus::Succeeded), 60);
    let left = report.journal.iter().filter(|entry| format!("{:?}", entry.event).contains("Deregistered")).count();
    assert!(left > 0);
}

#[test]
fn operations_that_are_refused_are_counted() {
    let jobs = [
        at(1, 1),
        Job::command(Time::from_secs(2), TaskCommand::Cancel { task: TaskId::new(9), reason: "why not".into() }),
        Job::command(Time::from_secs(3), AgentCommand::Drain { agent: AgentId::new(7) }),
    ];
    let report = Simulation::new(1).with_agent(agent(1)).with_jobs(jobs).run().unwrap();
    assert_eq!((report.refused, report.count(TaskStatus::Succeeded)), (2, 1));
}

#[test]
fn a_simulation_of_work_without_an_agent_ends() {
    let lonely = Job::task(Time::ZERO, TaskSpec::new(TaskId::new(1), "magic"));
    let spec = AgentSpec::new(AgentId::new(1)).with_lease(30 * SECOND);
    let simulation = || Simulation::new(1).with_agent(AgentModel::new(spec.clone())).with_jobs([lonely.clone()]);
    let report = simulation().run().unwrap();
    assert_eq!((report.settled, report.unfinished(), report.begun_within(SECOND)), (false, 1, 0.0));
    let stuck = simulation().must_end_by(Time::from_secs(60)).run().unwrap_err();
    assert_eq!(stuck.to_string(), "not ended by 60s: task t1");
}

#[test]
fn a_setup_that_is_rejected_is_reported() {
    let lost = Definition::new("lost").with_node(Node::new("a", Action::Pass).with_link(Link::success("nowhere")));
    let refused = Simulation::new(1).with_definition(lost).run();
    assert!(
        matches!(refused, Err(SimError::Refused { reason: Rejected::Invalid(Invalid::Unsound { .. }) })),
        "{refused:?}"
    );
}

#[test]
fn a_simulation_ends_at_its_bound_and_continues_from_there() {
    let world = || Simulation::new(1).with_agent(agent(1)).with_service("work", Distribution::constant(4 * SECOND));
    let jobs: Vec<Job> = (1..=5).map(|n| at(0, n)).collect();
    let first = world().with_jobs(jobs).until(Time::from_secs(9)).run().unwrap();
    assert_eq!((first.settled, first.unfinished()), (false, 3));
    let second = world().with_journal(first.journal).run().unwrap();
    assert_eq!((second.settled, second.count(TaskStatus::Succeeded)), (true, 5));
}

/// An oracle of one's own, for limits of one's own.
#[test]
fn an_oracle_ends_the_simulation() {
    let bound = |step: &Step<'_>| match step.engine.queued().iter().sum::<usize>() {
        waiting if waiting > 3 => Err("too many wait".to_owned()),
        _ => Ok(()),
    };
    let jobs: Vec<Job> = (1..=9).map(|n| at(n, n)).collect();
    let slow = agent(1).with_service("work", Distribution::constant(100 * SECOND));
    let broken = Simulation::new(1).with_agent(slow).with_jobs(jobs).with_oracle(bound).run().unwrap_err();
    assert_eq!(broken.to_string(), "at 5s, call 7: too many wait");
}

/// The rules know nothing of how the engine comes to its facts: a strategy that loses track is found out.
#[test]
fn a_strategy_that_leaves_work_lying_is_found_out() {
    let lazy = || Config::default().with_strategy(counterpoint::routing::Custom::new("lazy", |_, _, _| None));
    let jobs = vec![at(1, 1)];
    let world =
        |rules| Simulation::new(1).with_config(lazy).with_agent(agent(1)).with_jobs(jobs.clone()).with_oracle(rules);
    assert!(!world(Rules::default()).run().unwrap().settled);
    let found = world(Rules::default().prompt()).run().unwrap_err();
    assert!(found.to_string().contains("t1 waits although Some(a1-1) could take it"), "{found}");
}

#[test]
fn retries_follow_the_policy() {
    let stubborn = agent(1).with_failures(1_000, Failure::transient("no")).unwrap();
    let policy = Policy::default().with_retry(Retry::exponential(4, SECOND, SECOND));
    let job = Job::task(Time::ZERO, task(1).with_policy(policy));
    let report =
        Simulation::new(1).with_agent(stubborn).with_jobs([job]).with_oracle(Rules::default().prompt()).run().unwrap();
    assert_eq!((report.tasks[0].attempts, report.tasks[0].status()), (4, Some(TaskStatus::DeadLettered)));
    let again = Command::from(TaskCommand::Replay { dead: TaskId::new(1), fresh: TaskId::new(2) });
    let more = Simulation::new(1)
        .with_agent(agent(2))
        .with_journal(report.journal)
        .with_jobs([
            Job::command(Time::ZERO, again),
            Job::command(Time::ZERO, AgentCommand::Deregister { agent: AgentId::new(1) }),
        ])
        .run()
        .unwrap();
    assert_eq!(more.tasks.iter().filter(|task| task.status() == Some(TaskStatus::Succeeded)).count(), 1);
}
