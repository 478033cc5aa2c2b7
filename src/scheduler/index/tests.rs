//! Agents and classes on their own.

use super::*;
use crate::base::structure::Slot;
use crate::task::agent::Guard;

fn agent(id: u64) -> Arc<AgentSpec> {
    Arc::new(AgentSpec::new(AgentId::new(id)).with_skill("paint", 1).with_capacity(1))
}

fn register(index: &mut Index, spec: &Arc<AgentSpec>, number: u64) -> AgentIx {
    index.register(Incarnation::new(spec.id, number), spec, None, Time::ZERO).unwrap()
}

fn painting() -> ClassKey {
    ClassKey { needs: Needs::skill("paint"), tenant: None, excluded: Excluded::default(), avoid: Box::default() }
}

#[test]
fn a_class_has_an_agent_while_one_that_is_eligible_has_room() {
    let mut index = Index::default();
    let class = index.join(painting(), Room::Open).unwrap();
    assert!(!index.has_agent(class, Room::Open));
    let at = register(&mut index, &agent(1), 1);
    assert!(index.has_agent(class, Room::Open));
    let task = TaskIx(Slot::new(0));
    let held = index.fleet_mut().hold(at, task).unwrap();
    assert!(!index.has_agent(class, Room::Reserved));
    assert_eq!(index.fleet_mut().release(at, held.index), Ok(None));
    assert!(index.fleet_mut().release(at, held.index).is_err(), "it holds nothing");
    assert_eq!(index.check(), Ok(()));
    index.leave(class, Room::Open).unwrap();
    assert!(index.leave(class, Room::Open).is_err(), "no task is left");
}

#[test]
fn backups_are_eligible_while_no_other_agent_is_up() {
    let mut index = Index::default();
    let class = index.join(painting(), Room::Open).unwrap();
    let primary = register(&mut index, &agent(1), 1);
    let spec = Arc::new(AgentSpec::clone(&agent(2)).with_backup(true));
    let backup = register(&mut index, &spec, 2);
    let eligible = |index: &Index| index.classes().eligible(class).unwrap().agents().to_vec();
    assert_eq!(eligible(&index), [primary]);
    let closed = Bound::Gate { guard: Guard::Breaker, slots: Some(0), until: None };
    assert_eq!(index.set_bound(primary, closed), Ok(Reopened::Any));
    assert_eq!(eligible(&index), [primary, backup]);
    let open = Bound::Gate { guard: Guard::Breaker, slots: None, until: None };
    assert_eq!(index.set_bound(primary, open), Ok(Reopened::Any));
    assert_eq!(eligible(&index), [primary]);
    assert_eq!(index.check(), Ok(()));
}

#[test]
fn the_tasks_of_an_agent_that_is_gone_are_returned() {
    let (mut index, mut timers) = (Index::default(), Timers::default());
    let spec = Arc::new(AgentSpec::clone(&agent(1)).with_lease(core::time::Duration::from_secs(5)));
    let at = register(&mut index, &spec, 1);
    index.fleet_mut().set_lease_timer(at, &mut timers).unwrap();
    assert_eq!(timers.check(1), Ok(()));
    let task = TaskIx(Slot::new(7));
    index.fleet_mut().hold(at, task).unwrap();
    assert_eq!(index.remove(spec.id, &mut timers), Ok(vec![task]));
    assert_eq!((index.remove(spec.id, &mut timers), timers.check(0)), (Ok(Vec::new()), Ok(())));
    assert!(index.fleet_mut().set_last_message(at, Time::ZERO).is_err());
    assert_eq!(index.check(), Ok(()));
}
