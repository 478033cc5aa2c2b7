//! Lineage, audit trail and traces of the scripted journals.

use super::golden::check;
use super::script::{small, turned_back};
use counterpoint::journal::Projection;
use counterpoint::observe::{Actor, Audit, AuditLine, Lineage, Maker, RunLineage, Source, Timeline, TimelineData};
use counterpoint::{AgentId, RunId};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn lineage_of_a_run() {
    let mut lineage = Lineage::default();
    lineage.replay(&turned_back().entries);
    let run = lineage.run(RunId::new(1)).unwrap();
    assert_eq!(run.definition, Some(super::script::order().id()));
    let made = |node: &str| run.products.iter().filter(move |product| product.node == *node).collect::<Vec<_>>();
    let Maker::Agent { attempt, by } = made("charge")[0].by else { panic!("an agent made it") };
    assert_eq!((attempt.number().get(), by.agent()), (2, AgentId::new(3)), "the attempt that succeeded, not the first");
    let photos: Vec<u32> = made("photos").iter().map(|product| product.item).collect();
    assert_eq!(photos, [2, 0, 1], "in the order in which they were made");
    assert!(made("photos")[0].from.contains(&Source::Input));
    assert!(made("release").is_empty() && !run.products.iter().any(|product| product.undo), "the undo failed");
    let child = lineage.run(RunId::new(2)).unwrap();
    assert_eq!(child.parent.as_ref().map(|step| (step.run, &*step.node)), Some((RunId::new(1), "parcel")));
    assert_eq!(child.definition, run.definition);
    let text = serde_json::to_string(run).unwrap();
    assert_eq!(&serde_json::from_str::<RunLineage>(&text).unwrap(), run);
    check("lineage.dot", &run.to_dot());
    check("lineage.mmd", &run.to_mermaid());
    let mut few = Lineage::new(1, 2);
    few.replay(&small().entries[..small().entries.len() - 12]);
    assert!(few.runs().all(|run| run.products.len() <= 2));
}

#[test]
fn audit_of_a_run() {
    let mut audit = Audit::default();
    audit.replay(&turned_back().entries);
    check("audit.jsonl", &audit.to_json_lines());
    let lines: Vec<AuditLine> = audit.to_json_lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().eq(audit.lines()));
    assert!(lines.iter().any(|line| line.actor == Actor::Core && line.reason.as_deref() == Some("its lease expired")));
    assert_eq!(audit.about(RunId::new(2)).last().unwrap().actor, Actor::Core);
    assert_eq!(audit.about(AgentId::new(2)).count(), 2);
}

#[test]
fn traces_nest_nowhere() {
    let mut timeline = Timeline::default();
    timeline.replay(&turned_back().entries);
    let trace = timeline.data().to_chrome_trace();
    check("trace.json", &trace);
    no_overlaps(&timeline.data());
    let mut timeline = Timeline::default();
    timeline.replay(&super::script::fleet(4, 300, 3).entries);
    no_overlaps(&timeline.data());
}

/// Slices of one place follow each other: viewers would draw them as calls within calls.
fn no_overlaps(data: &TimelineData) {
    let trace: Value = serde_json::from_str(&data.to_chrome_trace()).unwrap();
    let mut until: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    let mut slices = 0;
    for event in trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X") {
        slices += 1;
        let place = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        let (start, long) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
        let before = until.insert(place, start + long).unwrap_or(0.0);
        assert!(before <= start + 1e-6, "{event} begins before {before}");
    }
    assert_eq!(slices, data.bars.len());
}
