//! Tasks on their own: transitions, dependencies and the lists of finished tasks.

use super::*;
use crate::base::structure::Slot;
use crate::scheduler::ix::{AccountIxs, AgentIx, KindIx, TenantIx};
use crate::task::Failure;
use std::sync::Arc;

const ACCOUNTS: AccountIxs = AccountIxs { tenant: TenantIx(Slot::new(0)), kind: KindIx(Slot::new(0)) };

fn spec(id: u64) -> TaskSpec {
    TaskSpec::new(TaskId::new(id), "work")
}

fn submit(tasks: &mut Tasks, spec: TaskSpec) -> TaskIx {
    let (spec, seq, at) = (Arc::new(spec), crate::base::id::Seq::new(1), Time::ZERO);
    tasks.submit(&Submission { spec: &spec, seq, at, expected: None, accounts: ACCOUNTS }).unwrap()
}

fn attempt() -> Running {
    let by = Incarnation::new(AgentId::new(1), 1);
    let held = Some(Held { at: AgentIx::new(0), index: 0 });
    let (since, charged) = (Time::ZERO, Duration::ZERO);
    Running { number: 1, by, held, since, charged, unstarted: false, requests: None }
}

#[test]
fn a_task_is_ready_when_all_that_it_waits_for_have_succeeded() {
    let mut tasks = Tasks::default();
    let [first, second] = [1, 2].map(|id| submit(&mut tasks, spec(id)));
    let waiting = spec(3).with_after([1, 2].map(TaskId::new));
    let third = submit(&mut tasks, waiting.clone());
    tasks.block(third, &waiting, Origin::Submit).unwrap();
    tasks.end(first, TaskOutcome::Succeeded(Payload::NULL), Time::ZERO).unwrap();
    assert_eq!(tasks.settle_dependents(usize::MAX), Ok(1));
    assert!(tasks.make_ready(TaskId::new(3)).is_err(), "one of two has succeeded");
    assert_eq!(tasks.next_follow_up(), None);
    tasks.end(second, TaskOutcome::Succeeded(Payload::NULL), Time::ZERO).unwrap();
    assert!(tasks.has_unsettled() && tasks.next_follow_up().is_none());
    assert_eq!((tasks.settle_dependents(9), tasks.settle_dependents(9)), (Ok(1), Ok(0)));
    assert_eq!(tasks.next_follow_up(), Some((FollowUp::Ready, TaskId::new(3))));
    assert_eq!(tasks.make_ready(TaskId::new(3)), Ok(third));
    assert_eq!((tasks.active(), tasks.check()), (1, Ok(())));
}

#[test]
fn a_task_is_unsatisfiable_when_one_that_it_waits_for_fails() {
    let mut tasks = Tasks::default();
    let first = submit(&mut tasks, spec(1));
    let waiting = spec(2).with_after([TaskId::new(1)]);
    let second = submit(&mut tasks, waiting.clone());
    tasks.block(second, &waiting, Origin::Submit).unwrap();
    tasks.end(first, TaskOutcome::DeadLettered(Failure::permanent("broken")), Time::ZERO).unwrap();
    tasks.settle_dependents(usize::MAX).unwrap();
    assert_eq!(tasks.next_follow_up(), Some((FollowUp::Unsatisfiable, TaskId::new(2))));
    assert_eq!((tasks.dead().len(), tasks.finished().len()), (1, 0));
    tasks.discard(TaskId::new(1)).unwrap();
    assert_eq!((tasks.dead().len(), tasks.finished().len()), (0, 1));
    assert!(tasks.discard(TaskId::new(1)).is_err(), "it is no dead letter any more");
    tasks.forget(TaskId::new(1)).unwrap();
    assert!(tasks.forget(TaskId::new(2)).is_err(), "it has not ended");
    assert_eq!(tasks.check(), Ok(()));
}

#[test]
fn an_unknown_dependency_has_succeeded_in_a_snapshot_alone() {
    for (origin, follow_up) in [(Origin::Submit, FollowUp::Unsatisfiable), (Origin::Snapshot, FollowUp::Ready)] {
        let mut tasks = Tasks::default();
        let waiting = spec(2).with_after([TaskId::new(1)]);
        let at = submit(&mut tasks, waiting.clone());
        tasks.block(at, &waiting, origin).unwrap();
        assert_eq!(tasks.next_follow_up(), Some((follow_up, TaskId::new(2))));
    }
}

#[test]
fn an_attempt_is_requested_back_once_and_orphaned_without_its_agent() {
    let mut tasks = Tasks::default();
    let at = submit(&mut tasks, spec(1));
    assert!(tasks.request_yield(at, YieldReason::Rebalanced, Time::ZERO).is_err(), "no attempt is under way");
    tasks.begin(at, attempt()).unwrap();
    tasks.request_yield(at, YieldReason::Rebalanced, Time::ZERO).unwrap();
    assert!(tasks.request_yield(at, YieldReason::Rebalanced, Time::ZERO).is_err());
    tasks.orphan(at).unwrap();
    assert!(tasks.is_orphaned(TaskId::new(1)));
    assert_eq!(tasks.release(at), Ok(None), "no agent holds it");
    assert_eq!(tasks.next_follow_up(), None);
    tasks.note_yield(at).unwrap();
    assert_eq!(tasks.get(at).unwrap().counted(), 0);
}
