//! Known answers.

use super::script::{life, small, turned_back};
use counterpoint::journal::Projection;
use counterpoint::message::{NodeStatus, RunPhase};
use counterpoint::observe::{
    Bar, BarResult, Metrics, MetricsSnapshot, Progress, Story, Timeline, TimelineData, WaitsFor,
};
use counterpoint::task::NodeIx;
use counterpoint::{AgentId, RunId, TaskId, Tier};
use std::time::Duration;

#[test]
fn metrics_of_the_small_journal() {
    let mut metrics = Metrics::default();
    metrics.replay(&small().entries);
    let now = metrics.snapshot();
    let counts = now.all.counts;
    assert_eq!((counts.submitted, counts.succeeded, counts.attempts), (8, 6, 10));
    assert_eq!((counts.retries, counts.failovers, counts.under_way()), (2, 2, 2));
    assert_eq!(now.agents_lost, 1);
    let charge = now.kinds["charge"];
    assert_eq!((charge.counts.attempts, charge.run.count, charge.run.max), (2, 2, Duration::from_millis(128)));
    // From 90 to 95, then from 200, when the back-off was over, to 202.
    assert_eq!((charge.queue.max, charge.queue.mean), (Duration::from_millis(5), Duration::from_micros(3_500)));
    assert_eq!(now.tiers[&Tier::Low].counts.submitted, 1);
    let bo = now.agents[&AgentId::new(2)];
    assert_eq!((bo.attempts, bo.succeeded, bo.failed, bo.holds), (2, 1, 1, 0));
    assert_eq!(bo.busy, Duration::from_millis(155 + 175));
    let text = serde_json::to_string(&now).unwrap();
    assert_eq!(serde_json::from_str::<MetricsSnapshot>(&text).unwrap(), now);
}

#[test]
fn metrics_have_room_for_so_many() {
    let mut metrics = Metrics::default().with_kinds(1).with_agents(1).with_tasks(2);
    metrics.replay(&small().entries);
    let now = metrics.snapshot();
    assert_eq!((now.kinds.len(), now.agents.len()), (1, 1));
    assert_eq!(now.all.counts.succeeded, 6);
    assert_eq!(now.other_kinds.unwrap().counts.submitted, 7);
    assert!(now.other_agents.unwrap().attempts >= 5);
}

#[test]
fn progress_of_the_small_journal() {
    let mut progress = Progress::default();
    progress.replay(&small().entries);
    let now = progress.run(RunId::new(1)).unwrap();
    assert_eq!((now.nodes.total, now.nodes.over, now.nodes.running, now.nodes.skipped), (9, 5, 1, 1));
    assert_eq!((now.nodes.items, now.nodes.items_over), (3, 3));
    // Five of nine, and half of the parcel.
    assert!((now.share - 5.5 / 9.0).abs() < 1e-5);
    assert_eq!((now.phase, now.children.as_slice()), (RunPhase::Running, [RunId::new(2)].as_slice()));
    assert_eq!(now.waits[0].what, WaitsFor::Run { run: RunId::new(2) });
    let child = progress.run(RunId::new(2)).unwrap();
    assert_eq!((child.parent, child.share), (Some(RunId::new(1)), 0.5));
    assert_eq!(child.to_string(), "pack \"fragile\" (r2): running, 50 %, 1 of 2 nodes; waits for label (t41 on a1)");
}

#[test]
fn progress_of_a_run_that_is_compensated() {
    let mut progress = Progress::default();
    progress.replay(&turned_back().entries);
    let now = progress.run(RunId::new(1)).unwrap();
    assert_eq!(now.phase, RunPhase::CompensationFailed);
    assert_eq!(now.waits[0].what, WaitsFor::Operator);
    assert_eq!(progress.node(RunId::new(1), NodeIx::new(0)), Some(NodeStatus::CompensationFailed));
    assert_eq!(progress.node(RunId::new(1), NodeIx::new(8)), Some(NodeStatus::Waiting));
    assert_eq!(progress.node(RunId::new(1), NodeIx::new(9)), None);
    let child = progress.run(RunId::new(2)).unwrap();
    assert_eq!((child.phase, child.share), (RunPhase::Finished, 1.0));
}

#[test]
fn bars_of_the_small_journal() {
    let mut timeline = Timeline::default();
    timeline.replay(&small().entries);
    let find = |task: u64, attempt: u32| -> &Bar {
        timeline.bars().find(|bar| bar.task == TaskId::new(task) && bar.attempt == attempt).unwrap()
    };
    assert_eq!(timeline.bars().count(), 10);
    assert_eq!((find(30, 1).result, find(21, 1).result), (BarResult::Failed, BarResult::Unknown));
    assert_eq!((find(30, 2).result, find(41, 1).result), (BarResult::Succeeded, BarResult::Open));
    let step = find(41, 1).step.as_ref().unwrap();
    assert_eq!((&*step.node, step.run), ("label", RunId::new(2)));
    assert_eq!(timeline.agent_name(AgentId::new(2)).unwrap(), "Bo & Co");
    let data = timeline.data();
    let text = serde_json::to_string(&data).unwrap();
    assert_eq!(serde_json::from_str::<TimelineData>(&text).unwrap(), data);
    let mut few = Timeline::new(3);
    few.replay(&small().entries);
    assert_eq!(few.bars().cloned().collect::<Vec<_>>(), data.bars[7..]);
}

#[test]
fn stories_are_short() {
    let mut story = Story::new(2, 100);
    story.replay(&small().entries);
    let lines: Vec<&str> = story.of(life(2).agent()).map(|line| &*line.text).collect();
    assert_eq!(
        lines,
        [
            "Bo & Co (a2-1) was lost",
            "resize (t21-1) failed on Bo & Co (a2-1) (outcome unknown: agent lost); retried at once"
        ]
    );
    assert!(story.of(RunId::new(2)).any(|line| line.text.contains("print (t41-1) assigned")));
    let mut story = Story::new(2, 3);
    story.replay(&small().entries);
    assert_eq!(story.subjects().count(), 3);
}
