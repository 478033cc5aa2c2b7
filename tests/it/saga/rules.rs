//! The rules one by one, on graphs that are small enough to see.

use counterpoint::Payload;
use counterpoint::dag::{Builder, Dag, NodeIx};
use counterpoint::saga::{
    Answer, CompensationEnd, CompensationError, CompensationState, IllegalEvent, Remedy, RollbackError, Saga,
    SagaError, SagaEvent, SagaOutcome, SagaPhase, Stage, StepSpec, WorkKind,
};

const PLAIN: StepSpec = StepSpec::new().compensable();

/// Steps in a row.
fn chain(specs: &[StepSpec]) -> (Dag<StepSpec>, Vec<NodeIx>) {
    let mut graph = Builder::new();
    let steps: Vec<NodeIx> = specs.iter().enumerate().map(|(at, spec)| graph.node(at.to_string(), *spec)).collect();
    steps.windows(2).for_each(|pair| _ = graph.edge(pair[0], pair[1]));
    (graph.build().unwrap(), steps)
}

struct Host {
    saga: Saga,
    events: Vec<SagaEvent>,
}

impl Host {
    fn new(graph: &Dag<StepSpec>) -> Self {
        Self { saga: Saga::new(graph), events: Vec::new() }
    }

    /// The next work, as text: `do`, `ask` or `undo` and the step.
    fn next(&mut self) -> String {
        self.saga.next(&mut self.events).map_or_else(String::new, |work| match work.kind {
            WorkKind::Do { round } => format!("do {} {round}", work.step),
            WorkKind::Query { .. } => format!("ask {}", work.step),
            WorkKind::Compensate { output, certain, .. } => format!("undo {} {output} {certain}", work.step),
            other => panic!("{other:?}"),
        })
    }

    fn done(&mut self, step: NodeIx) -> &mut Self {
        self.next();
        self.say(step, Answer::Done(Payload::of(&format!("of {step}")).unwrap()))
    }

    fn say(&mut self, step: NodeIx, answer: Answer) -> &mut Self {
        self.saga.answer(step, answer, &mut self.events).unwrap();
        self
    }

    fn fails(&mut self, step: NodeIx) -> &mut Self {
        self.next();
        self.say(step, Answer::Failed)
    }
}

#[test]
fn what_is_in_doubt_is_asked_about_and_the_answer_decides() {
    let (graph, steps) = chain(&[PLAIN.with_query(), PLAIN]);
    let doubtful = |answer: Answer| {
        let mut host = Host::new(&graph);
        host.next();
        host.say(steps[0], Answer::Unknown);
        assert_eq!(host.next(), "ask n0");
        host.say(steps[0], answer);
        host
    };
    // It has happened: the saga goes on, and what was found out is what it gave.
    let mut host = doubtful(Answer::Done(Payload::of(&7).unwrap()));
    assert_eq!(host.next(), "do n1 0");
    host.say(steps[1], Answer::Failed);
    assert_eq!(host.next(), "undo n0 7 true");
    // It has not: there is nothing to undo.
    let host = doubtful(Answer::Failed);
    assert_eq!(host.saga.outcome(), Some(&SagaOutcome::Failed { residue: vec![] }));
    // Nobody knows: it is undone as what may have happened.
    let mut host = doubtful(Answer::Unknown);
    assert_eq!(host.next(), "undo n0 null false");
}

#[test]
fn a_failure_leads_back_to_the_last_save_point_and_forward_again() {
    let (graph, steps) = chain(&[PLAIN, PLAIN.as_save_point(1), PLAIN, PLAIN]);
    let mut host = Host::new(&graph);
    host.done(steps[0]).done(steps[1]).done(steps[2]).fails(steps[3]);
    assert_eq!(host.next(), "undo n2 \"of n2\" true");
    host.say(steps[2], Answer::Done(Payload::NULL));
    assert_eq!((host.saga.phase(), host.saga.stage(steps[1])), (SagaPhase::Running, Some(Stage::Completed)));
    assert_eq!(host.next(), "do n2 1");
    // Once; then to the beginning.
    host.say(steps[2], Answer::Done(Payload::NULL)).fails(steps[3]);
    for undone in ["undo n2 null true", "undo n1 \"of n1\" true", "undo n0 \"of n0\" true"] {
        assert_eq!(host.next(), undone);
        let step = host.saga.outstanding()[0].step;
        host.say(step, Answer::Done(Payload::NULL));
    }
    assert_eq!(host.saga.outcome(), Some(&SagaOutcome::Compensated));
}

#[test]
fn what_does_not_come_after_the_save_point_does_not_notice() {
    let mut graph = Builder::new();
    let [point, after, beside] = [("point", PLAIN.as_save_point(1)), ("after", PLAIN), ("beside", PLAIN)]
        .map(|(name, spec)| graph.node(name, spec));
    graph.edge(point, after);
    let graph = graph.build().unwrap();
    let mut host = Host::new(&graph);
    host.next();
    assert_eq!(host.next(), "do n2 0", "the one beside begins at once");
    host.say(point, Answer::Done(Payload::NULL)).fails(after);
    assert_eq!(host.saga.unwanted().count(), 0);
    assert_eq!(host.next(), "do n1 1");
    host.say(beside, Answer::Done(Payload::NULL)).say(after, Answer::Done(Payload::NULL));
    assert_eq!(host.saga.outcome(), Some(&SagaOutcome::Completed));
}

#[test]
fn past_a_pivot_a_saga_goes_forward_unless_it_is_aborted() {
    let (graph, steps) = chain(&[PLAIN, PLAIN.as_pivot().as_save_point(1), PLAIN, PLAIN]);
    let mut host = Host::new(&graph);
    host.done(steps[0]).done(steps[1]);
    let before = host.events.len();
    assert_eq!(host.saga.cancel(&mut host.events), Err(SagaError::PastPivot));
    assert_eq!(host.events.len(), before);
    // The pivot is a save-point: what came after it may be done again.
    host.done(steps[2]).fails(steps[3]).next();
    host.say(steps[2], Answer::Done(Payload::NULL));
    assert_eq!(host.next(), "do n2 1");
    host.saga.abort(&mut host.events).unwrap();
    assert_eq!(host.saga.unwanted().collect::<Vec<_>>(), [steps[2]]);
    host.say(steps[2], Answer::Failed);
    assert_eq!(host.saga.outcome(), Some(&SagaOutcome::Failed { residue: vec![steps[0], steps[1]] }));
}

#[test]
fn what_was_given_up_on_the_way_to_a_save_point_ends_the_saga() {
    let (graph, steps) = chain(&[PLAIN, PLAIN.as_save_point(3), PLAIN, PLAIN]);
    let mut host = Host::new(&graph);
    host.done(steps[0]).done(steps[1]).done(steps[2]).fails(steps[3]).next();
    host.say(steps[2], Answer::Failed);
    assert_eq!((host.saga.phase(), host.next().as_str()), (SagaPhase::CompensationFailed, ""));
    host.saga.settle(steps[2], Remedy::Abandon, &mut host.events).unwrap();
    for step in [steps[1], steps[0]] {
        assert!(host.next().starts_with(&format!("undo {step}")));
        host.say(step, Answer::Done(Payload::NULL));
    }
    assert_eq!(host.saga.outcome(), Some(&SagaOutcome::Failed { residue: vec![steps[2]] }));
}

#[test]
fn words_that_do_not_fit_change_nothing() {
    let (graph, steps) = chain(&[PLAIN, PLAIN]);
    let mut host = Host::new(&graph);
    let stranger = NodeIx::new(9);
    let before = host.saga.clone();
    assert_eq!(host.saga.answer(steps[1], Answer::Failed, &mut host.events), Err(SagaError::NotUnderWay(steps[1])));
    assert_eq!(host.saga.answer(stranger, Answer::Failed, &mut host.events), Err(SagaError::UnknownStep(stranger)));
    assert_eq!(host.saga.settle(steps[0], Remedy::Retry, &mut host.events), Err(SagaError::NothingToSettle(steps[0])));
    assert_eq!((&host.saga, host.events.len()), (&before, 0));
    host.fails(steps[0]);
    assert_eq!(host.saga.cancel(&mut host.events), Err(SagaError::Ended));
    let nonsense = [SagaEvent::Completed { step: steps[1], output: Payload::NULL }];
    assert!(matches!(Saga::restore(&graph, &nonsense), Err(SagaError::Inconsistent { index: 0, .. })));
}

/// Each event has a typed error where the state does not allow it.
#[test]
fn events_that_do_not_follow_are_rejected() {
    let (graph, steps) = chain(&[PLAIN.as_save_point(1), PLAIN]);
    let (first, last) = (steps[0], steps[1]);
    let began = |step| SagaEvent::Began { step };
    let completed = |step| SagaEvent::Completed { step, output: Payload::NULL };
    let rolled_back = || SagaEvent::RolledBack { to: vec![first] };
    let compensating = |steps: &[NodeIx]| SagaEvent::Compensating { steps: steps.to_vec() };
    let compensated = |step, end| SagaEvent::Compensated { step, end };
    let done = || vec![began(first), completed(first), began(last)];
    let failed = || [done(), vec![SagaEvent::Failed { step: last, outcome_unknown: true }]].concat();
    let illegal = |before: Vec<SagaEvent>, event: SagaEvent| {
        let index = before.len();
        match Saga::restore(&graph, &[before, vec![event]].concat()) {
            Err(SagaError::Inconsistent { index: at, reason }) if at == index => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(illegal(vec![], began(last)), IllegalEvent::Step(last));
    assert_eq!(illegal(vec![], completed(NodeIx::new(9))), IllegalEvent::UnknownStep(NodeIx::new(9)));
    assert_eq!(illegal(vec![SagaEvent::Failing], SagaEvent::Failing), IllegalEvent::Failing);
    let ended = SagaEvent::Ended { outcome: SagaOutcome::Completed };
    assert_eq!(illegal(vec![ended], SagaEvent::Failing), IllegalEvent::Ended);
    for (before, event, reason) in [
        (vec![], rolled_back(), RollbackError::NotCompleted(first)),
        (vec![], compensating(&[]), RollbackError::NotUnderWay),
        (vec![], SagaEvent::Restarted, RollbackError::NotUnderWay),
        (vec![], compensated(first, CompensationEnd::Compensated), RollbackError::NotCompensating),
        ([done(), vec![rolled_back()]].concat(), rolled_back(), RollbackError::UnderWay),
        ([done(), vec![rolled_back()]].concat(), compensating(&[]), RollbackError::Busy),
        ([failed(), vec![rolled_back()]].concat(), SagaEvent::Restarted, RollbackError::Busy),
        (
            [failed(), vec![rolled_back(), compensating(&[last])]].concat(),
            compensating(&[]),
            RollbackError::Compensating,
        ),
        (
            [failed(), vec![rolled_back(), compensating(&[last])]].concat(),
            compensated(last, CompensationEnd::Abandoned),
            RollbackError::Compensation(CompensationError::IllegalTransition {
                step: last,
                from: Some(CompensationState::Ready),
                to: CompensationState::Abandoned,
            }),
        ),
    ] {
        assert_eq!(illegal(before, event), IllegalEvent::Rollback(reason));
    }
}
