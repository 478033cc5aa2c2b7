//! The problems of the blocks world that GTPyhop is tested with, and random ones.

mod domain;

use counterpoint::decompose::{Bounds, Facts, Goal, NoPlan, Plan, plan};
use domain::{LARGE, achieve, domain, on, world};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn steps(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

fn planned(facts: &Facts, goals: &[Goal]) -> Result<Plan, NoPlan> {
    plan(&domain(), facts.clone(), goals, Bounds::default().with_depth(1_000))
}

/// A world that knows nothing of facts: it moves blocks and refuses what a hand cannot do.
struct Hand {
    on: BTreeMap<String, String>,
    holds: Option<String>,
}

impl Hand {
    fn of(stands: &[(&str, &str)]) -> Self {
        Self { on: stands.iter().map(|(block, on)| ((*block).to_owned(), (*on).to_owned())).collect(), holds: None }
    }

    fn act(&mut self, step: &Goal) {
        let about: Vec<&str> = step.about.iter().map(|one| one.as_str().unwrap()).collect();
        let free = |on: &BTreeMap<String, String>, block: &str| on.values().all(|below| below != block);
        match (&*step.name, &about[..]) {
            ("pickup" | "unstack", [block, ..]) => {
                let below = about.get(1).copied().unwrap_or("table");
                assert!(self.holds.is_none() && free(&self.on, block), "{step}");
                assert_eq!(self.on.remove(*block).as_deref(), Some(below), "{step}");
                self.holds = Some((*block).to_owned());
            }
            ("putdown" | "stack", [block, ..]) => {
                let onto = about.get(1).copied().unwrap_or("table");
                assert_eq!(self.holds.take().as_deref(), Some(*block), "{step}");
                assert!(onto == "table" || (self.on.contains_key(onto) && free(&self.on, onto)), "{step}");
                self.on.insert((*block).to_owned(), onto.to_owned());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Plans, does what is planned, and looks whether blocks stand as they shall. Returns the number of steps.
fn achieved(stands: &[(&str, &str)], wanted: &[(&str, &str)]) -> usize {
    let found = planned(&world(stands.iter().copied()), &[achieve(wanted.iter().copied())]).unwrap();
    let mut hand = Hand::of(stands);
    found.steps.iter().for_each(|step| hand.act(step));
    assert!(hand.holds.is_none());
    for (block, below) in &hand.on {
        assert_eq!(on(&found.facts, block), below, "what the plan says is the case is the case");
    }
    assert!(wanted.iter().all(|(block, below)| hand.on[*block] == *below), "{:?}", hand.on);
    found.steps.len()
}

/// The problems of GTPyhop's `blocks_htn` and their plans, or how long these are.
#[test]
fn the_problems_of_gtpyhop() {
    let stands = [("a", "b"), ("b", "table"), ("c", "table")];
    let facts = world(stands);
    let goal = |name: &str, about: &[&str]| Goal::new(name, about.iter().copied());
    for (name, block) in [("pickup", "a"), ("pickup", "b"), ("take", "b")] {
        let none = planned(&facts, &[goal(name, &[block])]).unwrap_err();
        assert_eq!(none, NoPlan::Stuck { goal: goal(name, &[block]), steps: 0 });
    }
    for (goals, expected) in [
        (vec![goal("pickup", &["c"])], vec!["pickup(c)"]),
        (vec![goal("take", &["a"])], vec!["unstack(a, b)"]),
        (vec![goal("take", &["c"])], vec!["pickup(c)"]),
        (vec![goal("take", &["a"]), goal("put", &["a", "table"])], vec!["unstack(a, b)", "putdown(a)"]),
    ] {
        assert_eq!(steps(&planned(&facts, &goals).unwrap()), expected);
    }
    let [two, three, four] = [("b", "a"), ("c", "b"), ("a", "table")];
    assert_eq!(achieved(&stands, &[three, two, four]), 6);
    assert_eq!(achieved(&stands, &[three, two]), 6, "that a stands on the table follows");
    let sussman = [("c", "a"), ("a", "table"), ("b", "table")];
    assert_eq!(achieved(&sussman, &[("a", "b"), ("b", "c")]), 6);
    let pairs = [("a", "c"), ("b", "d"), ("c", "table"), ("d", "table")];
    assert_eq!(achieved(&pairs, &[("b", "c"), ("a", "d"), ("c", "table"), ("d", "table")]), 6);
    assert_eq!(achieved(&pairs, &[("b", "c"), ("a", "d")]), 6);
    assert_eq!(achieved(&[("b", "c"), ("a", "d"), ("c", "table"), ("d", "table")], &[("b", "c"), ("a", "d")]), 0);
    assert_eq!(achieved(LARGE.0, LARGE.1), 38, "bw_large_d");
}

prop_compose! {
    /// Towers of so many blocks: each stands on the table or on the last that is free.
    fn towers(blocks: usize)(
        order in Just((0..blocks).collect::<Vec<_>>()).prop_shuffle(), begins in prop::collection::vec(any::<bool>(), blocks),
    ) -> Vec<(String, String)> {
        let mut below = None;
        order.iter().zip(begins).map(|(block, begins)| {
            let on = below.replace(block).filter(|_| !begins);
            (block.to_string(), on.map_or_else(|| "table".to_owned(), ToString::to_string))
        }).collect()
    }
}

proptest! {
    #![proptest_config(crate::property(200))]
    /// Every plan can be done, reaches the goal, moves no block more than twice, and is the same the next time; whatever was
    /// split was split by a method of its own.
    #[test]
    fn any_towers_become_any_others(
        (from, to, left_out) in (1_usize..12).prop_flat_map(|count| (towers(count), towers(count), prop::collection::vec(any::<bool>(), count))),
    ) {
        let pair = |(block, on): &'_ (String, String)| (block.clone(), on.clone());
        let (from, mut to): (Vec<_>, Vec<_>) = (from.iter().map(pair).collect(), to.iter().map(pair).collect());
        let mut keep = left_out.iter();
        to.retain(|_| !*keep.next().unwrap_or(&false));
        fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
            pairs.iter().map(|(block, on)| (&**block, &**on)).collect()
        }
        let (from, to) = (borrowed(&from), borrowed(&to));
        prop_assert!(achieved(&from, &to) <= 4 * from.len());
        let again = || planned(&world(from.iter().copied()), &[achieve(to.iter().copied())]).unwrap();
        let found = again();
        prop_assert_eq!(&found, &again());
        for branch in &found.branches {
            let by = match &*branch.goal.name {
                "take" | "put" => Some("by its place"),
                "achieve" => Some("block by block"),
                _ => None,
            };
            prop_assert_eq!(branch.method.as_deref(), by);
            prop_assert_eq!(branch.step.is_some(), by.is_none());
        }
    }
}
