//! Tasks of a kind that are done together.

use crate::kit::{agent, host, ms, task};
use counterpoint::scheduler::TaskStatus;
use counterpoint::scheduler::{Batch, Quota};
use counterpoint::{Config, Effect, Tier};

fn batch_of(effects: &[Effect]) -> Vec<u64> {
    match effects {
        [Effect::DispatchBatch { attempts, .. }] => attempts.iter().map(|one| one.attempt.task().get()).collect(),
        other => panic!("not one batch: {other:?}"),
    }
}

fn config(least: u32, most: u32) -> Config {
    Config::default().with_batch("work", Batch::new(least, most, ms(500)))
}

#[test]
fn enough_of_a_kind_go_to_one_agent_at_once() {
    let mut host = host(config(3, 4));
    host.join(agent(1).with_capacity(8));
    host.join(agent(2).with_capacity(8));
    (1..=2).for_each(|id| host.submit(task(id)));
    assert_eq!(host.scheduler.queued(), [0, 0, 2, 0]);
    host.submit(task(3));
    assert_eq!(batch_of(&host.effects), [1, 2, 3]);
    assert_eq!(host.holder(1), host.holder(3));
    // Each is answered alone.
    host.complete(2);
    assert_eq!((host.status(1), host.status(2)), (TaskStatus::Running, TaskStatus::Succeeded));
}

#[test]
fn a_batch_waits_no_longer_than_the_linger() {
    let mut host = host(config(3, 4));
    host.join(agent(1).with_capacity(8));
    host.submit(task(1));
    host.wait(ms(200));
    host.submit(task(2));
    host.wait(ms(299));
    assert_eq!(host.scheduler.queued(), [0, 0, 2, 0]);
    host.wait(ms(1));
    assert_eq!(batch_of(&host.effects), [1, 2]);
    // The next one waits for its own time.
    host.submit(task(3));
    host.wait(ms(499));
    assert_eq!(host.status(3), TaskStatus::Queued);
    host.wait(ms(1));
    assert_eq!(host.status(3), TaskStatus::Running);
}

#[test]
fn a_batch_is_no_larger_than_allowed_or_than_the_agent_has_room_for() {
    let mut host = host(config(2, 4));
    (1..=9).for_each(|id| host.submit(task(id)));
    host.join(agent(1).with_capacity(6));
    let sizes: Vec<usize> = host
        .effects
        .iter()
        .map(|effect| if let Effect::DispatchBatch { attempts, .. } = effect { attempts.len() } else { 1 })
        .collect();
    assert_eq!(sizes, [4, 2]);
}

/// With a least of one nobody waits, and yet what waits under pressure goes together.
#[test]
fn the_size_follows_the_load() {
    let mut host = host(config(1, 10));
    host.join(agent(1).with_capacity(2));
    host.submit(task(1));
    assert!(matches!(host.effects[..], [Effect::Dispatch { .. }]));
    (2..=6).for_each(|id| host.submit(task(id)));
    host.complete(1);
    host.join(agent(2).with_capacity(9));
    assert_eq!(batch_of(&host.effects).len(), 3);
}

#[test]
fn batches_are_of_one_tenant_and_keep_its_quota() {
    let config = config(2, 8).with_tenant("small", Quota::default().with_concurrent(2));
    let mut host = host(config);
    (1..=4).for_each(|id| host.submit(task(id).with_tenant("small")));
    (5..=6).for_each(|id| host.submit(task(id).with_tenant("other")));
    host.submit(task(7).with_tenant("other").with_tier(Tier::Critical));
    host.join(agent(1).with_capacity(8));
    let batches: Vec<Vec<u64>> = host.effects.iter().map(|effect| batch_of(std::slice::from_ref(effect))).collect();
    assert_eq!(batches, [vec![1, 2], vec![5, 6]]);
}

#[test]
fn the_oldest_leaves_and_the_next_still_gets_its_turn() {
    let mut host = host(config(3, 3));
    host.join(agent(1).with_capacity(8));
    host.submit(task(1));
    host.wait(ms(100));
    host.submit(task(2));
    host.cancel(1).unwrap();
    host.wait(ms(500));
    assert_eq!(host.status(2), TaskStatus::Running);
}
