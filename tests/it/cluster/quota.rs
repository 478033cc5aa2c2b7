//! Division of quotas, beside shards that apply their parts, over a network that loses, repeats and delays.

use counterpoint::cluster::{Part, QuotaDivision, QuotaError, ShardId, Shards};
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Debug, Clone)]
enum Step {
    Demand(u16, u64),
    Divide,
    /// Delivers a message, and keeps it if the flag is set.
    Deliver(Index, bool),
    Lose(Index),
    /// Delivers the oldest message.
    First,
}

fn step() -> impl Strategy<Value = Step> {
    let demand = prop_oneof![Just(0), 1_u64..20, Just(u64::MAX)];
    prop_oneof![
        2 => (0_u16..4, demand).prop_map(|(shard, demand)| Step::Demand(shard, demand)),
        2 => Just(Step::Divide),
        6 => (any::<Index>(), prop::bool::weighted(0.2)).prop_map(|(at, keep)| Step::Deliver(at, keep)),
        1 => any::<Index>().prop_map(Step::Lose),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Message {
    Part(Part),
    Confirmation(Part),
}

proptest! {
    #![proptest_config(crate::property(256))]

    /// The parts that shards apply never sum up to more than the quota, and reach the fair division when messages arrive.
    #[test]
    fn the_sum_of_parts_is_never_more_than_the_quota(
        quota in prop_oneof![0_u64..12, Just(u64::MAX), 1_000_u64..2_000],
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let shards = Shards::new(4).unwrap();
        let mut division = QuotaDivision::new(shards, quota);
        let mut network: Vec<Message> = Vec::new();
        // What each shard applies, and the number of that part.
        let mut applied = [(0_u64, 0_u64); 4];
        let mut demands = [0_u64; 4];
        let rest = (0..6).flat_map(|_| [Step::Divide].into_iter().chain((0..40).map(|_| Step::First)));
        for step in steps.into_iter().chain(rest) {
            let mut parts = Vec::new();
            match step {
                Step::Demand(shard, demand) => {
                    demands[usize::from(shard)] = demand;
                    division.demand(ShardId::new(shard), demand).unwrap();
                }
                Step::Divide => division.divide(&mut parts),
                Step::Lose(at) if !network.is_empty() => drop(network.swap_remove(at.index(network.len()))),
                Step::Deliver(..) | Step::First if !network.is_empty() => {
                    let (at, keep) = match step {
                        Step::Deliver(at, keep) => (at.index(network.len()), keep),
                        _ => (0, false),
                    };
                    let message = if keep { network[at] } else { network.remove(at) };
                    match message {
                        Message::Part(part) => {
                            let (most, number) = &mut applied[part.shard.index()];
                            if part.number >= *number {
                                (*most, *number) = (part.most, part.number);
                                network.push(Message::Confirmation(part));
                            }
                        }
                        Message::Confirmation(part) => match division.confirm(&part, &mut parts) {
                            Ok(()) => {}
                            Err(error) => {
                                let is_old = matches!(error, QuotaError::Old { .. });
                                prop_assert!(is_old, "{}", error);
                            }
                        },
                    }
                }
                Step::Lose(_) | Step::Deliver(..) | Step::First => {}
            }
            network.extend(parts.into_iter().map(Message::Part));
            division.check().map_err(TestCaseError::fail)?;
            let sum: u128 = applied.iter().map(|(most, _)| u128::from(*most)).sum();
            prop_assert!(sum <= quota.into(), "{:?} of {}", applied, quota);
        }
        let wanting = demands.iter().filter(|demand| **demand > 0).count() as u64;
        if wanting == 0 {
            return Ok(());
        }
        // The whole quota is in use, and shards with a demand have an equal part or all that they demand.
        prop_assert_eq!(applied.iter().map(|(most, _)| u128::from(*most)).sum::<u128>(), u128::from(quota));
        for (shard, demand) in demands.into_iter().enumerate() {
            let least = demand.min(quota / wanting);
            prop_assert!(applied[shard].0 >= least, "shard {} has {:?}, demands {:?}", shard, applied, demands);
        }
    }
}

#[test]
fn units_that_cannot_be_divided_go_round() {
    let shards = Shards::new(4).unwrap();
    let mut division = QuotaDivision::new(shards, 1);
    shards.all().for_each(|shard| division.demand(shard, 5).unwrap());
    let mut had = [0; 4];
    for _ in 0..8 {
        let mut parts = Vec::new();
        division.divide(&mut parts);
        while let Some(part) = parts.pop() {
            division.confirm(&part, &mut parts).unwrap();
        }
        shards.all().for_each(|shard| had[shard.index()] += division.part_of(shard).unwrap().most);
    }
    assert_eq!(had, [2; 4], "each of four shards has the only unit in two of eight rounds");
}

#[test]
fn shards_that_do_not_exist_are_refused() {
    let mut division = QuotaDivision::new(Shards::new(2).unwrap(), 1);
    assert!(matches!(division.demand(ShardId::new(2), 1), Err(QuotaError::Shards(_))));
    assert!(matches!(division.part_of(ShardId::new(9)), Err(QuotaError::Shards(_))));
}
