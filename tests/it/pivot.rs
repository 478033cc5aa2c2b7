//! The point of no return: a pivot that has happened, or may have, is never contradicted by compensation.
#![expect(clippy::unwrap_used, reason = "the hands of a test")]

use counterpoint::definition::{Action, Definition, Link, Node, Work};
use counterpoint::message::RunPhase;
use counterpoint::{
    AgentId, AgentSpec, AttemptId, Command, Config, Effect, Engine, Entry, Failure, Incarnation, Outbox, Payload,
    Policy, Retry, RunCommand, RunId, RunOutcome, RunSpec, Time,
};
use std::time::Duration;

const RUN: RunId = RunId::new(1);

struct Stage {
    engine: Engine,
    journal: Vec<Entry>,
    now: Time,
    asked: Vec<(AttemptId, Incarnation, String)>,
    stopped: Vec<AttemptId>,
}

impl Stage {
    /// `before` can be undone, `pivot` follows it. Agents for both, unless the pivot has none.
    fn new(pivot_has_agent: bool) -> Self {
        let retry = Retry::exponential(2, Duration::from_secs(10), Duration::from_secs(10));
        let work = Work::new("pivot").with_policy(Policy::default().with_retry(retry));
        let body = counterpoint::definition::Body::Task(work);
        let flow = Definition::new("flow")
            .with_node(Node::new("before", Action::task("before")).with_undo(Work::new("before.undo")))
            .with_node(Node::new("pivot", Action::Do(body)).with_link(Link::success("before")).as_pivot());
        let (engine, now) = (Engine::new(Config::default()), Time::ZERO);
        let mut stage = Self { engine, journal: Vec::new(), now, asked: Vec::new(), stopped: Vec::new() };
        let mut agent = AgentSpec::new(AgentId::new(1)).with_skill("before", 1).with_skill("before.undo", 1);
        if pivot_has_agent {
            agent = agent.with_skill("pivot", 1);
        }
        stage.say(Command::define(flow));
        stage.say(Command::register(agent));
        stage.say(Command::start(RunSpec::new(RUN, "flow")));
        stage.complete("before");
        stage
    }

    fn say(&mut self, command: Command) {
        let mut out = Outbox::default();
        self.engine.handle(self.now, command, &mut out).unwrap();
        out.drain_entries(&mut self.journal);
        for effect in out.effects() {
            match effect {
                Effect::Dispatch { attempt, to, task, .. } => self.asked.push((*attempt, *to, task.kind.to_string())),
                Effect::Cancel { attempt, .. } => self.stopped.push(*attempt),
                _ => {}
            }
        }
        self.engine.check().unwrap();
        let restored = Engine::restore(Config::default(), None, &self.journal).unwrap();
        assert_eq!(restored.snapshot(), self.engine.snapshot());
    }

    fn held(&mut self, kind: &str) -> (AttemptId, Incarnation) {
        let place = self.asked.iter().position(|(_, _, asked)| asked == kind).unwrap();
        let (attempt, by, _) = self.asked.remove(place);
        (attempt, by)
    }

    fn complete(&mut self, kind: &str) {
        let (attempt, by) = self.held(kind);
        self.say(Command::complete(by, attempt, Payload::NULL));
    }

    fn fail(&mut self, kind: &str, failure: Failure) {
        let (attempt, by) = self.held(kind);
        self.say(Command::fail(by, attempt, failure));
    }

    fn cancel(&mut self) {
        self.say(RunCommand::Cancel { run: RUN, reason: "regret".into() }.into());
    }

    fn outcome(&self) -> &RunOutcome {
        self.engine.run(RUN).unwrap().outcome().unwrap()
    }

    fn is_compensated(&mut self) -> bool {
        self.complete("before.undo");
        matches!(self.outcome(), RunOutcome::Compensated { .. })
    }

    /// Nothing was undone, and the outcome says what stays.
    fn stays(&self) -> bool {
        let residue = ["before", "pivot"].map(counterpoint::Name::from);
        self.asked.is_empty() && matches!(self.outcome(), RunOutcome::Failed { residue: left, .. } if *left == residue)
    }
}

#[test]
fn a_cancelled_run_waits_for_the_pivot_that_is_under_way() {
    let mut stage = Stage::new(true);
    stage.cancel();
    assert_eq!(stage.engine.run(RUN).unwrap().phase(), RunPhase::Failing);
    assert!(stage.stopped.is_empty());
    stage.complete("pivot");
    assert!(stage.stays(), "{}", stage.outcome());
}

#[test]
fn a_pivot_that_has_not_begun_is_withdrawn() {
    let mut stage = Stage::new(false);
    stage.cancel();
    assert!(stage.is_compensated(), "{}", stage.outcome());
}

#[test]
fn a_pivot_that_failed_without_effect_is_withdrawn_before_it_is_tried_again() {
    let mut stage = Stage::new(true);
    stage.cancel();
    stage.fail("pivot", Failure::transient("not now"));
    assert!(stage.is_compensated(), "{}", stage.outcome());
}

#[test]
fn a_pivot_in_doubt_is_tried_until_it_is_known() {
    for happens in [true, false] {
        let mut stage = Stage::new(true);
        stage.cancel();
        for _ in 0..4 {
            stage.fail("pivot", Failure::unknown("no answer"));
            stage.now = stage.now + Duration::from_secs(10);
            stage.say(Command::Tick);
        }
        if happens {
            stage.complete("pivot");
            assert!(stage.stays(), "{}", stage.outcome());
        } else {
            stage.fail("pivot", Failure::permanent("never"));
            assert!(stage.is_compensated(), "{}", stage.outcome());
        }
    }
}
