//! The sagas as graphs of steps, executed by `Saga` without an engine.

use super::Way;
use counterpoint::Payload;
use counterpoint::dag::{Builder, Dag, NodeIx};
use counterpoint::saga::{Answer, Saga, SagaEvent, SagaOutcome, StepSpec, WorkKind};
use std::hint::black_box;

/// Steps in a row. The one that fails is the one without a compensation.
pub(super) fn chain(steps: u64, way: Way) -> Dag<StepSpec> {
    let mut graph = Builder::new();
    let mut before: Option<NodeIx> = None;
    for place in 0..steps {
        let fails = place + 1 == steps && way == Way::AndBack;
        let spec = if fails { StepSpec::new() } else { StepSpec::new().compensable() };
        let step = graph.node(format!("s{place}"), spec);
        before.into_iter().for_each(|before| _ = graph.edge(before, step));
        before = Some(step);
    }
    graph.build().expect("it is sound")
}

pub(super) fn stages(count: u64) -> Dag<StepSpec> {
    let mut graph = Builder::new();
    let mut before: Vec<NodeIx> = Vec::new();
    for stage in 0..count {
        let lanes: Vec<NodeIx> =
            (0..4).map(|lane| graph.node(format!("s{stage}.{lane}"), StepSpec::new().compensable())).collect();
        for from in &before {
            lanes.iter().for_each(|to| _ = graph.edge(*from, *to));
        }
        before = lanes;
    }
    graph.build().expect("it is sound")
}

pub(super) fn run(graph: &Dag<StepSpec>, way: Way) -> Vec<SagaEvent> {
    let (mut saga, mut events) = (Saga::new(graph), Vec::new());
    while let Some(work) = saga.next(&mut events) {
        let fails =
            matches!(work.kind, WorkKind::Do { .. }) && graph.get(work.step).is_some_and(|spec| !spec.compensable);
        let answer = if fails { Answer::Failed } else { Answer::Done(Payload::NULL) };
        saga.answer(black_box(work).step, answer, &mut events).expect("it is under way");
    }
    let expected = if way == Way::Forward { SagaOutcome::Completed } else { SagaOutcome::Compensated };
    assert_eq!(saga.outcome(), Some(&expected));
    events
}
