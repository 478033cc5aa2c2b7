//! What is held equals what is written equals what is read: an engine that was restored from bytes answers every command
//! as the engine that it replaces.

use crate::asks::{Ask, Format, World, asks, config};
use crate::draw::{mostly_sound, policy, run, span};
use counterpoint::definition::{Action, Body, Budget, Definition};
use counterpoint::message::Migration;
use counterpoint::task::Usage;
use counterpoint::{
    Accepted, AgentId, AgentSpec, Command, Engine, Failure, Name, Outbox, Payload, Policy, Rejected, RunCommand, RunId,
    TaskCommand, TaskId, Time,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// The answer without the advice when to come again, which depends on the pace of the tasks that ended before.
fn essence(answer: &Result<Accepted, Rejected>) -> Result<&Accepted, &'static str> {
    answer.as_ref().map_err(Rejected::code)
}

/// The same definition with another policy for every task of its own nodes.
fn tuned(mut definition: Definition, policy: &Policy) -> Definition {
    for node in &mut definition.nodes {
        if let Action::Do(Body::Task(work)) = &mut node.action {
            work.policy = policy.clone().with_retry(policy.retry().clone().with_in_doubt(work.policy.retry().in_doubt));
        }
    }
    definition
}

/// The definition that a definition command names, by name and version.
fn defined(command: &Command) -> Option<(&Name, u32)> {
    let Command::Run(RunCommand::Define(definition)) = command else { return None };
    Some((&definition.name, definition.version))
}

fn is_spec(command: &Command) -> bool {
    matches!(
        command,
        Command::Task(TaskCommand::Submit(_) | TaskCommand::SubmitAll(_))
            | Command::Run(RunCommand::Define(_) | RunCommand::Start(_))
    )
}

proptest! {
    #![proptest_config(crate::kit::cases(48))]

    #[test]
    fn a_restored_engine_answers_as_the_one_before(
        first in (mostly_sound(), mostly_sound(), run(1..2)),
        tunes in prop::collection::vec(policy(), 0..4),
        asks in prop::collection::vec(asks(), 10..50),
    ) {
        let mut world = World::new();
        let able = AgentSpec::new(AgentId::new(4)).with_skill("work", 1).with_amount("memory", u64::MAX).with_capacity(4);
        let mut start = first.2;
        (start.workflow, start.version) = (first.0.name.clone(), None);
        let base = first.0.clone();
        let first = [first.0, first.1].map(Command::define).into_iter().chain([Command::start(start)]);
        let first = [Command::register(able)].into_iter().chain(first);
        for ask in first.map(Ask::Say) {
            world.ask(ask)?;
        }
        // Definitions are defined again while runs of them are under way.
        let every = asks.len() / (tunes.len() + 1);
        let mut tunes = tunes.iter();
        for (at, ask) in asks.into_iter().enumerate() {
            world.ask(ask)?;
            if at % every.max(1) == 0 && let Some(policy) = tunes.next() {
                world.ask(Ask::Say(Command::define(tuned(base.clone(), policy))))?;
            }
        }
        world.renew();
        let mut engines = Vec::new();
        for format in Format::ALL {
            for from_snapshot in [false, true] {
                engines.push((format, from_snapshot, world.restored(*format, from_snapshot)));
            }
        }
        let before = world.engine.snapshot();
        for (format, from_snapshot, engine) in &engines {
            prop_assert_eq!(&engine.snapshot(), &before, "{:?}, from a snapshot: {}", format, from_snapshot);
        }
        let was_retired = |command: &Command| matches!(command, Command::Run(RunCommand::Retire { .. }));
        let retired = world.history.iter().any(|(command, _)| was_retired(command));
        // The content of each version that the engine has now: the last one that was taken.
        let mut last: Vec<Command> = Vec::new();
        for (command, _) in world.history.iter().filter(|(command, first)| first.is_ok() && defined(command).is_some()) {
            last.retain(|known| defined(known) != defined(command));
            last.push(command.clone());
        }
        for (command, first) in &world.history {
            let mut out = Outbox::default();
            let again = world.engine.handle(world.now, command.clone(), &mut out);
            if is_spec(command) && first.is_ok() && !(retired && matches!(command, Command::Run(RunCommand::Define(_)))) {
                let known = last.iter_mut().find(|known| defined(known).is_some() && defined(known) == defined(command));
                match known.filter(|known| *known != command) {
                    None if matches!(first, Ok(Accepted::Attached { .. })) => {
                        prop_assert!(again.as_ref().is_ok_and(Accepted::is_known), "{again:?}");
                    }
                    Some(known) => {
                        *known = command.clone();
                        prop_assert!(matches!(again, Ok(Accepted::Repeated | Accepted::Compatible { .. })), "{again:?}");
                    }
                    None => prop_assert_eq!(&again, &Ok(Accepted::Repeated), "{:?}", command),
                }
            }
            for (format, from_snapshot, engine) in &mut engines {
                let mut other = Outbox::default();
                let answer = engine.handle(world.now, command.clone(), &mut other);
                prop_assert_eq!(
                    essence(&answer), essence(&again),
                    "{:?}, from a snapshot: {}, {:?}", format, from_snapshot, command
                );
                prop_assert_eq!(other.entries(), out.entries(), "{:?}, from a snapshot: {}", format, from_snapshot);
            }
        }
    }
}

/// The commands of this list are accepted, and repeats after a restart in every format.
fn repeats(setup: &[Command], command: &Command) {
    for format in Format::ALL {
        for from_snapshot in [false, true] {
            let mut world = World::new();
            for command in setup.iter().chain([command]) {
                world.ask(Ask::Say(command.clone())).unwrap();
                assert_eq!(world.history.last().map(|(_, answer)| answer), Some(&Ok(Accepted::Done)), "{command:?}");
            }
            let mut engine = world.restored(*format, from_snapshot);
            let again = engine.handle(world.now, command.clone(), &mut Outbox::default());
            assert_eq!(again, Ok(Accepted::Repeated), "{format:?}, from a snapshot: {from_snapshot}, {command:?}");
        }
    }
}

mod explicit {
    //! Explicit defaults and durations that cannot be stored.

    use super::{Budget, Definition, Duration, Payload, RunId, TaskId, repeats};
    use counterpoint::definition::{Action, Body, Condition, Expr, Node, Precondition, Work};
    use counterpoint::task::Exhausted;
    use counterpoint::{Command, Policy, Retry, RunSpec, TaskSpec};
    use serde_json::{Value, json};

    fn policies() -> Vec<Policy> {
        let mut retry = Retry::default();
        (retry.base, retry.cap) = (Duration::MAX, Duration::MAX);
        vec![
            Policy::default().with_retry(Retry::default()),
            Policy::default().with_exhausted(Exhausted::DeadLetter),
            Policy::default().with_attempt_timeout(Duration::MAX),
            Policy::default().with_queue_timeout(Duration::MAX).with_total_timeout(Duration::MAX),
            Policy::default().with_retry(retry),
        ]
    }

    fn flow(policy: Policy) -> Definition {
        let work = Work::new("work").with_policy(policy);
        Definition::new("flow").with_node(Node::new("node", Action::Do(Body::Task(work))))
    }

    #[test]
    fn a_submit() {
        for policy in policies() {
            let task = TaskSpec::new(TaskId::new(1), "work").with_policy(policy).with_estimate(Duration::MAX);
            repeats(&[], &Command::submit(task.clone()));
            repeats(&[], &Command::submit_all([task]));
        }
    }

    #[test]
    fn a_definition_and_a_start() {
        for policy in policies() {
            let define = Command::define(flow(policy));
            repeats(&[], &define);
            let budget = Budget::default().with_time(Duration::MAX);
            repeats(&[define], &Command::start(RunSpec::new(RunId::new(1), "flow").with_budget(budget)));
        }
    }

    #[test]
    fn a_payload_with_any_number() {
        for value in [json!(0.1 + 0.2), json!(-0.0), json!(f64::MAX), json!(u64::MAX), json!(i64::MIN), json!(1e-320)] {
            let task = TaskSpec::new(TaskId::new(1), "work").with_payload(Payload::new(value));
            repeats(&[], &Command::submit(task));
        }
    }

    /// A definition is read again, or it is rejected: readers of JSON accept 127 levels.
    #[test]
    fn a_definition_that_is_too_deep_to_be_read_is_rejected() {
        let nested = |levels: usize| (0..levels).fold(Condition::True, |inner, _| Condition::All(vec![inner]));
        let deep = |levels: usize| (0..levels).fold(json!(1), |inner: Value, _| json!([inner]));
        let flow = |when: Condition, value: Value| {
            let node = Node::new("node", Action::Pass)
                .with_input(Expr::value(value))
                .with_precondition(Precondition::new(when));
            Definition::new("flow").with_node(node)
        };
        repeats(&[], &Command::define(flow(nested(40), deep(40))));
        let mut world = super::World::new();
        world.ask(super::Ask::Say(Command::define(flow(nested(64), deep(1))))).unwrap();
        let answer = world.history.last().map(|(_, answer)| answer.clone().map_err(|why| why.to_string()));
        let why = answer.unwrap().unwrap_err();
        assert!(why.contains("levels deep as JSON, more than the 100 allowed"), "{why}");
    }
}

/// A migration to a definition of the run's own is a repeat, although the definition states a default.
#[test]
fn a_migration_is_recognised() {
    use counterpoint::definition::{Action, Body, Node, Work};
    use counterpoint::{Policy, Retry, RunSpec};
    let flow = |policy| {
        let wait = Node::new("wait", Action::Wait { signal: Some("go".into()), timer: Some(Duration::MAX) });
        let work = Node::new("work", Action::Do(Body::Task(Work::new("work").with_policy(policy))));
        Definition::new("flow").with_node(wait).with_node(work)
    };
    let policy = Policy::default().with_retry(Retry::default()).with_attempt_timeout(Duration::MAX);
    let own = Arc::new(flow(policy));
    let start = Command::start(RunSpec::new(RunId::new(1), "flow"));
    let migrate =
        RunCommand::Migrate { run: RunId::new(1), migration: Migration::to_own(own), reason: "better".into() };
    repeats(&[Command::define(flow(Policy::default())), start], &migrate.into());
}

/// The longest wait that can be asked for does not overflow the estimate of an end.
#[test]
fn an_estimate_without_end_is_a_late_task() {
    use counterpoint::TaskSpec;
    use counterpoint::scheduler::Admission;
    let mut engine = Engine::new(config().with_admission(Admission::Warn));
    let mut out = Outbox::default();
    engine
        .handle(Time::ZERO, Command::register(AgentSpec::new(AgentId::new(1)).with_skill("work", 1)), &mut out)
        .unwrap();
    for id in 1..5 {
        let task =
            TaskSpec::new(TaskId::new(id), "work").with_estimate(Duration::MAX).with_deadline(Time::from_secs(9));
        let answer = engine.handle(Time::ZERO, Command::submit(task), &mut out);
        assert!(matches!(answer, Ok(Accepted::Late(Time::MAX))), "{answer:?}");
    }
}

/// Durations of reports are bounded, too.
#[test]
fn a_failure_with_an_endless_pause_is_read_as_it_was_written() {
    let mut world = World::new();
    world.ask(Ask::Say(Command::register(AgentSpec::new(AgentId::new(1)).with_skill("work", 1)))).unwrap();
    world.ask(Ask::Say(Command::submit(counterpoint::TaskSpec::new(TaskId::new(1), "work")))).unwrap();
    let failure = Failure::overloaded("busy", Duration::MAX);
    world.ask(Ask::Finish { which: 0, answer: Err(failure), usage: Usage::default() }).unwrap();
    assert!(matches!(world.history.last(), Some((_, Ok(Accepted::Done)))));
    let _unused = span();
}
