//! Definitions that are defined again while runs of them are under way.

use super::World;
use super::draw::Draws;
use counterpoint::definition::{Action, Body, Boundary, Definition, Gather, Node, Work};
use counterpoint::message::rejected::{Conflict, WrongState};
use counterpoint::message::{Migration, MigrationTarget, Obstacle, RunPhase};
use counterpoint::task::{Exhausted, Usage};
use counterpoint::{Accepted, Command, Rejected, Retry, RunCommand, Tier};
use std::time::Duration;

/// The same definition, with tasks that are attempted otherwise.
pub(crate) fn tuned(definition: &Definition, by: u32) -> Definition {
    let mut tuned = definition.clone();
    tuned.nodes.iter_mut().for_each(|node| tune(node, by));
    tuned
}

fn tune(node: &mut Node, by: u32) {
    node.undo.iter_mut().chain(&mut node.query).for_each(|work| tune_work(work, by));
    for handler in &mut node.handlers {
        if let Boundary::Timeout(span) = &mut handler.on {
            *span += Duration::from_millis(u64::from(by));
        }
    }
    match &mut node.action {
        Action::Do(body) => tune_body(body, by),
        Action::Map(map) => tune_body(&mut map.body, by),
        Action::Repeat(repeat) => tune_body(&mut repeat.body, by),
        Action::Delegate(delegate) => {
            tune_work(&mut delegate.work, by);
            if let Gather::Work(work) = &mut delegate.gather {
                tune_work(work, by);
            }
        }
        Action::States(states) => {
            for state in &mut states.states {
                state.body.iter_mut().for_each(|body| tune_body(body, by));
                state.undo.iter_mut().for_each(|work| tune_work(work, by));
            }
        }
        _ => {}
    }
}

fn tune_body(body: &mut Body, by: u32) {
    match body {
        Body::Task(work) => tune_work(work, by),
        Body::Flow(flow) => *flow = tuned(flow, by).into(),
        _ => {}
    }
}

/// Everything but what the task is. Sometimes it is the default, written out.
fn tune_work(work: &mut Work, by: u32) {
    let retry = work.policy.retry();
    let most = retry.attempts.saturating_add(by);
    let tuned = Retry::exponential(most, retry.base, retry.cap).with_in_doubt(retry.in_doubt);
    work.policy = work.policy.clone().with_retry(tuned.with_jitter(counterpoint::task::Jitter::None));
    match by % 4 {
        0 => work.tier = Some(Tier::Low),
        1 => work.policy = work.policy.clone().with_exhausted(Exhausted::Fail),
        2 => work.estimate = Usage::default(),
        _ => {}
    }
}

impl World {
    /// Workflow `flow` is defined again, compatibly or not, and sometimes its runs take the new definition.
    pub(crate) fn redefine(&mut self, draws: &mut Draws<'_>) {
        let known = self.engine.definitions().into_iter().find(|view| view.is_offered && view.id.version == 0);
        let Some(known) = known.map(|view| view.definition.clone()).filter(|known| known.name == "flow") else {
            return;
        };
        if draws.below(4) == 0 {
            let other = known.clone().with_node(Node::new("one more", Action::Pass));
            let refused = self.say(Command::define(other.clone()));
            let differs = known.differences(&other);
            let conflict = Conflict::Definition { definition: other.id(), differs };
            assert_eq!(refused, Err(Rejected::Conflict(conflict)));
            return;
        }
        let by = [0, 1, 2, 3, 5][draws.below(5)];
        let tuned = tuned(&known, by);
        match self.say(Command::define(tuned.clone())) {
            Ok(Accepted::Compatible { changed }) => assert_eq!(changed, known.differences(&tuned)),
            other => assert!(known == tuned && other == Ok(Accepted::Repeated), "{other:?}"),
        }
        assert_eq!(self.say(Command::define(tuned)), Ok(Accepted::Repeated));
        if draws.below(2) == 0 {
            self.take_the_new_definition();
        }
    }

    /// A run is never refused a compatible definition while it goes forward.
    fn take_the_new_definition(&mut self) {
        let runs: Vec<_> = self.engine.runs().map(|run| (run.id(), run.owner(), run.definition().version)).collect();
        for (run, owner, version) in runs {
            let migration = match owner {
                None if version == 0 => Migration::to_version(0),
                None => continue,
                Some(_) => Migration::to(MigrationTarget::Parent),
            };
            let forward = self.engine.run(run).is_some_and(|run| run.phase() == RunPhase::Running);
            let due = self.engine.next_wakeup().is_some_and(|at| at <= self.now);
            let moved = self.say(RunCommand::Migrate { run, migration, reason: "tuned".into() }.into());
            if !forward || due || owner.is_some() {
                continue;
            }
            let turns_back = matches!(&moved, Err(Rejected::State(WrongState::NotMigratable { obstacles, .. })) if *obstacles == [Obstacle::RollingBack]);
            assert!(moved.is_ok() || turns_back, "{moved:?}\n{}", super::tell(&self.journal));
        }
    }
}
