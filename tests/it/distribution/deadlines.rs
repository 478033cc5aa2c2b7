//! Deadlines are looked at when a task is submitted, and the order of waiting has a bound.

use crate::kit::{agent, agent_id, host, ms, task, task_id};
use counterpoint::message::rejected::Invalid;
use counterpoint::scheduler::{Admission, TaskStatus};
use counterpoint::task::Exhausted;
use counterpoint::{
    Accepted, AgentCommand, Command, Config, Effect, Failure, Policy, Rejected, Retry, TaskCommand, Tier, Time,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// The deadline of a dead letter that has passed does not apply to the task that replays it.
#[test]
fn a_dead_letter_is_replayed_after_its_deadline() {
    let mut host = host(Config::default());
    host.join(agent(1));
    let policy = Policy::default().with_retry(Retry::never()).with_exhausted(Exhausted::DeadLetter);
    host.submit(task(1).with_deadline(Time::from_secs(10)).with_policy(policy));
    host.fail(1, Failure::transient("broken"));
    host.wait(ms(20_000));
    host.say(TaskCommand::Replay { dead: task_id(1), fresh: task_id(2) }).unwrap();
    assert_eq!(host.holder(2), 1);
    host.complete(2);
}

/// Twenty tasks of a second each, all of which can begin in time: the deadlines are the order, also those beyond the target
/// of the tier, and an attempt may begin at the deadline itself.
#[test]
fn deadlines_that_can_be_met_are_met_whatever_the_target_of_the_tier() {
    for tier in Tier::ALL {
        let mut host = host(Config::default());
        host.join(agent(1));
        host.submit(task(100));
        // The k-th to begin has its deadline when it can begin: in order of arrival the later half would expire.
        (1..=20).for_each(|id| host.submit(task(id).with_tier(tier).with_deadline(Time::from_secs(61 - id))));
        host.wait(ms(40_000));
        host.complete(100);
        (1..=20).rev().for_each(|id| {
            assert_eq!(host.now, Time::from_secs(61 - id - 1));
            assert_eq!(host.holder(id), 1, "{tier:?} {id}");
            host.wait(ms(1_000));
            host.complete(id);
        });
    }
}

/// A task may begin at its deadline, and expires at the next instant.
#[test]
fn a_deadline_is_the_last_time_at_which_a_task_may_begin() {
    let at = Time::from_secs(5);
    for (late, began) in [(Duration::ZERO, true), (Duration::from_nanos(1), false)] {
        let mut host = host(Config::default());
        host.join(agent(1));
        host.submit(task(1));
        host.submit(task(2).with_deadline(at));
        host.now = at + late;
        host.say(Command::Tick).unwrap();
        host.complete(1);
        assert_eq!(host.status(2) == TaskStatus::Running, began);
        assert_eq!(host.say(Command::submit(task(3).with_deadline(at))).is_ok(), began);
    }
}

/// What follows from the loss of an agent follows in the same call.
#[test]
fn dependents_of_a_task_that_dies_with_its_agent_end_with_it() {
    let mut host = host(Config::default());
    host.join(agent(1));
    host.submit(task(1).with_policy(Policy::default().with_retry(Retry::never())));
    host.submit(task(2).with_after([task_id(1)]));
    host.say(AgentCommand::Deregister { agent: agent_id(1) }).unwrap();
    let has_ended = |id| host.scheduler.task(task_id(id)).unwrap().outcome().is_some();
    assert!(has_ended(1) && has_ended(2));
}

/// One agent, ten tasks of a second each before it.
#[test]
fn a_deadline_that_cannot_be_met_is_refused_or_warned_of() {
    let spec = |id: u64, secs| task(id).with_estimate(ms(1_000)).with_deadline(Time::from_secs(secs));
    for (admission, refused) in [(Admission::Any, false), (Admission::Warn, false), (Admission::Refuse, true)] {
        let mut host = host(Config::default().with_admission(admission));
        host.join(agent(1));
        assert_eq!(host.say(Command::submit(spec(0, 2))), Ok(Accepted::Done), "an idle agent can do it in time");
        (1..=10).for_each(|id| host.submit(task(id).with_estimate(ms(1_000)).with_tier(Tier::High)));
        match host.say(Command::submit(spec(20, 5))) {
            Ok(Accepted::Done) => assert_eq!(admission, Admission::Any),
            Ok(Accepted::Late(at)) => assert!(admission == Admission::Warn && at > Time::from_secs(10), "{at}"),
            Err(Rejected::Invalid(Invalid::Infeasible { expected, .. })) => {
                assert!(refused && expected > Time::from_secs(10))
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(host.say(Command::submit(spec(21, 60))), Ok(Accepted::Done));
        // By its deadline it goes before the others: nobody stands before it.
        assert_eq!(host.scheduler.task(task_id(20)).is_none(), refused);
    }
}

proptest! {
    #![proptest_config(crate::property(64))]

    /// No task is overtaken by one of its class that arrived when the first had waited its target: so whatever comes later,
    /// it waits for no more than what was there or came within its target.
    #[test]
    fn nothing_starves(arrivals in prop::collection::vec((0_usize..4, 0_u64..400), 5..80), run in 1_u64..60) {
        let mut host = host(Config::default());
        host.join(agent(1));
        let mut submitted: BTreeMap<u64, (Time, Tier)> = BTreeMap::new();
        let mut busy_until = Time::ZERO;
        let mut begun: Vec<(u64, Time)> = Vec::new();
        let (mut arrivals, mut next) = (arrivals.into_iter().enumerate().peekable(), Time::ZERO);
        loop {
            let holds = host.scheduler.outstanding();
            if let Some(Effect::Dispatch { attempt, .. }) = holds.first()
                && begun.last().is_none_or(|(last, _)| *last != attempt.task().get())
            {
                begun.push((attempt.task().get(), host.now));
                busy_until = host.now + ms(run);
            }
            match (arrivals.peek(), holds.is_empty()) {
                (Some(_), idle) if idle || next <= busy_until => {
                    let (id, (tier, gap)) = arrivals.next().unwrap();
                    host.now = host.now.max(next);
                    let tier = Tier::ALL[tier];
                    host.submit(task(id as u64).with_tier(tier));
                    submitted.insert(id as u64, (host.now, tier));
                    next = host.now + ms(gap);
                }
                (_, false) => {
                    host.now = busy_until;
                    host.complete(begun.last().unwrap().0);
                }
                (None, true) => break,
                (Some(_), true) => unreachable!("an idle agent lets the next arrive"),
            }
        }
        prop_assert_eq!(begun.len(), submitted.len());
        for (place, (early, _)) in begun.iter().enumerate() {
            for (late, _) in &begun[place + 1..] {
                let ((came, _), (waited, tier)) = (submitted[early], submitted[late]);
                prop_assert!(came <= waited + tier.latency_target(), "t{early} overtook t{late}");
            }
        }
    }
}
