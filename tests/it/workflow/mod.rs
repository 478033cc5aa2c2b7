//! What workflows promise, one promise to a test.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "what goes wrong in a test is to stop it"
)]

mod asking;
mod boundaries;
mod branches;
mod budgets;
mod calling;
mod checking;
mod commands;
mod compensating;
mod computing;
mod conditional;
mod context;
mod continuing;
mod delegating;
mod endings;
mod enough;
mod failing;
mod finding;
mod functions;
mod guarding;
mod handled;
mod holding;
mod keeping;
mod many;
mod migrating;
mod operating;
mod overriding;
mod priority;
mod races;
mod resetting;
mod retrying;
mod rolling;
mod rounds;
mod run_retries;
mod saving;
mod sending;
mod standing;
mod states;
mod triggers;
mod turns;
mod undoing;
#[cfg(all(feature = "observe", feature = "testing"))]
mod unroutable;
mod updating;
mod upgrading;
mod versions;
mod waiting;
mod whole_retries;

use crate::flow::work;
use counterpoint::definition::{Action, Body, Case, Condition, Expr, Map, Node, Pick};

/// A choice by the number that it is given: cases `low` (below 5), `odd` (below 7), and what is said for otherwise.
fn choice(name: &str, pick: Pick, otherwise: Option<&str>) -> Node {
    let below = |bound: i64| Condition::less(Expr::Item, Expr::value(bound));
    let cases = vec![Case::new("low", below(5)), Case::new("mid", below(7))];
    let action = Action::Choose { pick, cases, otherwise: otherwise.map(Into::into) };
    Node::new(name, action).with_input(Expr::Input)
}

/// A map over the run's input.
fn map(name: &str, at_once: Option<u32>, tolerate: u32) -> Node {
    Node::new(
        name,
        Action::Map(Map::over(Expr::Input, Body::Task(work(name))).max_concurrent(at_once).tolerate(tolerate)),
    )
}
