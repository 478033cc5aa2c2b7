//! Lines in lock-step with a model that keeps everything in one sorted map and looks at all of it.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Push { lane: u32, tenant: u32, kind: u32, tier: usize, key: u64 },
    Remove { nth: usize },
    Tenant { tenant: u32, open: bool },
    Kind { kind: u32, open: bool },
    Charge { tenant: u32, millis: u64 },
    Settle { tenant: u32, charged: u64, was: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u32..3, 0_u32..3, 0_u32..2, 0_usize..4, 0_u64..20)
            .prop_map(|(lane, tenant, kind, tier, key)| Step::Push { lane, tenant, kind, tier, key }),
        4 => (0_usize..20).prop_map(|nth| Step::Remove { nth }),
        1 => (0_u32..3, any::<bool>()).prop_map(|(tenant, open)| Step::Tenant { tenant, open }),
        1 => (0_u32..2, any::<bool>()).prop_map(|(kind, open)| Step::Kind { kind, open }),
        2 => (0_u32..3, 1_u64..50).prop_map(|(tenant, millis)| Step::Charge { tenant, millis }),
        1 => (0_u32..3, 0_u64..50, 0_u64..50).prop_map(|(tenant, charged, was)| Step::Settle { tenant, charged, was }),
    ]
}

#[derive(Default)]
struct Model {
    tasks: BTreeMap<Rank, (StrandKey, Slot)>,
    closed: [Vec<u32>; 2],
}

impl Model {
    fn first(&self, lanes: &Lanes, lane: u32, sight: Sight) -> Option<(Turn, Slot)> {
        let may = |key: &StrandKey| {
            key.lane == lane
                && (sight == Sight::All || key.urgent)
                && !self.closed[0].contains(&key.tenant)
                && !self.closed[1].contains(&key.kind)
        };
        let tasks = self.tasks.iter().filter(|(_, (key, _))| may(key));
        tasks.map(|(rank, (key, task))| (Turn { tag: lanes.tag_of(key.tenant), rank: *rank }, *task)).min()
    }

    fn play(&mut self, lanes: &mut Lanes, number: u32, step: Step) {
        let span = Duration::from_millis;
        match step {
            Step::Push { lane, tenant, kind, tier, key } => {
                let rank = Rank { key, seq: Seq::new(u64::from(number)) };
                let strand = StrandKey { lane, tenant, kind, urgent: tier == 0 };
                lanes.push(strand, tier, rank, Slot::new(number));
                self.tasks.insert(rank, (strand, Slot::new(number)));
            }
            Step::Remove { nth } => {
                if let Some(&rank) = self.tasks.keys().nth(nth) {
                    let (_, task) = self.tasks.remove(&rank).unwrap();
                    lanes.remove(task);
                }
            }
            Step::Tenant { tenant, open } => {
                lanes.gate_tenant(tenant, open);
                self.gate(0, tenant, open);
            }
            Step::Kind { kind, open } => {
                lanes.gate_kind(kind, open);
                self.gate(1, kind, open);
            }
            Step::Charge { tenant, millis } => lanes.charge(tenant, span(millis)),
            Step::Settle { tenant, charged, was } => lanes.settle(tenant, span(charged), span(was)),
        }
    }

    fn gate(&mut self, which: usize, party: u32, open: bool) {
        self.closed[which].retain(|other| *other != party);
        if !open {
            self.closed[which].push(party);
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_map(fair: bool, steps in prop::collection::vec(step(), 1..200)) {
        let mut lanes = Lanes::new(fair);
        (0..3).for_each(|tenant| lanes.begin_tenant(tenant, tenant + 1));
        let mut model = Model::default();
        for (number, step) in (0_u32..).zip(steps) {
            model.play(&mut lanes, number, step);
            prop_assert!(lanes.is_sound());
            for lane in 0..3 {
                for sight in [Sight::Urgent, Sight::All] {
                    let should = model.first(&lanes, lane, sight);
                    prop_assert_eq!(lanes.head(lane as usize, sight), should);
                    let ready = lanes.ready()[0].contains(lane as usize)
                        || (sight == Sight::All && lanes.ready()[1].contains(lane as usize));
                    prop_assert_eq!(ready, should.is_some());
                }
            }
            prop_assert_eq!(lanes.by_tier().iter().sum::<usize>(), model.tasks.len());
        }
    }
}

/// Strands that stay empty are forgotten, and those that come again are found.
#[test]
fn empty_strands_do_not_pile_up() {
    let mut lanes = Lanes::new(false);
    for tenant in 0..5_000 {
        let key = StrandKey { lane: 0, tenant, kind: 0, urgent: false };
        lanes.push(key, 2, Rank { key: 0, seq: Seq::new(u64::from(tenant)) }, Slot::new(0));
        lanes.remove(Slot::new(0));
        assert!(lanes.strands.len() <= IDLE + 1);
    }
    assert!(lanes.is_sound());
}
