//! Four roles that descriptions of agent teams name, and the parts of the library that fill them:
//!
//! | role | part |
//! |---|---|
//! | context manager | `coordination::blackboard::Blackboard` |
//! | error coordinator | dead letters, `TaskCommand::Replay`, `observe::Story` |
//! | performance monitor | `observe::Metrics`, `observe::Alerts` |
//! | knowledge synthesizer | `coordination::aggregate` |
//!
//! ```text
//! cargo run --features coordination,testing --example team_roles
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use counterpoint::coordination::aggregate::{reciprocal_rank_fusion, vote};
use counterpoint::coordination::blackboard::{Blackboard, Scope, Write};
use counterpoint::definition::Reducer;
use counterpoint::journal::Projection;
use counterpoint::observe::{AlertRules, Alerts, Metrics, Signal, Story};
use counterpoint::task::Exhausted;
use counterpoint::testing::{Rehearsal, Reply, Script};
use counterpoint::{
    AgentId, AgentSpec, Config, Failure, Payload, Policy, Retry, RunId, TaskCommand, TaskId, TaskSpec, Tier, Time,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

const ANN: AgentId = AgentId::new(1);
const BEN: AgentId = AgentId::new(2);
const CLEO: AgentId = AgentId::new(3);

fn main() -> Result<(), Box<dyn Error>> {
    println!("context manager: {}", context_manager()?);
    for line in error_coordinator()? {
        println!("error coordinator: {line}");
    }
    for line in performance_monitor() {
        println!("performance monitor: {line}");
    }
    println!("knowledge synthesizer: {}", knowledge_synthesizer()?);
    Ok(())
}

/// Shared context of a run: findings are combined, subscribers are named, and a plan is replaced only by an agent that has
/// read the current one.
fn context_manager() -> Result<String, Box<dyn Error>> {
    let run = Scope::Run(RunId::new(7));
    let mut board = Blackboard::default();
    board.declare(run.clone(), "findings", Reducer::Append);
    board.subscribe(BEN, run.clone(), "find");
    let (_, subscribers) = board.write(Write::new(run.clone(), "findings", json!("a leak")), ANN, Time::ZERO)?;
    board.write(Write::new(run.clone(), "findings", json!("a crack")), BEN, Time::ZERO)?;
    let plan = Write::new(run.clone(), "plan", json!("mend it"));
    board.write(plan.clone(), ANN, Time::ZERO)?;
    let conflict = board.write(plan, BEN, Time::ZERO).err().ok_or("a plan was overwritten unread")?;
    let findings = board.get(&run, "findings").ok_or("there are no findings")?.value.clone();
    Ok(format!("findings {findings}, subscribers {subscribers:?}; {conflict}"))
}

/// A task that fails becomes a dead letter, its story shows why, and it is replayed once the cause is mended.
fn error_coordinator() -> Result<Vec<String>, Box<dyn Error>> {
    let (first, second) = (TaskId::new(1), TaskId::new(2));
    let mut rehearsal = Rehearsal::new(Config::default);
    let broken = Reply::fail(Failure::transient("the index is corrupt"));
    rehearsal.join(AgentSpec::new(ANN), Script::new().on("search", [broken]));
    let policy = Policy::default().with_retry(Retry::never()).with_exhausted(Exhausted::DeadLetter);
    rehearsal.submit(TaskSpec::new(first, "search").with_policy(policy));
    rehearsal.run();
    let mended = Script::new().on("search", [Reply::ok(&json!(["page 4"]))]);
    rehearsal.join(AgentSpec::new(ANN), mended);
    rehearsal.command(TaskCommand::Replay { dead: first, fresh: second })?;
    rehearsal.run();
    rehearsal.recording().assert_succeeded(second);
    let mut story = Story::default();
    rehearsal.recording().entries().iter().for_each(|entry| story.apply(entry));
    let mut lines: Vec<String> = story.of(first).chain(story.of(second)).map(ToString::to_string).collect();
    // The replay is part of both stories.
    lines.dedup();
    Ok(lines)
}

/// Figures and alerts are folded from the same events: twenty critical tasks for one agent miss their target.
fn performance_monitor() -> Vec<String> {
    let mut rehearsal = Rehearsal::new(Config::default);
    let slow = Reply::ok(&1).after(Duration::from_secs(2));
    rehearsal.join(AgentSpec::new(CLEO), Script::new().on("answer", [slow]));
    (1..=20).for_each(|id| rehearsal.submit(TaskSpec::new(TaskId::new(id), "answer").with_tier(Tier::Critical)));
    rehearsal.run();
    let (mut metrics, mut alerts) = (Metrics::default(), Alerts::new(AlertRules::default()));
    for entry in rehearsal.recording().entries() {
        metrics.apply(entry);
        alerts.apply(entry);
    }
    let all = metrics.snapshot().all;
    let figures = format!("{} done, {:?} longest wait", all.counts.succeeded, all.queue.max);
    let late = alerts.active().filter(|alert| alert.signal == Signal::LatencyTarget(Tier::Critical));
    std::iter::once(figures).chain(late.map(ToString::to_string)).collect()
}

/// Answers of several agents become one, with the dissent, and rankings of different lengths become one ranking.
fn knowledge_synthesizer() -> Result<String, Box<dyn Error>> {
    let answers = [(ANN, 42), (BEN, 41), (CLEO, 42)].map(|(agent, answer)| (agent, Payload::new(answer.into())));
    let voted = vote(&BTreeMap::from(answers), &BTreeMap::new()).ok_or("there are no answers")?;
    let rankings = [vec!["survey".into(), "interview".into()], vec!["interview".into(), "log".into()]];
    let best = reciprocal_rank_fusion(&rankings, 60.0);
    let best = best.first().map(|(name, _)| name.to_string()).unwrap_or_default();
    Ok(format!(
        "{} with weight {} of {}, dissent {:?}; best source {best}",
        voted.answer,
        voted.weight,
        voted.of,
        voted.dissent.keys()
    ))
}
