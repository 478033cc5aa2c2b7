//! Lanes in lock-step with a model that keeps everything in one sorted map and looks at all of it.

use super::*;
use crate::scheduler::ix::AccountIxs;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Push { lane: u32, tenant: u32, kind: u32, tier: Tier, key: u64 },
    Remove { nth: usize },
    Tenant { tenant: u32, open: bool },
    Kind { kind: u32, open: bool },
    Charge { tenant: u32, millis: u64 },
    Settle { tenant: u32, charged: u64, was: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u32..3, 0_u32..3, 0_u32..2, 0_usize..4, 0_u64..20)
            .prop_map(|(lane, tenant, kind, tier, key)| Step::Push { lane, tenant, kind, tier: Tier::ALL[tier], key }),
        4 => (0_usize..20).prop_map(|nth| Step::Remove { nth }),
        1 => (0_u32..3, any::<bool>()).prop_map(|(tenant, open)| Step::Tenant { tenant, open }),
        1 => (0_u32..2, any::<bool>()).prop_map(|(kind, open)| Step::Kind { kind, open }),
        2 => (0_u32..3, millis()).prop_map(|(tenant, millis)| Step::Charge { tenant, millis }),
        1 => (0_u32..3, millis(), millis()).prop_map(|(tenant, charged, was)| Step::Settle { tenant, charged, was }),
    ]
}

/// Mostly short times, and some that fill 64 bits of virtual time.
fn millis() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0_u64..50, 1 => Just(u64::MAX / 1_000_000), 1 => Just(u64::MAX)]
}

#[derive(Default)]
struct Model {
    tasks: BTreeMap<Rank, (SubQueueKey, TaskIx)>,
    closed: Vec<AccountIx>,
}

impl Model {
    fn first(&self, lanes: &Lanes, class: ClassIx, room: Room) -> Option<(Turn, TaskIx)> {
        let may = |key: &SubQueueKey| {
            key.class == class
                && (room == Room::Open || key.urgent)
                && !key.accounts.each().iter().any(|account| self.closed.contains(account))
        };
        let tasks = self.tasks.iter().filter(|(_, (key, _))| may(key));
        tasks.map(|(rank, (key, task))| (Turn { tag: lanes.order_tag(key.accounts.tenant), rank: *rank }, *task)).min()
    }

    fn play(&mut self, lanes: &mut Lanes, number: u32, step: Step) {
        let span = Duration::from_millis;
        match step {
            Step::Push { lane, tenant, kind, tier, key } => {
                let rank = Rank { key, seq: Seq::new(u64::from(number)) };
                let (key, task) = (key_of(lane, tenant, kind, tier), TaskIx(Slot::new(number)));
                // Every other task is new. It is first where no other may begin, and enters its sub-queue then.
                lanes.receive(key, (tier, rank), task, number.is_multiple_of(2)).unwrap();
                if let Some(newcomer) = lanes.newcomer() {
                    assert_eq!(newcomer, task);
                    let others = [Room::Open, Room::Reserved].map(|room| self.first(lanes, key.class, room));
                    assert_eq!(others, [None; 2], "another task of the class may begin");
                    assert!(lanes.check().is_err(), "a call does not end before the task is queued");
                    if number.is_multiple_of(4) {
                        lanes.remove(task).unwrap();
                        assert_eq!((lanes.newcomer(), lanes.check()), (None, Ok(())));
                        return;
                    }
                    lanes.admit_newcomer().unwrap();
                }
                self.tasks.insert(rank, (key, task));
            }
            Step::Remove { nth } => {
                if let Some(&rank) = self.tasks.keys().nth(nth) {
                    let (_, task) = self.tasks.remove(&rank).unwrap();
                    lanes.remove(task).unwrap();
                }
            }
            Step::Tenant { tenant, open } => {
                self.gate(lanes, AccountIx::Tenant(self::tenant(tenant)), open);
            }
            Step::Kind { kind, open } => {
                self.gate(lanes, AccountIx::Kind(self::kind(kind)), open);
            }
            Step::Charge { tenant, millis } => lanes.charge(self::tenant(tenant), span(millis)).unwrap(),
            Step::Settle { tenant, charged, was } => {
                lanes.settle(self::tenant(tenant), span(charged), span(was)).unwrap()
            }
        }
    }

    fn gate(&mut self, lanes: &mut Lanes, account: AccountIx, open: bool) {
        lanes.gate(account, open).unwrap();
        self.closed.retain(|other| *other != account);
        if !open {
            self.closed.push(account);
        }
    }
}

fn tenant(at: u32) -> TenantIx {
    TenantIx(Slot::new(at))
}

fn kind(at: u32) -> KindIx {
    KindIx(Slot::new(at))
}

fn key_of(lane: u32, tenant: u32, kind: u32, tier: Tier) -> SubQueueKey {
    let accounts = AccountIxs { tenant: self::tenant(tenant), kind: self::kind(kind) };
    SubQueueKey { class: ClassIx(Slot::new(lane)), accounts, urgent: tier == Tier::Critical }
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_map(fair: bool, steps in prop::collection::vec(step(), 1..200)) {
        let mut lanes = Lanes::new(fair);
        (0..3).for_each(|at| lanes.add_tenant(tenant(at), at + 1));
        let mut model = Model::default();
        for (number, step) in (0_u32..).zip(steps) {
            model.play(&mut lanes, number, step);
            prop_assert_eq!(lanes.check(), Ok(()));
            for class in (0..3).map(|lane| ClassIx(Slot::new(lane))) {
                for room in [Room::Reserved, Room::Open] {
                    let should = model.first(&lanes, class, room);
                    prop_assert_eq!(lanes.head(class, room), Ok(should));
                    let ready = lanes.ready().urgent.contains(class.index())
                        || (room == Room::Open && lanes.ready().rest.contains(class.index()));
                    prop_assert_eq!(ready, should.is_some());
                }
            }
            prop_assert_eq!(lanes.by_tier().iter().sum::<usize>(), model.tasks.len());
        }
    }
}

/// What is charged can be settled exactly, however much it is.
#[test]
fn a_charge_is_settled_without_a_rest() {
    let mut lanes = Lanes::new(true);
    lanes.add_tenant(tenant(0), 1);
    lanes.charge(tenant(0), Duration::from_secs(1)).unwrap();
    let before = lanes.tag(tenant(0));
    for _ in 0..100 {
        lanes.charge(tenant(0), Duration::from_nanos(u64::MAX)).unwrap();
    }
    for _ in 0..100 {
        lanes.settle(tenant(0), Duration::from_nanos(u64::MAX), Duration::from_micros(1)).unwrap();
    }
    assert_eq!(lanes.tag(tenant(0)), before + 100 * 256);
}

/// Sub-queues that stay empty are dropped, and those that are used again are found.
#[test]
fn empty_sub_queues_do_not_pile_up() {
    let mut lanes = Lanes::new(false);
    let task = TaskIx(Slot::new(0));
    for tenant in 0..5_000 {
        let rank = Rank { key: 0, seq: Seq::new(u64::from(tenant)) };
        lanes.push(key_of(0, tenant, 0, Tier::Normal), Tier::Normal, rank, task).unwrap();
        lanes.remove(task).unwrap();
        assert!(lanes.sub_queues.iter().count() <= IDLE + 1);
    }
    assert_eq!(lanes.check(), Ok(()));
    assert!(lanes.remove(task).is_err(), "it is in no queue");
}
