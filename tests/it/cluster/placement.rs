//! Placement of shards on nodes.

use counterpoint::cluster::{NodeId, ShardId, Shards, Weights, plan};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Hosts = BTreeMap<ShardId, NodeId>;

fn nodes(weights: &[(u64, u32)]) -> Weights {
    weights.iter().map(|(node, weight)| (NodeId::new(*node), *weight)).collect()
}

/// Applies plans until nothing is to be moved. Returns how many plans there were.
fn settle(shards: Shards, hosts: &mut Hosts, weights: &Weights) -> usize {
    for plans in 0..200 {
        let moves = plan(shards, hosts, weights);
        if moves.is_empty() {
            return plans;
        }
        for step in moves {
            assert_eq!(step.from, hosts.get(&step.shard).copied().filter(|node| weights.contains_key(node)));
            assert_ne!(step.from, Some(step.to));
            hosts.insert(step.shard, step.to);
        }
    }
    panic!("200 plans have not placed {shards:?} on {weights:?}: {hosts:?}");
}

fn load(hosts: &Hosts, node: NodeId) -> u64 {
    hosts.values().filter(|host| **host == node).count() as u64
}

/// The fair share of a node, rounded down, and 125 % of it, rounded up.
fn bounds(shards: Shards, weights: &Weights, node: NodeId) -> (u64, u64) {
    let total: u64 = weights.values().map(|weight| u64::from(*weight)).sum();
    let product = u64::from(shards.count()) * u64::from(weights[&node]);
    (product / total, (product * 5).div_ceil(total * 4))
}

#[test]
fn placements_are_the_same_on_every_machine() {
    let (shards, weights) = (Shards::new(16).unwrap(), nodes(&[(1, 1), (2, 1), (3, 2)]));
    let mut hosts = Hosts::new();
    settle(shards, &mut hosts, &weights);
    let placed: Vec<u64> = hosts.values().map(|node| node.get()).collect();
    assert_eq!(placed, [3, 1, 3, 2, 3, 1, 2, 1, 2, 1, 3, 3, 1, 3, 3, 3]);
}

/// Without bounds and with many shards, rendezvous hashing gives shares in proportion to the weights.
#[test]
fn weights_are_respected() {
    let (shards, weights) = (Shards::new(4_096).unwrap(), nodes(&[(1, 1), (2, 2), (3, 5)]));
    let mut hosts = Hosts::new();
    settle(shards, &mut hosts, &weights);
    // 512, 1,024 and 2,560, within five standard deviations.
    let loads = [1, 2, 3].map(|node| load(&hosts, NodeId::new(node)));
    assert!(
        loads[0].abs_diff(512) < 106 && loads[1].abs_diff(1_024) < 139 && loads[2].abs_diff(2_560) < 155,
        "{loads:?}"
    );
}

#[test]
fn nothing_is_moved_without_nodes_that_take_shards() {
    let shards = Shards::new(4).unwrap();
    assert_eq!(plan(shards, &Hosts::new(), &Weights::new()), []);
    let host = |node| shards.all().map(|shard| (shard, NodeId::new(node))).collect::<Hosts>();
    assert_eq!(plan(shards, &host(1), &nodes(&[(1, 0)])), [], "the only node is drained");
    assert_eq!(plan(shards, &host(1), &nodes(&[(1, 0), (2, 1)])).len(), 4, "a drained node gives up all its shards");
    // A placement of more shards than there are.
    let mut strange = host(1);
    strange.insert(ShardId::new(77), NodeId::new(1));
    assert_eq!(plan(shards, &strange, &nodes(&[(1, u32::MAX)])), []);
}

fn weights() -> impl Strategy<Value = Weights> {
    let weight = prop_oneof![8 => 1_u32..4, 1 => Just(u32::MAX), 1 => Just(0)];
    prop::collection::btree_map((0_u64..40).prop_map(NodeId::new), weight, 1..12)
        .prop_filter("one node takes shards", |nodes| nodes.values().any(|weight| *weight > 0))
}

proptest! {
    #![proptest_config(crate::property(96))]

    /// Whatever comes and goes, a few plans lead to a placement within the bounds, and a node that leaves or joins moves no
    /// other shards than stated.
    #[test]
    fn nodes_that_leave_or_join_move_only_their_shards(
        power in 0_u32..9,
        start in weights(),
        changes in prop::collection::vec((0_u64..40, prop::option::of(1_u32..4)), 1..12),
    ) {
        let shards = Shards::new(1 << power).unwrap();
        let (mut weights, mut hosts) = (start, Hosts::new());
        settle(shards, &mut hosts, &weights);
        for (node, weight) in changes {
            let node = NodeId::new(node);
            let before = hosts.clone();
            match weight {
                None => {
                    weights.remove(&node);
                }
                Some(weight) => {
                    weights.entry(node).or_insert(weight);
                }
            }
            if weights.values().all(|weight| *weight == 0) {
                prop_assert_eq!(plan(shards, &hosts, &weights), []);
                return Ok(());
            }
            let first = plan(shards, &hosts, &weights);
            let own = before.values().filter(|host| **host == node).count();
            if weight.is_none() && own > 0 {
                prop_assert_eq!(first.len(), own);
                prop_assert!(first.iter().all(|step| before[&step.shard] == node && step.from.is_none()));
            } else if weight.is_some() && own == 0 && first.iter().any(|step| step.to == node) {
                let (share, _) = bounds(shards, &weights, node);
                // Without a whole shard as its share, it only gets what exceeds the bounds of others.
                if share > 0 {
                    prop_assert_eq!(first.len() as u64, share, "a node that joins is filled to its share");
                }
                prop_assert!(first.iter().all(|step| step.to == node));
            }
            settle(shards, &mut hosts, &weights);
            prop_assert!(hosts.keys().copied().eq(shards.all()));
            for node in weights.keys() {
                let (_, most) = bounds(shards, &weights, *node);
                prop_assert!(load(&hosts, *node) <= most, "{} has {} of {}", node, load(&hosts, *node), most);
            }
        }
    }
}
