//! Groups of commands: each gets the answer that it would get alone, and the events are the same.

use super::soup::{Setting, Step, commands, config, mode, order, step};
use crate::kit::host;
use counterpoint::definition::{Action, Body, Definition, Link, Node};
use counterpoint::{
    Accepted, AgentId, AgentSpec, Command, Config, Effect, Engine, Failure, Limits, Outbox, Payload, RunId, RunSpec,
    Scheduler, TaskId, TaskSpec, Time,
};
use proptest::prelude::*;

/// Limits with this bound on the work of a call.
fn bound(work: u32) -> Limits {
    let mut limits = Limits::default();
    limits.work_per_call = work;
    limits
}

fn work() -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(Limits::default().work_per_call), 1 => 0_u32..1_000]
}

proptest! {
    #![proptest_config(crate::property(96))]

    #[test]
    fn a_group_is_handled_as_its_commands_one_after_the_other(
        order in order(), mode in mode(), work in work(), groups in prop::collection::vec(prop::collection::vec(step(), 1..8), 5..30)
    ) {
        let limited = || config(Setting(order, mode)).with_limits(bound(work));
        let (mut one, mut all, mut next) = (host(limited()), Scheduler::new(limited()), 0);
        for steps in groups {
            let group = commands(&mut one, &Step::Together(steps), &mut next);
            let (mut apart, mut together) = (Outbox::default(), Outbox::default());
            let mut most = 0;
            let mut expected = Vec::new();
            for command in group.clone() {
                expected.push(one.scheduler.handle(one.now, command, &mut apart));
                most = most.max(one.scheduler.work());
            }
            let (mut answers, mut left) = (Vec::new(), group.into_iter());
            while left.len() > 0 {
                let before = left.len();
                answers.extend(all.handle_all(one.now, &mut left, &mut together));
                prop_assert!(left.len() < before);
                prop_assert!(all.work() < u64::from(work).max(1) + most, "{} units", all.work());
            }
            prop_assert_eq!(answers, expected);
            prop_assert_eq!(&together, &apart);
            prop_assert_eq!(all.snapshot(), one.scheduler.snapshot());
            prop_assert_eq!(all.next_wakeup(), one.scheduler.next_wakeup());
            prop_assert_eq!(all.check(), Ok(()));
        }
    }

    #[test]
    fn an_engine_handles_a_group_as_its_commands_one_after_the_other(
        work in work(), runs in 1_u64..12, capacity in 1_u32..8, failing in prop::collection::vec(0_u8..6, 1..40)
    ) {
        let engine = || Engine::new(Config::default().with_limits(bound(work)));
        let (mut one, mut all) = (engine(), engine());
        let worker = AgentSpec::new(AgentId::new(1)).with_capacity(capacity).with_skill("do", 1).with_skill("undo", 1);
        let mut group = vec![Command::define(saga()), Command::register(worker)];
        group.extend((1..=runs).map(|run| Command::start(RunSpec::new(RunId::new(run), "saga"))));
        group.extend([Command::submit(TaskSpec::new(TaskId::new(1), "do")), Command::start(RunSpec::new(RunId::new(1), "none"))]);
        let (mut failing, mut ended) = (failing.into_iter().cycle(), 0);
        while !group.is_empty() {
            let (mut apart, mut together) = (Outbox::default(), Outbox::default());
            let expected: Vec<_> = group.iter().map(|command| one.handle(Time::ZERO, command.clone(), &mut apart)).collect();
            let (mut answers, mut left) = (Vec::new(), group.into_iter());
            while left.len() > 0 {
                answers.extend(all.handle_all(Time::ZERO, &mut left, &mut together));
            }
            prop_assert_eq!(answers, expected);
            prop_assert_eq!(&together, &apart);
            prop_assert_eq!(all.snapshot(), one.snapshot());
            prop_assert_eq!(all.check(), Ok(()));
            group = apart.effects().iter().filter_map(|effect| answer(effect, failing.next()?)).collect();
            ended += group.len();
            if group.is_empty() && one.next_wakeup() == Some(Time::ZERO) {
                group.push(Command::Tick);
            }
        }
        prop_assert!(ended as u64 > runs, "every run has at least one task");
    }
}

/// Three steps in a row, with compensations.
fn saga() -> Definition {
    let step =
        |name| Node::new(name, Action::Do(Body::Task(crate::flow::work("do")))).with_undo(crate::flow::work("undo"));
    Definition::new("saga")
        .with_node(step("first"))
        .with_node(step("second").with_link(Link::success("first")))
        .with_node(step("third").with_link(Link::success("second")))
}

fn answer(effect: &Effect, how: u8) -> Option<Command> {
    let Effect::Dispatch { attempt, to, .. } = effect else { return None };
    Some(if how == 0 {
        Command::fail(*to, *attempt, Failure::permanent("no"))
    } else {
        Command::complete(*to, *attempt, Payload::NULL)
    })
}

#[test]
fn an_empty_group_changes_nothing() {
    let (mut scheduler, mut out) = (Scheduler::new(Config::default()), Outbox::default());
    assert_eq!(scheduler.handle_all(Time::from_secs(9), &mut [].into_iter(), &mut out), []);
    assert_eq!((scheduler.now(), scheduler.work(), out.is_empty()), (Time::ZERO, 0, true));
    let group = [Command::Tick, Command::Tick];
    let answers = scheduler.handle_all(Time::from_secs(9), &mut group.into_iter(), &mut out);
    assert_eq!(answers, [Ok(Accepted::Done), Ok(Accepted::Done)]);
}
