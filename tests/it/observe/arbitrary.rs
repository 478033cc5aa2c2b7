//! Any sequence of events, sensible or not: nothing panics, and the counts are those of a recount.

use super::script::owner;
use counterpoint::definition::{Action, Body, Definition, Expr, Link, Map, Node, Work};
use counterpoint::journal::Projection;
use counterpoint::message::{
    AgentEvent, CatalogueEvent, Cause, CompensationOutcome, ControlEvent, Next, NodeEvent, NodeOutcome, NodeRef,
    Opening, RunEvent, TaskEvent,
};
use counterpoint::observe::{
    Alerts, Audit, Counts, Lineage, Metrics, Names, Picture, Progress, Story, SvgOptions, Timeline, to_prometheus,
};
use counterpoint::task::{AttemptNumber, Bound, NodeIx, Rating, SideEffects};
use counterpoint::{
    AgentId, AgentSpec, Entry, Event, Failure, Incarnation, Payload, RunId, RunOutcome, RunSpec, Seq, TaskId, TaskSpec,
    Tier, Time,
};
use proptest::prelude::*;
use std::sync::Arc;

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![4 => (0..5_000_u64).prop_map(Time::from_millis), 1 => any::<u64>().prop_map(Time::from_nanos)]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[abc]", "\\PC{0,12}", Just("end\n\"]-->".to_owned())]
}

fn failure() -> impl Strategy<Value = Failure> {
    (name(), 0..3_u8).prop_map(|(message, kind)| match kind {
        0 => Failure::transient(message),
        1 => Failure::permanent(message),
        _ => Failure::unknown(message),
    })
}

fn place() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 0..4_u32, 1 => any::<u32>()]
}

fn life() -> impl Strategy<Value = Incarnation> {
    (0..4_u64, 0..3_u64).prop_map(|(agent, number)| Incarnation::new(AgentId::new(agent), number))
}

fn agent_event() -> impl Strategy<Value = Event> {
    (life(), 0..5_u8, name()).prop_map(|(by, what, name)| {
        let spec = Arc::new(AgentSpec::new(by.agent()).with_name(name));
        let event = match what {
            0 => AgentEvent::Registered { spec },
            1 => AgentEvent::Updated { spec },
            2 => AgentEvent::Draining,
            3 => AgentEvent::Deregistered,
            _ => AgentEvent::Lost,
        };
        event.of(by)
    })
}

fn submitted() -> impl Strategy<Value = Event> {
    let of = proptest::option::of((0..4_u64, place(), place(), any::<bool>()));
    (0..6_u64, name(), of, 0..4_usize, proptest::option::of(0..6_u64)).prop_map(|(id, kind, of, tier, waits)| {
        let mut spec = TaskSpec::new(TaskId::new(id), kind).with_tier(Tier::ALL[tier]);
        spec = spec.with_after(waits.map(TaskId::new));
        spec.owner = of.map(|(run, node, item, undo)| owner(run, node, item, if undo { "undo" } else { "do" }));
        TaskEvent::Submitted { spec: Arc::new(spec), replays: waits.map(TaskId::new), expected: None }
            .of(TaskId::new(id))
    })
}

fn task_event() -> impl Strategy<Value = Event> {
    (0..6_u64, 0..4_u32, life(), 0..10_u8, failure(), time(), 0..4_u8).prop_map(
        |(task, number, by, what, failure, at, more)| {
            let (attempt, task, reason) = (AttemptNumber::new(number), TaskId::new(task), "why".into());
            let next = match more {
                0 => Next::Fail,
                1 => Next::DeadLetter,
                _ => Next::Retry { at, tier: None },
            };
            let event = match what {
                0 => TaskEvent::Ready,
                1 | 2 => TaskEvent::Assigned { attempt, to: by },
                3 => {
                    let (outcome_unknown, beyond_budget) = (false, false);
                    TaskEvent::AttemptFailed {
                        attempt,
                        by,
                        failure: Box::new(failure),
                        next,
                        outcome_unknown,
                        beyond_budget,
                    }
                }
                4 => TaskEvent::Succeeded { attempt, by, output: Payload::NULL },
                5 if more == 0 => TaskEvent::CancelRequested { reason },
                5 => TaskEvent::Cancelled { reason, side_effects: SideEffects::Possible },
                6 => TaskEvent::Expired { bound: Bound::Total, outcome_unknown: false },
                7 => TaskEvent::Discarded { reason },
                8 => TaskEvent::Rated { agent: by.agent(), kind: reason, rating: Rating::BEST },
                _ => return ControlEvent::TasksForgotten { tasks: vec![task] }.into(),
            };
            event.of(task)
        },
    )
}

/// A definition with names and links that mean anything or nothing, and workflows within.
fn definition() -> impl Strategy<Value = Definition> {
    let leaf = (name(), prop::collection::vec((name(), name(), 0..4_u8), 0..4)).prop_map(|(name, nodes)| {
        nodes.into_iter().fold(Definition::new(name), |flow, (node, after, on)| {
            let link = match on {
                0 => Link::success(after),
                1 => Link::failure(after),
                2 => Link::always(after),
                _ => Link::case(after.clone(), after),
            };
            flow.with_node(Node::new(node, Action::task("work")).with_link(link))
        })
    });
    leaf.prop_recursive(4, 16, 3, |inner| {
        (name(), prop::collection::vec((name(), inner, 0..4_u8), 0..4)).prop_map(|(name, nodes)| {
            nodes.into_iter().fold(Definition::new(name), |flow, (node, inner, what)| {
                let body = Body::Flow(Arc::new(inner));
                let action = match what {
                    0 => Action::Do(body),
                    1 => Action::Map(Map::over(Expr::Input, body)),
                    2 => Action::Wait { signal: None, timer: None },
                    _ => Action::Pass,
                };
                flow.with_node(Node::new(node, action).with_undo(Work::new("undo")).as_pivot())
            })
        })
    })
}

fn node_ref() -> impl Strategy<Value = NodeRef> {
    (place(), name()).prop_map(|(node, name)| NodeRef::new(NodeIx::new(node), name))
}

fn run_event() -> impl Strategy<Value = Event> {
    let of = proptest::option::of((0..4_u64, place()));
    (0..4_u64, node_ref(), 0..7_u8, failure(), definition(), of, place()).prop_map(
        |(run, node, what, failure, definition, of, many)| {
            let run = RunId::new(run);
            let cause = Cause::Node { node: "x".into(), failure: Box::new(failure) };
            let event = match what {
                0 if many % 2 == 1 => {
                    let changed = Definition::new("x").differences(&definition);
                    return CatalogueEvent::Redefined { definition: Arc::new(definition.with_version(0)), changed }
                        .into();
                }
                0 => return CatalogueEvent::Defined { definition: Arc::new(definition.with_version(0)) }.into(),
                1 | 2 => RunEvent::Started {
                    spec: Arc::new(RunSpec::new(run, definition.name)),
                    version: 0,
                    owner: of.map(|(run, node)| owner(run, node, many, "do")),
                    hash: None,
                },
                3 => RunEvent::Failing { cause },
                4 => RunEvent::Compensating { nodes: vec![node.clone(), node] },
                5 => RunEvent::Finished { outcome: RunOutcome::Compensated { cause } },
                _ => return ControlEvent::RunsForgotten { runs: vec![run] }.into(),
            };
            event.of(run)
        },
    )
}

fn node_event() -> impl Strategy<Value = Event> {
    (0..4_u64, node_ref(), 0..5_u8, failure(), place()).prop_map(|(run, node, what, failure, many)| {
        let event = match what {
            0 => NodeEvent::Opened { what: Opening::Map { items: many, list: None, bounds: None } },
            1 => NodeEvent::Opened { what: Opening::Wait { until: None } },
            2 => NodeEvent::Finished { outcome: NodeOutcome::Succeeded, took: vec![], output: None, signal: None },
            3 => NodeEvent::Compensated { outcome: CompensationOutcome::Failed { failure } },
            _ => NodeEvent::CompensationRetried,
        };
        event.of(RunId::new(run), node)
    })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let event =
        prop_oneof![1 => agent_event(), 2 => submitted(), 6 => task_event(), 2 => run_event(), 2 => node_event()];
    prop::collection::vec((time(), event), 0..120)
        .prop_map(|facts| (1..).zip(facts).map(|(seq, (at, event))| Entry { seq: Seq::new(seq), at, event }).collect())
}

/// One count after the other, by itself.
fn recount(entries: &[Entry]) -> Counts {
    let mut counts = Counts::default();
    for entry in entries {
        let Event::Task { event, .. } = &entry.event else { continue };
        match event {
            TaskEvent::Submitted { replays, .. } => {
                counts.submitted += 1;
                counts.replayed += u64::from(replays.is_some());
            }
            TaskEvent::Assigned { .. } => counts.attempts += 1,
            TaskEvent::AttemptFailed { next: Next::Retry { .. }, .. } => counts.retries += 1,
            TaskEvent::AttemptFailed { next: Next::Fail, .. } => counts.failed += 1,
            TaskEvent::AttemptFailed { next: Next::DeadLetter, .. } => counts.dead_lettered += 1,
            TaskEvent::Cancelled { .. } => counts.cancelled += 1,
            TaskEvent::Succeeded { .. } => counts.succeeded += 1,
            TaskEvent::Expired { .. } => counts.expired += 1,
            TaskEvent::Discarded { .. } => counts.discarded += 1,
            _ => {}
        }
    }
    counts
}

/// Whether every tag is closed and every text escaped: enough of XML to see an injection.
fn well_formed(svg: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    for piece in svg.split('<').skip(1) {
        let Some((tag, text)) = piece.split_once('>') else { return false };
        if text.contains('>') || text.chars().any(|letter| letter.is_control() && letter != '\n') {
            return false;
        }
        if let Some(closed) = tag.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return false;
            }
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or_default());
        }
    }
    open.is_empty()
}

proptest! {
    #![proptest_config(crate::property(192))]

    #[test]
    fn nothing_panics(entries in entries(), width in 0..3_000_u32, bars in 0..40_usize, lanes in 0..4_usize, room in 1..5_usize) {
        let (mut metrics, mut progress) = (Metrics::default().with_kinds(2).with_tasks(room), Progress::default().with_runs(room));
        let (mut timeline, mut story) = (Timeline::new(room * 9), Story::new(2, 5));
        let mut names = Names::new(room);
        for entry in &entries {
            names.apply(entry);
            prop_assert!(!names.describe(entry).contains('\n'));
            for projection in [&mut metrics as &mut dyn Projection, &mut progress, &mut timeline, &mut story] {
                projection.apply(entry);
            }
        }
        let _ = serde_json::to_string(&metrics.snapshot()).unwrap();
        for run in progress.runs() {
            let now = progress.run(run).unwrap();
            prop_assert!((0.0..=1.0).contains(&now.share), "{now}");
            prop_assert_eq!(now.bar(7).chars().count(), 7);
            if let Some(picture) = progress.picture(run) {
                let _ = (picture.to_dot(), picture.to_mermaid());
            }
        }
        let options = SvgOptions::default().with_width(width).with_bars(bars).with_lanes(lanes);
        let svg = timeline.to_svg(&options);
        prop_assert!(well_formed(&svg), "{svg}");
        let odd = options.with_window(Time::MAX, Time::ZERO);
        prop_assert!(well_formed(&timeline.to_svg(&odd)));
    }

    #[test]
    fn no_record_panics(entries in entries(), room in 1..5_usize, now in time()) {
        let mut metrics = Metrics::default().with_kinds(2).with_agents(2).with_tasks(room).with_cost(|_| u64::MAX);
        let (mut alerts, mut lineage, mut audit) = (Alerts::default(), Lineage::new(room, 4), Audit::new(room));
        let mut timeline = Timeline::default();
        for entry in &entries {
            for projection in [&mut metrics as &mut dyn Projection, &mut alerts, &mut lineage, &mut audit, &mut timeline] {
                projection.apply(entry);
            }
        }
        let figures = metrics.snapshot_at(now);
        prop_assert_eq!(super::exposition::faults(&to_prometheus(&figures)), Vec::<String>::new());
        let waits: u64 = figures.waits.values().map(|waits| waits.count).sum();
        prop_assert!(waits <= room as u64, "a task waits once");
        prop_assert!(figures.utilisation.is_none_or(|share| (0.0..=1.0).contains(&share)));
        alerts.tick(now);
        for alert in alerts.take_changes() {
            prop_assert!(!alert.to_string().is_empty());
        }
        for run in lineage.runs() {
            for line in run.to_mermaid().lines().chain(run.to_dot().replace("\\\\", "").replace("\\\"", "").lines()) {
                prop_assert!(line.matches('"').count() % 2 == 0, "{line}");
            }
        }
        prop_assert_eq!(audit.to_json_lines().lines().count(), entries.len().min(room));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&timeline.data().to_chrome_trace()).is_ok());
    }

    #[test]
    fn counts_are_those_of_a_recount(entries in entries()) {
        let mut metrics = Metrics::default();
        metrics.replay(&entries);
        let now = metrics.snapshot();
        let counts = now.all.counts;
        prop_assert_eq!(Counts::clone(&counts), with_failovers(recount(&entries), counts.failovers));
        prop_assert!(counts.failovers <= counts.retries);
        prop_assert_eq!(now.kinds.values().map(|kind| kind.counts.submitted).sum::<u64>(), counts.submitted);
        prop_assert_eq!(now.tiers.values().map(|tier| tier.counts.submitted).sum::<u64>(), counts.submitted);
        prop_assert_eq!(now.agents.values().map(|agent| agent.attempts).sum::<u64>(), counts.attempts);
    }

    #[test]
    fn pictures_hold_no_name_unquoted(definition in definition(), most in 0..30_usize) {
        let picture = Picture::of(&definition).with_nodes(most);
        for line in picture.to_mermaid().lines() {
            prop_assert!(line.matches('"').count() % 2 == 0, "{line}");
        }
        let dot = picture.to_dot().replace("\\\\", "").replace("\\\"", "");
        for line in dot.lines() {
            prop_assert!(line.matches('"').count() % 2 == 0, "{line}");
        }
    }
}

fn with_failovers(mut counts: Counts, failovers: u64) -> Counts {
    counts.failovers = failovers;
    counts
}
