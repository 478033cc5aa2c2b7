//! A sample of the nets, and what the comparison is worth.

use super::*;
use crate::game::{Trouble, play};
use crate::net::{Node, Rule};
use crate::perform::compare;

#[test]
fn every_net_that_can_be_expressed_agrees_and_each_other_has_its_reason() {
    let nets: u32 = std::env::var("COUNTERPOINT_NETS").ok().and_then(|nets| nets.parse().ok()).unwrap_or(150);
    let acyclic = study(Shape::Acyclic, 0..nets.into()).unwrap();
    assert_eq!(acyclic.wrong, Vec::<String>::new());
    assert_eq!((acyclic.nets(), acyclic.said(), acyclic.endless), (nets, nets, 0));
    for means in [Means::Links, Means::Streams, Means::Inclusive, Means::Counted] {
        assert!(acyclic.by_means(means) > 0, "{means:?}");
    }
    let cyclic = study(Shape::WithBackEdge, 0..nets.into()).unwrap();
    assert_eq!(cyclic.wrong, Vec::<String>::new());
    assert!(cyclic.by_means(Means::Rounds) > nets / 3 && cyclic.plays > nets, "{cyclic:?}");
    assert!(cyclic.by_reason(Reason::InclusiveInCycle) > 0);
}

/// The nets that are refused because they never end have no play that ends, unless no token gets into the cycle.
#[test]
fn what_never_ends_has_no_end_in_the_game() {
    let mut endless = 0;
    for seed in 0..600 {
        let net = Net::draw(Shape::WithBackEdge, seed);
        if matches!(say(&net).unwrap(), Err(Reason::NeverEnds)) {
            let last = net.edges[net.back.unwrap()].0;
            match play(&net, seed, 1) {
                Err(Trouble::Endless) => endless += 1,
                Ok(fired) => assert_eq!(fired[last], 0, "{net:?}"),
                Err(Trouble::Circle) => {}
            }
        }
    }
    assert!(endless > 3, "{endless}");
}

/// A definition of another net disagrees: the comparison would find an error of the translation.
#[test]
fn another_rule_at_one_node_is_found() {
    let (mut changed, mut found) = (0, 0);
    for seed in 0..60 {
        let net = Net::draw(Shape::Acyclic, seed);
        let mut other = net.clone();
        let Some(node) = other.nodes.iter_mut().find(|node| node.ins.len() > 1 && node.join == Rule::Xor) else {
            continue;
        };
        node.join = Rule::And;
        let said = say(&other).unwrap().unwrap_or_else(|reason| panic!("{reason:?}"));
        changed += 1;
        found += u32::from((0..5).any(|choices| compare(&net, &said, choices).is_err()));
    }
    assert!(changed > 15 && found * 10 > changed * 7, "{found} of {changed}");
}

/// Two tokens at a merge, whose continuation meets another branch.
#[test]
fn the_oracle_counts_tokens() {
    let node =
        |join, ins: &[usize], outs: &[usize]| Node { join, split: Rule::And, ins: ins.into(), outs: outs.into() };
    let net = |last| Net {
        nodes: vec![node(Rule::Xor, &[], &[0, 1, 2]), node(Rule::Xor, &[0, 1], &[3]), node(last, &[2, 3], &[])],
        edges: vec![(0, 1), (0, 1), (0, 2), (1, 2)],
        ..Net::default()
    };
    for (rule, expected) in [(Rule::And, 1), (Rule::Or, 2), (Rule::Xor, 3)] {
        assert_eq!(play(&net(rule), 0, 0), Ok(vec![1, 2, expected]));
    }
}
