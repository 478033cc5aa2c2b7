//! Work that is handed on, on agents that die and are slow, under the rules that share nothing with the engine.

use crate::language::{compiled, example};
use counterpoint::message::{NodeEvent, PartEvent};
use counterpoint::sim::{AgentModel, Distribution, Fault, Faults, Job, Report, Rules, Simulation};
use counterpoint::workflow::Attempt;
use counterpoint::{
    AgentId, AgentSpec, Entry, Event, Failure, Limits, Payload, RunId, RunOutcome, RunSpec, TaskSpec, Time,
};
use serde_json::{Value, json};
use std::time::Duration;

/// Long questions are broken down, short ones looked up; every now and then an answer is none.
fn answers(task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
    let given = task.payload.value();
    if task.kind == "write_up" {
        let found: Vec<&str> = given["results"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        return Ok(Payload::new(json!({"done": found.join(", ")})));
    }
    let words: Vec<&str> = given.as_str().unwrap().split(' ').collect();
    if words.len() == 3 && attempt.number() == 1 {
        return Ok(Payload::new(json!("what was the question?")));
    }
    let kind = |part: &[&str]| if part.len() > 1 { "look_into" } else { "search" };
    let part = |part: &[&str]| json!({"kind": kind(part), "payload": part.join(" ")});
    Ok(Payload::new(match words.as_slice() {
        [word] => json!({"done": format!("{word}!")}),
        words => {
            let (left, right) = words.split_at(words.len() / 2);
            json!({"delegate": [part(left), part(right)]})
        }
    }))
}

fn world(seed: u64) -> Simulation {
    let recipe = compiled(&example("question.yaml"));
    let given = json!({"question": "tea cups and kettles"});
    let runs: Vec<Job> = (1..=2)
        .map(|n| {
            Job::run(
                Time::from_secs(4 + n),
                RunSpec::new(RunId::new(n), &recipe.name).with_input(Payload::new(given.clone())),
            )
        })
        .collect();
    let agent = |id| {
        let spec = AgentSpec::new(AgentId::new(id)).with_capacity(2).with_lease(Duration::from_secs(8));
        AgentModel::new(
            ["look_into", "search", "write_up"].into_iter().fold(spec, |spec, skill| spec.with_skill(skill, 1)),
        )
    };
    Simulation::new(seed)
        .with_agents([1, 2, 3].map(agent))
        .with_service("search", Distribution::constant(Duration::from_secs(2)))
        .with_definition(recipe)
        .with_answers(answers)
        .with_jobs(runs)
        .with_oracle(Rules::default().with_cancel_grace(Limits::default().cancel_grace))
}

fn outcomes(report: &Report) -> Vec<RunOutcome> {
    assert!(report.settled && report.lost == 0 && report.twice == 0);
    report.runs.iter().map(|run| run.outcome.clone().unwrap()).collect()
}

#[test]
fn the_host_dies_at_every_event_of_a_delegated_question() {
    let whole = world(1).run().unwrap();
    let expected = outcomes(&whole);
    let output = Payload::new(json!("tea!, cups!, and!, kettles!"));
    assert_eq!(expected[0], RunOutcome::Succeeded { output });
    let splits = |journal: &[Entry]| {
        journal
            .iter()
            .filter(|entry| {
                matches!(entry.event, Event::Node { event: NodeEvent::Part { event: PartEvent::Split { .. }, .. }, .. })
            })
            .count()
    };
    assert_eq!(splits(&whole.journal), 6);
    for cut in 0..whole.journal.len() {
        let report = world(1).with_crash_after(cut).with_downtime(Duration::ZERO).run();
        let report = report.unwrap_or_else(|why| panic!("a crash after {cut} facts: {why}"));
        assert_eq!(outcomes(&report), expected, "a crash after {cut} facts");
    }
}

#[test]
fn agents_that_die_do_not_keep_a_question_from_its_end() {
    let faults =
        || Fault::ALL.iter().fold(Faults::none(), |faults, fault| faults.with(*fault, 20)).until(Time::from_secs(60));
    for seed in 0..20 {
        let world = world(seed).with_faults(faults()).with_reminders(Duration::from_secs(5));
        let report = world.must_end_by(Time::from_secs(40_000)).run().unwrap_or_else(|why| panic!("{seed}: {why}"));
        outcomes(&report);
    }
}
