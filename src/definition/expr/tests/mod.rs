//! Expressions by example; further files compare them with a reference.
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "tables, and a reference that is read from top to bottom"
)]

mod draw;
mod expensive;
mod functions;
mod property;
mod reference;
mod text;

use super::*;
use crate::base::meter::Meter;
use serde_json::json;

struct Fixed {
    most: u32,
    meter: Meter,
}

impl Default for Fixed {
    fn default() -> Self {
        Self { most: 64, meter: Meter::unbounded() }
    }
}

impl Scope for Fixed {
    fn input(&self) -> Payload {
        Payload::new(json!({"n": 3, "tags": ["a", "b"]}))
    }

    fn node(&self, name: &str) -> Payload {
        if name == "done" { Payload::new(json!(7)) } else { Payload::NULL }
    }

    fn end(&self, _: &str) -> Result<Payload, NoValue> {
        Ok(Payload::new(json!({"status": "succeeded"})))
    }

    fn meta(&self, _: Meta) -> Payload {
        Payload::NULL
    }

    fn item(&self) -> Payload {
        Payload::new(json!("b"))
    }

    fn variable(&self, _: &str) -> Result<Payload, NoValue> {
        Ok(Payload::new(json!(9)))
    }

    fn predicate(&self, predicate: &str, of: &Payload) -> bool {
        predicate == "seven" && of.value() == &json!(7)
    }

    fn max_bytes(&self) -> u32 {
        self.most
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }
}

#[test]
fn expressions_reach_data() {
    let expr = Expr::object([
        ("n", Expr::Input.at("/n")),
        ("none", Expr::First(vec![Expr::Input.at("/x/y")])),
        ("first", Expr::First(vec![Expr::node("skipped"), Expr::node("done")])),
    ]);
    assert_eq!(expr.eval(&Fixed::default()).unwrap().value(), &json!({"n": 3, "none": null, "first": 7}));
}

#[test]
fn what_would_be_too_large_is_measured_before_it_is_made() {
    let wide = Expr::List(vec![Expr::Input; 1_000_000]);
    assert_eq!(
        wide.eval(&Fixed::default()),
        Err(NoValue::TooWide { bytes: 2 + 3 * (1 + Fixed::default().input().bytes()) })
    );
    let parts = Expr::List(vec![Expr::Input.at("/tags"); 1_000_000]);
    assert!(parts.eval(&Fixed::default()).is_err_and(|wide| matches!(wide, NoValue::TooWide { bytes } if bytes < 100)));
    let nested = Expr::List(vec![Expr::First(vec![Expr::Input]); 2]);
    assert_eq!(nested.eval(&Fixed::default()).unwrap().bytes(), 2 + 2 * (1 + Fixed::default().input().bytes()));
    assert!(!Condition::Exists(wide).holds(&Fixed::default()));
}

#[test]
fn conditions_are_total() {
    let holds = |condition: Condition| condition.holds(&Fixed::default());
    assert!(holds(Condition::less(Expr::value(2.5), Expr::Input.at("/n"))));
    assert!(holds(Condition::equal(Expr::value(3.0), Expr::Input.at("/n"))));
    assert!(!holds(Condition::less(Expr::value("x"), Expr::value(1))));
    assert!(holds(Condition::In(Expr::Item, Expr::Input.at("/tags"))));
    assert!(!holds(Condition::In(Expr::Item, Expr::Input)));
    assert!(holds(Condition::Exists(Expr::node("skipped")).negated()));
    assert!(holds(Condition::less(Expr::node("done"), Expr::variable("x"))));
    assert!(holds(Condition::predicate("seven", Expr::node("done"))));
    assert!(!holds(Condition::predicate("eight", Expr::node("done"))));
    assert!(holds(Condition::matches(Expr::Item, "?")) && !holds(Condition::matches(Expr::Item, "b?")));
    assert!(!holds(Condition::matches(Expr::node("done"), "*")), "a number is no text");
    assert!(holds(Condition::All(vec![])) && !holds(Condition::Any(vec![])));
}
