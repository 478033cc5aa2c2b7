//! The host dies at every fact of four loads, in the midst of an append if need be: what comes of them stays the same.

use crate::language::{able, compiled, example};
use counterpoint::message::{NodeStatus, ResetPoint, RunEvent};
use counterpoint::scheduler::Preemption;
use counterpoint::scheduler::TaskStatus;
use counterpoint::sim::{AgentModel, Arrivals, Distribution, Job, Operation, Report, Rules, Simulation};
use counterpoint::workflow::Attempt;
use counterpoint::{
    AgentId, AgentSpec, Config, Event, Failure, Limits, Payload, Policy, Retry, RunCommand, RunId, RunOutcome, RunSpec,
    TaskId, TaskSpec, Tier, Time,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Script = fn(&str, &Value) -> Result<Value, Failure>;
type Ends = (BTreeMap<TaskId, TaskStatus>, BTreeMap<RunId, RunOutcome>);

/// Runs of a workflow from a file: two of them, one after the other, on two agents.
fn workflow(file: &str, input: &Value, script: Script) -> Simulation {
    let recipe = compiled(&example(file));
    // Not before the definition is there, a crash or not: who starts a run of what is not defined is refused.
    let runs = (1..=2).map(|n| {
        Job::run(
            Time::from_secs(4 + n),
            RunSpec::new(RunId::new(n), &recipe.name).with_input(Payload::new(input.clone())),
        )
    });
    let runs: Vec<Job> = runs.collect();
    let agent = |id| AgentModel::new(able(id).with_capacity(3));
    Simulation::new(9)
        .with_agents([agent(1), agent(2)])
        .with_definition(recipe)
        .with_answers(move |task: &TaskSpec, _: &Attempt| script(&task.kind, task.payload.value()).map(Payload::new))
        .with_jobs(runs)
        .with_oracle(Rules::default().with_cancel_grace(Limits::default().cancel_grace))
}

/// What the host's own tasks and runs come to. Of a run's tasks only the numbers are the engine's, so they are left out.
fn ends(report: &Report) -> Ends {
    assert!(report.settled && report.lost == 0 && report.twice == 0);
    let own = report.tasks.iter().filter(|task| task.owner.is_none());
    let tasks = own.map(|task| (task.id, task.status().unwrap())).collect();
    let runs = report.runs.iter().map(|run| (run.id, run.outcome.clone().unwrap())).collect();
    (tasks, runs)
}

/// A crash after so many facts, for every so many.
fn crash_everywhere(world: impl Fn() -> Simulation, every: usize) -> (usize, Ends) {
    let whole = world().run().unwrap();
    let expected = ends(&whole);
    let mut crashes = 0;
    for cut in (0..whole.journal.len()).step_by(every) {
        let report = world().with_crash_after(cut).with_downtime(Duration::ZERO).run();
        let report = report.unwrap_or_else(|why| panic!("a crash after {cut} facts: {why}"));
        assert_eq!(report.host.crashes, 1, "a crash after {cut} facts");
        assert_eq!(ends(&report), expected, "a crash after {cut} facts");
        crashes += 1;
    }
    (crashes, expected)
}

fn sold(kind: &str, given: &Value) -> Result<Value, Failure> {
    match kind {
        "reserve" => Ok(json!({"shelf": 7})),
        "charge" => Ok(json!({"paid": given["cents"]})),
        "ship" if given["shelf"] == 7 => Err(Failure::permanent("the carrier is gone")),
        _ => Ok(Value::Null),
    }
}

#[test]
fn the_host_dies_at_every_event_of_a_compensated_order() {
    let order = json!({"item": "tea", "cents": 450, "mail": "a@example.org"});
    let (crashes, (_, runs)) = crash_everywhere(|| workflow("order.yaml", &order, sold), 1);
    assert!(crashes > 40, "{crashes}");
    assert!(runs.values().all(|outcome| matches!(outcome, RunOutcome::Compensated { .. })), "{runs:?}");
}

/// An operator who has every run done anew once it has come some way, the first time as it is and then undone.
fn set_back(world: Simulation, times: usize) -> Simulation {
    let mut asked: BTreeMap<RunId, usize> = BTreeMap::new();
    let slow =
        |world: Simulation, kind: &&str| world.with_service(*kind, Distribution::constant(Duration::from_secs(1)));
    let world = ["reserve", "charge", "fraud", "release", "refund"].iter().fold(world, slow);
    world.with_operator(Duration::from_millis(700), move |engine, _| {
        let mut wanted = Vec::new();
        for run in engine.runs().filter(|run| run.owner().is_none()) {
            let asked = asked.entry(run.id()).or_default();
            let begun = run.nodes().any(|node| node.status() != NodeStatus::Waiting);
            let stands = !matches!(run.outcome(), Some(RunOutcome::Succeeded { .. })) && begun;
            if *asked < times && stands {
                *asked += 1;
                let (to, reason) = (ResetPoint::before(["charge"]), "once more".into());
                wanted.push(Operation::Send(RunCommand::Reset { run: run.id(), to, undo: *asked > 1, reason }.into()));
            }
        }
        wanted
    })
}

#[test]
fn the_host_dies_at_every_event_of_orders_that_are_reset() {
    let order = json!({"item": "tea", "cents": 450, "mail": "a@example.org"});
    let world = || set_back(workflow("order.yaml", &order, sold), 4);
    let journal = world().run().unwrap().journal;
    let count = |is: fn(&RunEvent) -> bool| {
        journal.iter().filter(|entry| matches!(&entry.event, Event::Run { event, .. } if is(event))).count()
    };
    let resets = count(|event| matches!(event, RunEvent::Reset { .. }));
    let restarts = count(|event| matches!(event, RunEvent::Restarted { .. }));
    assert!(resets >= 3 && restarts >= 3, "{resets} {restarts}");
    // What a crash makes later may find an order in another place, so only that all ends well is the same.
    for cut in 0..world().run().unwrap().journal.len() {
        let report = world().with_crash_after(cut).with_downtime(Duration::ZERO).run();
        let report = report.unwrap_or_else(|why| panic!("a crash after {cut} facts: {why}"));
        assert!(report.settled && report.lost == 0 && report.twice == 0, "a crash after {cut} facts");
        assert!(report.runs.iter().all(|run| run.outcome.is_some()), "a crash after {cut} facts");
    }
}

fn table(kind: &str, given: &Value) -> Result<Value, Failure> {
    Ok(match kind {
        "extract" => json!([given["source"]]),
        "clean" => json!([given["orders"][0], given["customers"][0], given["products"][0]]),
        "validate" => json!({"valid": true, "rows": given.as_array().unwrap().len()}),
        "load" => json!({"rows": given}),
        _ => given.clone(),
    })
}

#[test]
fn the_host_dies_at_every_event_of_an_etl() {
    let sources = json!({"orders": "a", "customers": "b", "products": "c"});
    let (crashes, (_, runs)) = crash_everywhere(|| workflow("etl.yaml", &sources, table), 1);
    assert!(crashes > 50, "{crashes}");
    assert!(runs.values().all(|outcome| matches!(outcome, RunOutcome::Succeeded { .. })), "{runs:?}");
}

fn studied(kind: &str, given: &Value) -> Result<Value, Failure> {
    Ok(match kind {
        "decompose" => json!({"topics": ["tea", "coffee", "water"], "questions": ["why"], "pictures": true}),
        "research" if given == "water" => return Err(Failure::permanent("no sources")),
        "research" => json!(format!("about {}", given.as_str().unwrap())),
        "analyze" => given["findings"].clone(),
        "coordinate" => json!([given["analysis"], given["pictures"]]),
        "synthesize" if given["before"].is_null() => json!({"text": given["material"], "version": 1}),
        "synthesize" => json!({"text": given["material"], "version": 2}),
        "review" => json!(given["draft"]["version"] == 2),
        "deliver" => json!({"to": given["audience"], "report": given["report"]}),
        _ => json!("chart"),
    })
}

#[test]
fn the_host_dies_at_every_event_of_a_research_workflow() {
    let question = json!({"question": "what to drink"});
    let (crashes, (_, runs)) = crash_everywhere(|| workflow("research.yaml", &question, studied), 1);
    assert!(crashes > 60, "{crashes}");
    assert!(runs.values().all(|outcome| matches!(outcome, RunOutcome::Succeeded { .. })), "{runs:?}");
}

/// A thousand tasks: some fail a few times, some for ever; urgent ones call others back.
fn mixed(count: u64) -> Simulation {
    let tries: Arc<Mutex<BTreeMap<TaskId, BTreeMap<u32, u32>>>> = Arc::default();
    // What comes of a task hangs on how often it was tried to its end, not on how often an attempt was called back.
    let answers = move |task: &TaskSpec, attempt: &Attempt| {
        let mut tries = tries.lock().unwrap();
        let tried = tries.entry(task.id).or_default();
        let place = u32::try_from(tried.len()).unwrap();
        let which = *tried.entry(attempt.number()).or_insert(place);
        let fails = match task.id.get() % 10 {
            0 => 9,
            number @ 1..=3 => u32::try_from(number).unwrap() - 1,
            _ => 0,
        };
        if which < fails { Err(Failure::transient("not yet")) } else { Ok(Payload::NULL) }
    };
    let arrivals = Arrivals::poisson(5, 8.0).unwrap();
    let job = |(at, n): (Time, u64)| {
        let retry = Retry::exponential(3, Duration::from_millis(200), Duration::from_secs(2));
        let tier = if n % 7 == 0 { Tier::Critical } else { Tier::Normal };
        let task =
            TaskSpec::new(TaskId::new(n), "work").with_tier(tier).with_policy(Policy::default().with_retry(retry));
        Job::task(at, if tier == Tier::Normal { task.with_preemptible() } else { task })
    };
    let jobs: Vec<Job> = arrivals.zip(1..=count).map(job).collect();
    let agent = |id| AgentModel::new(AgentSpec::new(AgentId::new(id)).with_skill("work", 1));
    Simulation::new(5)
        .with_config(|| Config::default().with_seed(5).with_story(0).with_preemption(Preemption::default()))
        .with_agents((1..=10).map(agent))
        .with_service("work", Distribution::exponential(Duration::from_secs(1)).unwrap())
        .with_answers(answers)
        .with_jobs(jobs)
}

#[test]
fn the_host_dies_in_a_mixed_load_of_a_thousand_tasks() {
    let whole = mixed(1_000).run().unwrap();
    assert!(whole.given_back > 20 && whole.retries > 200, "{} {}", whole.given_back, whole.retries);
    assert_eq!(whole.count(TaskStatus::DeadLettered), 100);
    // Each fact in the long run of the project's tests, otherwise some of them.
    let every = if crate::cases(0) >= 4_096 { 1 } else { whole.journal.len() / 9 };
    let (crashes, _) = crash_everywhere(|| mixed(1_000), every);
    assert!(crashes >= 9, "{crashes}");
}

/// The same in small, at every fact.
#[test]
fn the_host_dies_at_every_event_of_a_small_mixed_load() {
    let (crashes, (tasks, _)) = crash_everywhere(|| mixed(24), 1);
    assert!(crashes > 80 && tasks.values().any(|status| *status == TaskStatus::DeadLettered), "{crashes} {tasks:?}");
}
