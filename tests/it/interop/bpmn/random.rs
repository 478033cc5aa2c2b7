//! Random processes: performed by the engine as by the token game.

use super::game::{Game, Guard, Kind, Net, Trouble, answer};
use super::{Answers, imported, outcome, rehearsal, start};
use counterpoint::interop::bpmn::{Options, import};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

struct Draw(TestRng);

impl Draw {
    fn below(&mut self, most: u32) -> u32 {
        self.0.next_u32() % most
    }
}

/// A structured part between two nodes: from the first to the last.
fn block(net: &mut Net, draw: &mut Draw, depth: u32) -> (usize, usize) {
    match if depth == 0 { 0 } else { draw.below(6) } {
        0 => {
            let task = net.node("t", Kind::Task);
            (task, task)
        }
        1 => {
            let (first, middle) = block(net, draw, depth - 1);
            let (next, last) = block(net, draw, depth - 1);
            net.flow(middle, next, Guard::None);
            (first, last)
        }
        2 => between(net, draw, depth, Kind::And),
        3 => between(net, draw, depth, Kind::Xor),
        4 => between(net, draw, depth, Kind::Or),
        _ => cycle(net, draw, depth),
    }
}

/// Branches between a split and a join.
fn between(net: &mut Net, draw: &mut Draw, depth: u32, kind: Kind) -> (usize, usize) {
    let ask = net.node("t", Kind::Task);
    let (split, join) = (net.node("g", kind), net.node("g", kind));
    net.flow(ask, split, Guard::None);
    let branches = 2 + draw.below(2);
    let value = format!("v_{}", net.nodes[ask].0);
    for branch in 0..branches {
        let guard = match kind {
            Kind::And => Guard::None,
            _ if branch + 1 == branches => Guard::Default,
            _ if draw.below(2) == 0 => Guard::Below(value.clone(), i64::from(draw.below(4)) + 1),
            _ => Guard::AtLeast(value.clone(), i64::from(draw.below(4)) + 1),
        };
        if draw.below(5) == 0 && branch > 0 && branch + 1 == branches {
            net.flow(split, join, guard);
        } else {
            let (first, last) = block(net, draw, depth - 1);
            net.flow(split, first, guard);
            net.flow(last, join, Guard::None);
        }
    }
    (ask, join)
}

/// A body that is repeated.
fn cycle(net: &mut Net, draw: &mut Draw, depth: u32) -> (usize, usize) {
    let begin = net.node("g", Kind::Xor);
    let (first, last) = block(net, draw, depth - 1);
    let ask = net.node("t", Kind::Task);
    let end = net.node("g", Kind::Xor);
    net.flow(begin, first, Guard::None);
    net.flow(last, ask, Guard::None);
    net.flow(ask, end, Guard::None);
    let again = Guard::Below(format!("n_{}", net.nodes[ask].0), 1 + i64::from(draw.below(3)));
    if draw.below(2) == 0 {
        net.flow(end, begin, again);
    } else {
        let (first, last) = block(net, draw, depth - 1);
        net.flow(end, first, again);
        net.flow(last, begin, Guard::None);
    }
    let after = net.node("t", Kind::Task);
    net.flow(end, after, Guard::Default);
    (begin, after)
}

fn structured(draw: &mut Draw) -> Net {
    let mut net = Net::default();
    let start = net.node("s", Kind::Start);
    let (first, last) = block(&mut net, draw, 3);
    let end = net.node("e", Kind::End);
    net.flow(start, first, Guard::None);
    net.flow(last, end, Guard::None);
    net
}

/// Gateways and tasks with any flows from earlier to later ones.
fn acyclic(draw: &mut Draw) -> Net {
    let mut net = Net::default();
    let start = net.node("s", Kind::Start);
    let mut ends = vec![start];
    for _ in 0..2 + draw.below(6) {
        let mut into = Vec::new();
        for _ in 0..1 + draw.below(3) {
            let at = draw.below(ends.len() as u32) as usize;
            if ends[at] != start || ends.len() == 1 {
                into.push(ends.swap_remove(at));
                if ends.is_empty() {
                    break;
                }
            }
        }
        if into.is_empty() {
            continue;
        }
        let gateway = |draw: &mut Draw| [Kind::Xor, Kind::And, Kind::Or][draw.below(3) as usize];
        let join = if into.len() > 1 {
            let kind = gateway(draw);
            Some(net.node("g", kind))
        } else {
            None
        };
        let task = net.node("t", Kind::Task);
        // Flows of splits get their guards afterwards.
        for from in into {
            net.flow(from, join.unwrap_or(task), Guard::None);
        }
        if let Some(join) = join {
            net.flow(join, task, Guard::None);
        }
        let outs = 1 + draw.below(3);
        if outs == 1 {
            ends.push(task);
        } else {
            let kind = gateway(draw);
            let split = net.node("g", kind);
            net.flow(task, split, Guard::None);
            ends.extend((0..outs).map(|_| split));
        }
    }
    let end = net.node("e", Kind::End);
    for from in ends {
        net.flow(from, end, Guard::None);
    }
    for node in 0..net.nodes.len() {
        let out: Vec<usize> = (0..net.flows.len()).filter(|flow| net.flows[*flow].0 == node).collect();
        if out.len() > 1 && matches!(net.nodes[node].1, Kind::Xor | Kind::Or) {
            let task = net.flows.iter().find(|flow| flow.1 == node).unwrap().0;
            let value = format!("v_{}", net.nodes[task].0);
            for (number, flow) in out.iter().enumerate() {
                net.flows[*flow].2 = match number {
                    0 => Guard::Default,
                    number => Guard::Below(value.clone(), 2 * number as i64),
                };
            }
        }
    }
    net
}

/// The engine does what the game does.
fn agrees(net: &Net, seed: u64, order: u64) -> Result<(), TestCaseError> {
    let document = net.xml();
    let imported = imported(&document);
    let expected = Game::play(net, seed, order);
    prop_assert!(expected.is_ok(), "{:?}\n{}", expected, document);
    let (data, performed) = expected.unwrap();
    let counts: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    let counted = Arc::clone(&counts);
    let answers: Answers = Arc::new(move |id, _| {
        let mut counted = counted.lock().unwrap();
        let number = counted.entry(id.to_owned()).or_default();
        *number += 1;
        Ok(answer(seed, id, *number))
    });
    let mut rehearsal = rehearsal(&net.tasks(), &answers);
    start(&mut rehearsal, &imported, &json!({}));
    let data: Value = json!(data);
    prop_assert_eq!(outcome(&rehearsal), Some(Ok(data)), "{}", document);
    prop_assert_eq!(&*counts.lock().unwrap(), &performed, "{}", document);
    Ok(())
}

proptest! {
    #![proptest_config(crate::property(96))]

    #[test]
    fn structured_processes_are_performed_as_the_tokens_move(seed in any::<u64>(), order in any::<u64>()) {
        let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
        let mut draw = Draw(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let net = structured(&mut draw);
        agrees(&net, seed, order)?;
    }
}

#[test]
fn flows_without_cycles_are_performed_or_refused_for_a_reason() {
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..400_u64 {
        let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
        let mut draw = Draw(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let net = acyclic(&mut draw);
        match import(&net.xml(), &Options::default()) {
            Ok(_) => {
                accepted += 1;
                for order in 0..3 {
                    agrees(&net, seed * 7 + order, order).unwrap();
                }
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("cannot be carried over"), "{error}\n{}", net.xml());
                let shows = |seed: u64| matches!(Game::play(&net, seed, seed), Err(Trouble::Stuck | Trouble::Several));
                assert!((0..3_000).any(shows), "{error}: nothing shows it\n{}", net.xml());
            }
        }
    }
    assert!(accepted > 80 && refused > 80, "{accepted} accepted, {refused} refused");
}
