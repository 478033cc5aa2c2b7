//! What coordination costs: an election, an auction of 1,000 bidders, an update of a field of trails, forming a team, planning in
//! the blocks world.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a bench fails loudly"
)]

#[path = "../tests/it/blocks/domain.rs"]
mod blocks;

use blocks::{LARGE, achieve, world};
use core::hint::black_box;
use counterpoint::coordination::consensus::{Ballot, Config as Voting, Consensus, Rules as VotingRules};
use counterpoint::coordination::hierarchy::Election;
use counterpoint::coordination::market::{Bid, Rules, hold};
use counterpoint::coordination::stigmergy::{Field, Rules as FieldRules};
use counterpoint::decompose::{Bounds, Domain, Facts, Goal, Split, plan};
use counterpoint::team::{Matrix, Person, Request, form};
use counterpoint::{AgentId, Random, Time};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

fn election(c: &mut Criterion) {
    let mut election = Election::new(10);
    (0..1_000).for_each(|id| {
        election.set(AgentId::new(id), id);
    });
    let mut round = 0_u64;
    c.bench_function("election: the leader of 1,000 leaves and comes back", |bench| {
        bench.iter(|| {
            round += 1;
            let leader = election.leader().unwrap();
            election.remove(leader);
            black_box(election.set(leader, 1_000 + round % 7))
        });
    });
}

fn vote(c: &mut Criterion) {
    let rules = VotingRules::new(Voting::default()).unwrap();
    c.bench_function("consensus: a round of 100 voters", |bench| {
        bench.iter(|| {
            let voters = (0..100).map(|id| (AgentId::new(id), 1 + id % 5));
            let mut vote = Consensus::open(rules.clone(), voters, Time::ZERO).unwrap();
            for id in 0..100 {
                let option = Ballot::For(if id % 10 == 0 { "b" } else { "a" }.into());
                let _ = vote.cast(AgentId::new(id), 1, option, Time::ZERO);
            }
            assert!(vote.decision().is_some());
            vote
        });
    });
}

fn auctions(c: &mut Criterion) {
    let mut random = Random::new(1, 1);
    let bids: Vec<Bid> = (0..1_000)
        .map(|id| {
            Bid::new(AgentId::new(id), random.below(900_000) as u64)
                .with_trust(1_000_000 - random.below(500_000) as u32)
        })
        .collect();
    let rules = Rules::default();
    c.bench_function("auction: second price, 1,000 bidders", |bench| {
        bench.iter(|| hold(&rules, black_box(&bids)).unwrap())
    });
}

fn field(c: &mut Criterion) {
    let mut field = Field::new(FieldRules::default());
    (0..10_000_u32).for_each(|key| field.reinforce(key, 0));
    let mut tick = 0;
    c.bench_function("trails: one deposit and one look among 10,000", |bench| {
        bench.iter(|| {
            tick += 1;
            let key = (tick * 7_919 % 10_000) as u32;
            field.reinforce(key, tick);
            black_box(field.level(&(key / 2), tick))
        });
    });
}

fn team(c: &mut Criterion) {
    let mut random = Random::new(1, 2);
    let people = (0..1_000).map(|id| {
        let person = Person::new(AgentId::new(id)).with_cost(50 + random.below(100) as u64);
        (0..8).fold(person, |person, _| {
            let skill = format!("skill {}", random.below(200));
            person.with_skill(skill, 1 + random.below(5) as u16)
        })
    });
    let matrix = Matrix::of(people);
    let wanted = |count: usize| Request::new((0..count).map(|skill| (format!("skill {skill}"), 2))).with_each(10);
    let (few, all) = (wanted(10), wanted(200));
    // The same team for a peer: `benches/peers/coordination.py` reads it.
    if let Ok(path) = std::env::var("COUNTERPOINT_INSTANCE") {
        let costs: Vec<u64> = matrix.people().map(|person| person.cost + 10).collect();
        let able = |skill: usize| {
            let name = format!("skill {skill}");
            (0..1_000_u64).filter(|id| matrix.level(&name, AgentId::new(*id)) >= 2).collect::<Vec<_>>()
        };
        let able: Vec<_> = (0..200).map(able).collect();
        let cost = |request: &Request| form(&matrix, request).unwrap().cost.to_string();
        let found = json!({"costs": costs, "able": able, "few": 10, "few_cost": cost(&few), "all_cost": cost(&all)});
        std::fs::write(path, found.to_string()).unwrap();
    }
    let mut group = c.benchmark_group("team of 1,000 agents");
    group.sample_size(10);
    group.bench_function("10 skills, exact", |bench| bench.iter(|| form(&matrix, black_box(&few)).unwrap()));
    group.bench_function("200 skills, greedy and improved", |bench| {
        bench.iter(|| form(&matrix, black_box(&all)).unwrap())
    });
    group.finish();
}

/// The towers of Hanoi as operators and methods, with ten discs: 1,023 steps.
fn hanoi() -> Domain {
    let peg = |about: &[Value], place: usize| about.get(place).and_then(Value::as_str).unwrap_or("").to_owned();
    Domain::default()
        .with_operator("disc", move |facts, about| {
            let mut pegs = facts.clone();
            let disc = pegs.get_mut(&*peg(about, 1))?.as_array_mut()?.pop()?;
            pegs.get_mut(&*peg(about, 2))?.as_array_mut()?.push(disc);
            Some(pegs)
        })
        .with_method("tower", "none", |_, about| (about.first()?.as_u64()? == 0).then(|| Split::sequence([])))
        .with_method("tower", "split", |_, about| {
            let [size, from, to, by] = about else { return None };
            let less = json!(size.as_u64()?.checked_sub(1)?);
            let tower = |from: &Value, to: &Value, by: &Value| {
                Goal::new("tower", [less.clone(), from.clone(), to.clone(), by.clone()])
            };
            let disc = Goal::new("disc", [size.clone(), from.clone(), to.clone()]);
            Some(Split::sequence([tower(from, by, to), disc, tower(by, to, from)]))
        })
}

/// A tower of blocks, and the same turned over.
fn turned_over(count: usize) -> (Facts, Goal) {
    let names: Vec<String> = (0..count).map(|block| block.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let on = |pairs: Vec<(usize, Option<usize>)>| {
        pairs
            .into_iter()
            .map(|(block, below)| (names[block], below.map_or("table", |below| names[below])))
            .collect::<Vec<_>>()
    };
    let stands = on((0..count).map(|block| (block, (block + 1 < count).then_some(block + 1))).collect());
    let wanted = on((0..count).map(|block| (block, block.checked_sub(1))).collect());
    (world(stands), achieve(wanted))
}

fn planning(c: &mut Criterion) {
    let tower = |discs: u64| (1..=discs).rev().collect::<Vec<_>>();
    let facts = Facts::from([("a".into(), json!(tower(10))), ("b".into(), json!([])), ("c".into(), json!([]))]);
    let goal = [Goal::new("tower", [json!(10), json!("a"), json!("c"), json!("b")])];
    let domain = hanoi();
    c.bench_function("decomposition: towers of Hanoi, 1,023 steps", |bench| {
        bench.iter(|| plan(&domain, facts.clone(), black_box(&goal), Bounds::default()).unwrap());
    });
    let domain = blocks::domain();
    let (facts, goal) = (world(LARGE.0.iter().copied()), [achieve(LARGE.1.iter().copied())]);
    assert_eq!(plan(&domain, facts.clone(), &goal, Bounds::default()).unwrap().steps.len(), 38);
    c.bench_function("decomposition: blocks world, bw_large_d, 38 steps", |bench| {
        bench.iter(|| plan(&domain, facts.clone(), black_box(&goal), Bounds::default()).unwrap());
    });
    let (facts, goal) = turned_over(60);
    let (goal, bounds) = ([goal], Bounds::default().with_depth(1_000));
    assert_eq!(plan(&domain, facts.clone(), &goal, bounds).unwrap().steps.len(), 120);
    c.bench_function("decomposition: blocks world, a tower of 60 turned over, 120 steps", |bench| {
        bench.iter(|| plan(&domain, facts.clone(), black_box(&goal), bounds).unwrap());
    });
}

criterion_group!(benches, election, vote, auctions, field, team, planning);
criterion_main!(benches);
