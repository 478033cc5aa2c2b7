//! Validation never panics, and what it lets pass is sound by a naive reading of the rules.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use counterpoint::definition::{
    Action, Body, Case, Condition, Definition, Expr, Join, Link, Map, Node, On, Pick, Remaining, Repeat, Work,
};
use counterpoint::workflow::{DefinitionError, validate};
use counterpoint::{Limits, Name, Payload};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Few names, so that they meet; some of them wrong.
fn name() -> impl Strategy<Value = Name> {
    prop_oneof![
        8 => (0..6_u8).prop_map(|n| Name::from(format!("n{n}"))),
        1 => prop::sample::select(vec!["", "a name much longer than the limit of these tests", "ö~/\u{0}1"])
            .prop_map(Name::from),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        3 => Just(Expr::Input),
        3 => name().prop_map(Expr::Node),
        1 => Just(Expr::Item),
        1 => prop::sample::select(vec![0_i64, 7, 1 << 40]).prop_map(Expr::value),
        1 => Just(Expr::Const(Payload::new(serde_json::json!([[[["deep"]]]])))),
    ];
    leaf.prop_recursive(6, 12, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            some().prop_map(Expr::List),
            some().prop_map(Expr::First),
            prop::collection::btree_map(name(), inner.clone(), 0..3).prop_map(Expr::Object),
            (inner.clone(), prop::sample::select(vec!["", "/a", "/~", "a"])).prop_map(|(of, at)| of.at(at)),
        ]
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        Just(Condition::True),
        expr().prop_map(Condition::Is),
        (expr(), expr()).prop_map(|(a, b)| Condition::less(a, b)),
    ];
    leaf.prop_recursive(6, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Condition::Any),
            inner.prop_map(Condition::negated),
        ]
    })
}

fn action(flow: impl Strategy<Value = Arc<Definition>> + Clone) -> impl Strategy<Value = Action> {
    let body = || prop_oneof![3 => name().prop_map(|kind| Body::Task(Work::new(kind))), 1 => flow.clone().prop_map(Body::Flow)];
    let case = (name(), condition()).prop_map(|(name, when)| Case::new(name, when));
    let pick = prop_oneof![Just(Pick::First), Just(Pick::Every)];
    prop_oneof![
        4 => body().prop_map(Action::Do),
        1 => (expr(), body(), prop::option::of(0..3_u32), 0..3_u32)
            .prop_map(|(over, body, at_once, tolerate)| Action::Map(Map::over(over, body).max_concurrent(at_once).tolerate(tolerate))),
        1 => (body(), condition(), 0..3_u32).prop_map(|(body, until, most)| Action::Repeat(Repeat::until(body, until, most))),
        2 => (pick, prop::collection::vec(case, 0..3), prop::option::of(name()))
            .prop_map(|(pick, cases, otherwise)| Action::Choose { pick, cases, otherwise }),
        1 => (prop::option::of(name()), prop::option::of(0..9_u64)).prop_map(|(signal, timer)| Action::Wait {
            signal,
            timer: timer.map(Duration::from_secs)
        }),
        1 => Just(Action::Pass),
    ]
}

fn link() -> impl Strategy<Value = Link> {
    let on = prop_oneof![
        3 => Just(On::Success),
        1 => Just(On::Failure),
        1 => Just(On::Always),
        1 => name().prop_map(On::Case),
    ];
    (name(), on).prop_map(|(node, on)| match on {
        On::Failure => Link::failure(node),
        On::Always => Link::always(node),
        On::Case(case) => Link::case(node, case),
        On::Success | _ => Link::success(node),
    })
}

fn node(flow: impl Strategy<Value = Arc<Definition>> + Clone) -> impl Strategy<Value = Node> {
    let join = prop_oneof![
        4 => Just(Join::All),
        1 => Just(Join::Any),
        1 => (0..3_u32).prop_map(|of| Join::Count { required: of, remaining: Remaining::Cancel }),
    ];
    let links = prop::collection::vec(link(), 0..3);
    let (undo, pivot) = (prop::option::weighted(0.2, name()), prop::bool::weighted(0.1));
    (name(), action(flow), links, join, expr(), undo, pivot).prop_map(
        |(name, action, links, join, input, undo, pivot)| {
            let mut node =
                links.into_iter().fold(Node::new(name, action), Node::with_link).with_join(join).with_input(input);
            if let Some(kind) = undo {
                node = node.with_undo(Work::new(kind));
            }
            if pivot { node.as_pivot() } else { node }
        },
    )
}

fn definition() -> impl Strategy<Value = Definition> {
    let of = |flow: BoxedStrategy<Arc<Definition>>| {
        (name(), prop::collection::vec(node(flow), 0..7), expr()).prop_map(|(name, nodes, output)| {
            nodes.into_iter().fold(Definition::new(name), Definition::with_node).with_output(output)
        })
    };
    let leaf = Just(Arc::new(Definition::new("leaf"))).boxed();
    let inner = of(leaf.clone()).prop_map(Arc::new);
    of(prop_oneof![2 => leaf, 1 => inner].boxed())
}

fn check(definition: &Definition) -> Result<(), DefinitionError> {
    let tight = Limits::default().with_payload_depth(3).with_payload_bytes(8);
    let result = validate(definition, &tight);
    if let Err(error) = &result {
        assert!(!error.findings().is_empty());
        assert!(!error.to_string().is_empty());
    }
    result
}

/// Definitions that are more often sound: named by place, linked and fed from anywhere.
fn graph() -> impl Strategy<Value = Vec<(Vec<usize>, Vec<usize>)>> {
    let one = |count: usize| (prop::collection::vec(0..count, 0..3), prop::collection::vec(0..count, 0..2));
    (1..9_usize).prop_flat_map(move |count| prop::collection::vec(one(count), count))
}

fn before(links: &BTreeMap<usize, BTreeSet<usize>>, node: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut work: Vec<usize> = links[&node].iter().copied().collect();
    while let Some(node) = work.pop() {
        if found.insert(node) {
            work.extend(&links[&node]);
        }
    }
    found
}

proptest! {
    #![proptest_config(crate::property(512))]

    #[test]
    fn no_definition_makes_it_panic(definition in definition()) {
        let _ = check(&definition);
        let read: Definition = serde_json::from_str(&serde_json::to_string(&definition).unwrap()).unwrap();
        prop_assert_eq!(check(&read), check(&definition));
    }

    #[test]
    fn cycles_and_early_data_are_found(graph in graph()) {
        let mut written = Definition::new("graph");
        let mut links = BTreeMap::new();
        for (place, (after, uses)) in graph.iter().enumerate() {
            let after: BTreeSet<usize> = after.iter().copied().filter(|&before| before != place).collect();
            let node = Node::new(place.to_string(), Action::Pass);
            let node = after.iter().fold(node, |node, before| node.with_link(Link::success(before.to_string())));
            let uses = uses.iter().map(|used| Expr::node(used.to_string())).collect();
            written = written.with_node(node.with_input(Expr::List(uses)));
            links.insert(place, after);
        }
        let cyclic = links.keys().any(|&node| before(&links, node).contains(&node));
        let early: usize = graph.iter().enumerate().map(|(place, (_, uses))| {
            let before = before(&links, place);
            uses.iter().filter(|used| !before.contains(used)).count()
        }).sum();
        let findings = validate(&written, &Limits::default()).map_or_else(|error| error.findings().len(), |()| 0);
        prop_assert_eq!(findings, if cyclic { 1 } else { early });
    }
}
