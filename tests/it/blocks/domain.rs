//! The blocks world, with the method of Gupta and Nau (On the complexity of blocks-world planning, 1992): a block that can go
//! where it never has to be moved again goes there; if there is none, one that is in the way goes to the table.
//!
//! Tests and the bench of coordination share it.
#![allow(unreachable_pub, clippy::indexing_slicing, reason = "a module of tests and of a bench")]

use counterpoint::Name;
use counterpoint::decompose::{Domain, Facts, Goal, Split};
use serde_json::{Value, json};

/// The world with each block on what is said, in an order in which blocks are looked at.
pub fn world<'a>(stands: impl IntoIterator<Item = (&'a str, &'a str)>) -> Facts {
    let stands: Vec<(&str, &str)> = stands.into_iter().collect();
    let blocks: Vec<&str> = stands.iter().map(|(block, _)| *block).collect();
    let is_clear = |block: &str| stands.iter().all(|(_, on)| *on != block);
    let on = stands.iter().map(|(block, on)| (key("on", block), json!(on)));
    let clear = blocks.iter().map(|block| (key("clear", block), json!(is_clear(block))));
    on.chain(clear).chain([("hand".into(), Value::Null), ("blocks".into(), json!(blocks))]).collect()
}

/// The goal that blocks stand so.
pub fn achieve<'a>(wanted: impl IntoIterator<Item = (&'a str, &'a str)>) -> Goal {
    let wanted: serde_json::Map<String, Value> =
        wanted.into_iter().map(|(block, on)| (block.to_owned(), json!(on))).collect();
    Goal::new("achieve", [Value::Object(wanted)])
}

/// On what a block stands; the hand, if it is held.
pub fn on<'a>(facts: &'a Facts, block: &str) -> &'a str {
    facts.get(&*format!("on {block}")).and_then(Value::as_str).unwrap_or("")
}

fn key(what: &str, block: &str) -> Name {
    Name::from(format!("{what} {block}"))
}

fn is_clear(facts: &Facts, block: &str) -> bool {
    facts.get(&*format!("clear {block}")) == Some(&json!(true))
}

fn held(facts: &Facts) -> Option<&str> {
    facts.get("hand").and_then(Value::as_str)
}

fn name(about: &[Value], place: usize) -> Option<&str> {
    about.get(place).and_then(Value::as_str)
}

fn lifted(facts: &Facts, block: &str, below: Option<&str>) -> Option<Facts> {
    let stands = on(facts, block) == below.unwrap_or("table");
    (stands && is_clear(facts, block) && held(facts).is_none()).then(|| {
        let mut facts = facts.clone();
        facts.insert(key("on", block), json!("hand"));
        facts.insert(key("clear", block), json!(false));
        facts.insert("hand".into(), json!(block));
        below.map(|below| facts.insert(key("clear", below), json!(true)));
        facts
    })
}

fn dropped(facts: &Facts, block: &str, below: Option<&str>) -> Option<Facts> {
    (on(facts, block) == "hand" && below.is_none_or(|below| is_clear(facts, below))).then(|| {
        let mut facts = facts.clone();
        facts.insert(key("on", block), json!(below.unwrap_or("table")));
        facts.insert(key("clear", block), json!(true));
        facts.insert("hand".into(), Value::Null);
        below.map(|below| facts.insert(key("clear", below), json!(false)));
        facts
    })
}

/// Whether neither the block nor one below it ever has to be moved.
fn is_done(facts: &Facts, wanted: &Value, block: &str) -> bool {
    let mut block = block;
    while block != "table" {
        let below = on(facts, block);
        // Of a block without a goal it matters whether another shall stand where it does.
        let keeps = wanted.get(block).map(|goal| goal == below);
        let takes = || below != "table" && wanted.as_object().into_iter().flatten().any(|(_, goal)| goal == below);
        if !keeps.unwrap_or_else(|| !takes()) {
            return false;
        }
        block = below;
    }
    true
}

/// The next move of a block.
fn next_move(facts: &Facts, wanted: &Value) -> Option<Option<(String, String)>> {
    let blocks = facts.get("blocks")?.as_array()?.iter().filter_map(Value::as_str);
    let open: Vec<&str> = blocks.filter(|block| is_clear(facts, block) && !is_done(facts, wanted, block)).collect();
    let target = |block: &str| wanted.get(block).and_then(Value::as_str).unwrap_or("table").to_owned();
    let ready = open.iter().find(|block| {
        let goal = target(block);
        goal == "table" || (is_done(facts, wanted, &goal) && is_clear(facts, &goal))
    });
    let away = || open.iter().find(|block| on(facts, block) != "table").map(|block| (*block, "table".to_owned()));
    let chosen = ready.map(|block| (*block, target(block))).or_else(away);
    Some(chosen.map(|(block, onto)| (block.to_owned(), onto)))
}

/// Operators `pickup`, `unstack`, `putdown` and `stack`; methods for `take`, `put` and `achieve`.
pub fn domain() -> Domain {
    Domain::default()
        .with_operator("pickup", |facts, about| lifted(facts, name(about, 0)?, None))
        .with_operator("unstack", |facts, about| lifted(facts, name(about, 0)?, Some(name(about, 1)?)))
        .with_operator("putdown", |facts, about| dropped(facts, name(about, 0)?, None))
        .with_operator("stack", |facts, about| dropped(facts, name(about, 0)?, Some(name(about, 1)?)))
        .with_method("take", "by its place", |facts, about| {
            let block = name(about, 0)?;
            let step = match on(facts, block) {
                "table" => Goal::new("pickup", [block]),
                below => Goal::new("unstack", [block, below]),
            };
            is_clear(facts, block).then(|| Split::sequence([step]))
        })
        .with_method("put", "by its place", |facts, about| {
            let (block, onto) = (name(about, 0)?, name(about, 1)?);
            let step = if onto == "table" { Goal::new("putdown", [block]) } else { Goal::new("stack", [block, onto]) };
            (held(facts) == Some(block)).then(|| Split::sequence([step]))
        })
        .with_method("achieve", "block by block", |facts, about| {
            let wanted = about.first()?;
            Some(Split::sequence(next_move(facts, wanted)?.into_iter().flat_map(|(block, onto)| {
                [
                    Goal::new("take", [&*block]),
                    Goal::new("put", [&*block, &*onto]),
                    Goal::new("achieve", [wanted.clone()]),
                ]
            })))
        })
}

/// Blocks, and on what each stands.
pub type Stands = &'static [(&'static str, &'static str)];

/// The problem `bw_large_d` of the SHOP distribution, 19 blocks: where they stand, and where they shall.
pub const LARGE: (Stands, Stands) = (
    &[
        ("1", "12"),
        ("2", "table"),
        ("3", "2"),
        ("4", "14"),
        ("5", "4"),
        ("6", "table"),
        ("7", "6"),
        ("8", "7"),
        ("9", "8"),
        ("10", "5"),
        ("11", "10"),
        ("12", "13"),
        ("13", "table"),
        ("14", "15"),
        ("15", "table"),
        ("16", "3"),
        ("17", "16"),
        ("18", "17"),
        ("19", "18"),
    ],
    &[
        ("15", "13"),
        ("13", "8"),
        ("8", "9"),
        ("9", "4"),
        ("4", "table"),
        ("12", "2"),
        ("2", "3"),
        ("3", "16"),
        ("16", "11"),
        ("11", "7"),
        ("7", "6"),
        ("6", "table"),
    ],
);
