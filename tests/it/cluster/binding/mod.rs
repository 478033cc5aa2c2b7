//! Late binding: homes and shards with real engines, in random schedules, and the smallest deployment explored exhaustively.

mod desk;
mod world;

use super::explore::{World, explore};
use proptest::prelude::*;
use world::{Action, Budget, Deployment, Faults, Setup};

fn setups() -> impl Strategy<Value = Setup> {
    let agents = prop::collection::vec(1..=3_u32, 2..=3);
    (2..=3_u16, agents, 1..=4_u64, 0..=12_u16, any::<bool>()).prop_map(|(shards, agents, tasks, faults, cancels)| {
        let budget =
            Budget { faults, kinds: Faults::All, time: 20, digests: 30, submits: 6, cancels: 2 * u16::from(cancels) };
        Setup { shards, homes: 2, agents, tasks, budget }
    })
}

proptest! {
    #![proptest_config(crate::property(200))]

    /// Whatever a network and hosts do, no slot is used twice, no attempt is performed twice, and in the end every task is done.
    #[test]
    fn shared_agents_perform_every_task(setup in setups(), picks in prop::collection::vec(any::<u16>(), 0..160)) {
        let mut deployment = Deployment::new(&setup);
        let mut path = Vec::new();
        for pick in picks {
            let actions = deployment.actions();
            let Some(action) = actions.get(usize::from(pick) % actions.len().max(1)) else { break };
            path.push(format!("{action:?}"));
            deployment.apply(action);
            deployment.check().map_err(|fault| TestCaseError::fail(format!("{fault}\n{path:#?}")))?;
        }
        deployment.settle().map_err(|fault| TestCaseError::fail(format!("{fault}\n{path:#?}")))?;
    }
}

/// The exploration has no time, so it needs no leases; it finds what a few messages can do in any order.
#[test]
fn the_smallest_deployments_are_explored() {
    let of = |shards, homes, agents: &[u32], (tasks, submits), (faults, kinds, digests)| Setup {
        shards,
        homes,
        agents: agents.to_vec(),
        tasks,
        budget: Budget { faults, kinds, time: 0, digests, submits, cancels: 0 },
    };
    for setup in [
        of(1, 1, &[1], (2, 0), (1, Faults::All, 1)),
        of(1, 1, &[2], (2, 0), (1, Faults::All, 1)),
        of(1, 2, &[1], (1, 0), (1, Faults::All, 1)),
        of(1, 1, &[1, 1], (1, 0), (1, Faults::All, 1)),
        of(2, 1, &[1], (1, 0), (1, Faults::Takeovers, 1)),
    ] {
        let states = explore(&Deployment::new(&setup), 100_000).unwrap_or_else(|found| panic!("{found:#?}"));
        println!("{states} states of {setup:?}");
        assert!(states > 100, "{states} states");
    }
}

/// The answer of an earlier epoch must not end a poll that was sent again to the present one: a late copy of that poll would be
/// answered with a task that no home knows.
#[test]
fn a_poll_that_was_sent_to_two_epochs_is_ended_by_the_later_one() {
    let budget = Budget { faults: 1, kinds: Faults::Takeovers, time: 0, digests: 2, submits: 1, cancels: 0 };
    let mut deployment = Deployment::new(&Setup { shards: 1, homes: 1, agents: vec![1], tasks: 1, budget });
    let deliver = |at| Action::Deliver { at, desk: 0, again: false };
    let poll = [Action::Digest(0), deliver(0), deliver(0)];
    let takeover = [Action::TakeOver { shard: 0, lives_on: false }, Action::Digest(0), deliver(1)];
    for action in poll.iter().chain(&takeover).chain(&[deliver(0)]) {
        deployment.apply(action);
        deployment.check().unwrap();
    }
    // The answer of the first epoch is in the past: nothing is under way until the second one answers.
    let begun = deployment.actions().into_iter().find(|action| matches!(action, Action::Finish(..)));
    assert!(begun.is_none(), "{begun:?}");
    deployment.apply(&deliver(0));
    deployment.apply(&deliver(0));
    let begun = deployment.actions().into_iter().find(|action| matches!(action, Action::Finish(..)));
    deployment.apply(&begun.expect("the attempt begins"));
    deployment.apply(&Action::Submit(0));
    deployment.check().unwrap();
    deployment.settle().unwrap();
}
