//! Random expressions over random data: printed and parsed, compared with the reference, and held to their bounds.

use super::super::*;
use super::draw::{condition, data, expr, string};
use super::reference::{self, BY_EXAMPLE, Stop, World};
use crate::base::meter::Meter;
use proptest::prelude::*;
use std::collections::BTreeMap;

struct Seen<'a> {
    world: &'a World,
    meter: Meter,
    most: u32,
}

impl<'a> Seen<'a> {
    fn new(world: &'a World, units: u32, most: u32) -> Self {
        let meter = Meter::unbounded();
        meter.begin_evaluation(units);
        Self { world, meter, most }
    }
}

impl Scope for Seen<'_> {
    fn input(&self) -> Payload {
        Payload::new(self.world.input.clone())
    }

    fn node(&self, name: &str) -> Payload {
        if name == "done" { Payload::new(self.world.done.clone()) } else { Payload::NULL }
    }

    fn end(&self, name: &str) -> Result<Payload, NoValue> {
        Ok(Payload::new(serde_json::json!({"status": "succeeded", "of": name})))
    }

    fn item(&self) -> Payload {
        Payload::new(self.world.item.clone())
    }

    fn variable(&self, _: &str) -> Result<Payload, NoValue> {
        Ok(Payload::new(self.world.variable.clone()))
    }

    fn meta(&self, meta: Meta) -> Payload {
        Payload::new(meta.name().into())
    }

    fn predicate(&self, _: &str, _: &Payload) -> bool {
        false
    }

    fn max_bytes(&self) -> u32 {
        self.most
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }
}

fn world() -> impl Strategy<Value = World> {
    (data(), data(), data(), data()).prop_map(|(input, done, variable, item)| World { input, done, variable, item })
}

fn reads_only_compared(term: Term<'_>) -> bool {
    term.all().all(|term| !matches!(term, Term::Expr(Expr::Call(function, _)) if BY_EXAMPLE.contains(function)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 1_500 } else { 20_000 }))]

    #[test]
    fn what_is_printed_is_parsed(expr in expr()) {
        let text = expr.to_string();
        let parsed = text.parse::<Expr>();
        // The text of a deep expression has a limit of its own.
        if !matches!(&parsed, Err(error) if error.message.contains("nested")) {
            prop_assert_eq!(parsed.as_ref(), Ok(&expr), "{}", text);
        }
    }

    #[test]
    fn conditions_are_printed_and_parsed(condition in condition(expr().boxed())) {
        let text = condition.to_string();
        let parsed = text.parse::<Condition>();
        if !matches!(&parsed, Err(error) if error.message.contains("nested")) {
            prop_assert_eq!(parsed.as_ref(), Ok(&condition), "{}", text);
        }
    }

    #[test]
    fn values_are_those_of_the_reference(expr in expr(), world in world()) {
        prop_assume!(reads_only_compared(Term::Expr(&expr)));
        let seen = Seen::new(&world, 1 << 22, 1 << 20);
        let got = expr.eval(&seen);
        prop_assume!(!matches!(got, Err(NoValue::TooWide { .. })) && !seen.meter.is_exhausted());
        let expected = reference::eval(&expr, &world, &BTreeMap::new());
        let got = got.map(|value| value.value().clone()).map_err(|why| match why {
            NoValue::Missing { .. } => Stop::Missing,
            NoValue::TooWide { .. } | NoValue::Invalid { .. } => Stop::Invalid,
        });
        prop_assert_eq!(got, expected, "{}", expr);
    }

    #[test]
    fn conditions_hold_as_in_the_reference(condition in condition(expr().boxed()), world in world()) {
        prop_assume!(reads_only_compared(Term::Condition(&condition)));
        let seen = Seen::new(&world, 1 << 22, 1 << 20);
        let got = condition.holds(&seen);
        prop_assume!(!seen.meter.is_exhausted());
        prop_assert_eq!(got, reference::holds(&condition, &world, &BTreeMap::new()), "{}", condition);
    }

    #[test]
    fn no_evaluation_exceeds_its_bounds(expr in expr(), world in world(), units in 0_u32..400, most in 0_u32..200) {
        let seen = Seen::new(&world, units, most);
        let value = expr.eval(&seen);
        prop_assert!(seen.meter.spent() <= u64::from(units), "{} units of {}", seen.meter.spent(), units);
        if let (Ok(value), Expr::List(_) | Expr::Object(_) | Expr::Call(..) | Expr::Each(_)) = (value, &expr) {
            prop_assert!(value.bytes() <= most.max(5), "{} bytes of {}", value.bytes(), most);
        }
    }

    #[test]
    fn any_text_is_parsed_or_rejected(text in "\\PC{0,40}", pieces in prop::collection::vec(prop_oneof![
        string(),
        prop::sample::select(vec![
            "inputs", "item", "a.output", "x =>", "map(", "filter(", "(", ")", "[", "]", "{", "}", ",", ":", "==", "<", "in", "&&",
            "||", "??", "!", "-", "+", "1", "1e999", "-", ".", ".a", "[0]", "\"a\"", "'", "\\u", "if(", "put(", "run.", "this.index",
        ]).prop_map(str::to_owned),
    ], 0..12)) {
        for text in [text, pieces.concat(), pieces.join(" ")] {
            for parsed in [text.parse::<Expr>(), Expr::template(&text)] {
                match parsed {
                    Ok(expr) => {
                        let again = expr.to_string().parse::<Expr>();
                        prop_assert!(again.as_ref() == Ok(&expr) || matches!(&again, Err(error) if error.message.contains("nested")),
                            "{} -> {} -> {:?}", text, expr, again);
                    }
                    Err(error) => prop_assert!(error.offset <= text.chars().count() && !error.message.is_empty()),
                }
            }
        }
    }
}
