//! The search for the most expensive expression within the default limits: each function over values of each shape at the
//! largest size and at a small one, alone, and repeated until the units of the decision are spent.
//!
//! `cargo test --release --lib the_most_expensive -- --nocapture` prints the ten most expensive ones in units and
//! microseconds.
#![expect(clippy::disallowed_types, reason = "it prints times and decides nothing by them")]

use super::super::*;
use crate::base::limits::Limits;
use crate::base::meter::Meter;
use serde_json::{Map, json};
use std::time::{Duration, Instant};

/// The depth of a nested value, below that of a payload.
const DEPTH: usize = 56;

struct Within {
    input: Payload,
    limits: Limits,
    meter: Meter,
}

impl Within {
    fn new(input: &Payload) -> Self {
        let limits = Limits::default();
        let meter = Meter::bounded(limits.evaluation());
        Self { input: input.clone(), limits, meter }
    }
}

impl Scope for Within {
    fn input(&self) -> Payload {
        self.input.clone()
    }

    fn node(&self, _: &str) -> Payload {
        Payload::NULL
    }

    fn end(&self, _: &str) -> Result<Payload, NoValue> {
        Ok(Payload::NULL)
    }

    fn item(&self) -> Payload {
        Payload::NULL
    }

    fn variable(&self, name: &str) -> Result<Payload, NoValue> {
        Err(NoValue::Missing { path: name.into() })
    }

    fn meta(&self, _: Meta) -> Payload {
        Payload::NULL
    }

    fn predicate(&self, _: &str, _: &Payload) -> bool {
        false
    }

    fn max_bytes(&self) -> u32 {
        self.limits.sizes.payload_bytes
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }
}

/// A value of about this many bytes for each shape that some function takes.
fn shapes(bytes: usize) -> Vec<(&'static str, Value)> {
    let repeated = |item: &Value, size: usize| Value::Array(vec![item.clone(); bytes / size]);
    let deep = (0..DEPTH).fold(json!(0), |inner, _| json!([inner]));
    let fields: Map<String, Value> = (0..bytes / 12).map(|at| (format!("k{at:06}"), json!(1))).collect();
    vec![
        ("letters", "a".repeat(bytes - 8).into()),
        ("wide characters", "ﬁ".repeat(bytes / 3 - 4).into()),
        ("quotes", "\"".repeat(bytes / 2 - 4).into()),
        ("digits", "7".repeat(bytes - 8).into()),
        ("JSON", format!("[{}0]", "0,".repeat(bytes / 2 - 8)).into()),
        ("integers", repeated(&json!(7), 2)),
        ("ascending", (0..bytes / 8).map(|at| json!(at)).collect()),
        ("fractions", (0..bytes / 20).map(|at| json!(at as f64 / 7.0)).collect()),
        ("texts", (0..bytes / 12).map(|at| json!(format!("t{:08}", bytes - at))).collect()),
        ("empty lists", repeated(&json!([]), 3)),
        ("deep lists", repeated(&deep, 2 * DEPTH)),
        ("objects", repeated(&json!({"a": 1}), 8)),
        ("fields", Value::Object(fields)),
    ]
}

/// The expressions that read the input, an object with a value of each shape.
fn candidates(names: &[&'static str]) -> Vec<Expr> {
    let values: Vec<Expr> = names.iter().map(|name| Expr::Input.at(format!("/{name}"))).collect();
    let mut small = vec![Expr::value(0), Expr::value(3), Expr::value("a"), Expr::value(""), Expr::value("/a")];
    small.push(Expr::value("{}"));
    let mut all = vec![Expr::Input];
    for value in &values {
        let list = Expr::List(vec![value.clone(); 4]);
        all.extend([value.clone(), Expr::First(vec![value.clone()]), list, Expr::object([("a", value.clone())])]);
        all.push(Expr::test(Condition::Exists(value.clone())));
        all.extend(["*a*b*c*?", "*", "????"].map(|of| Expr::test(Condition::matches(value.clone(), of))));
        for other in values.iter().chain(&small) {
            let pair = || (value.clone(), other.clone());
            let (a, b) = pair();
            all.push(Expr::test(Condition::Equal(a, b)));
            let (a, b) = pair();
            all.push(Expr::test(Condition::Less(a, b)));
            let (a, b) = pair();
            all.push(Expr::test(Condition::In(b, a)));
        }
        for (kind, _) in EachKind::ALL {
            let body = Expr::test(Condition::Equal(Expr::Local("x".into()), Expr::Input));
            all.push(Expr::Each(Box::new(Each::new(kind, value.clone(), "x", body))));
        }
        for function in Function::all() {
            match function.arity() {
                (0 | 1, 1) => all.push(Expr::call(function, [value.clone()])),
                (_, most) => {
                    for other in values.iter().chain(&small) {
                        let mut parts = vec![value.clone(), other.clone(), Expr::value("b")];
                        parts.truncate(most.max(function.arity().0));
                        all.push(Expr::call(function, parts));
                    }
                }
            }
        }
    }
    all
}

struct Cost {
    text: String,
    units: u64,
    time: Duration,
}

impl Cost {
    /// Evaluates once. Whether there is a value does not matter: an error costs work as well.
    fn of(expr: &Expr, input: &Payload) -> Self {
        let scope = Within::new(input);
        let begun = Instant::now();
        let value = expr.eval(&scope);
        let time = begun.elapsed();
        let units = scope.meter.spent();
        let text = expr.to_string();
        assert!(units <= scope.limits.evaluation().into(), "{units} units: {text}");
        if let Ok(value) = value {
            assert!(
                value.bytes() <= scope.max_bytes() || matches!(expr, Expr::Input),
                "{} bytes: {text}",
                value.bytes()
            );
        }
        Self { text, units, time }
    }

    fn nanoseconds_of_a_unit(&self) -> f64 {
        self.time.as_nanos() as f64 / self.units.max(1) as f64
    }
}

/// The expression as the body of a loop that ends when nothing may be evaluated any more.
fn repeated(expr: Expr) -> Expr {
    let times = Expr::call(Function::Range, [Expr::value(0), Expr::value(100_000)]);
    let body = Expr::test(Condition::Equal(expr, Expr::value("never")));
    Expr::Each(Box::new(Each::new(EachKind::Count, times, "x", body)))
}

#[test]
fn the_most_expensive_expression_keeps_the_limits() {
    let largest = Limits::default().sizes.payload_bytes as usize;
    // Debug builds take a tenth of the size, so that the test lasts seconds.
    let sizes = if cfg!(debug_assertions) { [largest / 256, 256] } else { [largest, 256] };
    let mut worst: Vec<(f64, Cost, Expr, Payload)> = Vec::new();
    let mut count = 0_u32;
    for bytes in sizes {
        let shapes = shapes(bytes);
        let names: Vec<&'static str> = shapes.iter().map(|(name, _)| *name).collect();
        let input = Payload::new(Value::Object(shapes.into_iter().map(|(name, value)| (name.into(), value)).collect()));
        for expr in candidates(&names) {
            let cost = Cost::of(&expr, &input);
            count += 1;
            worst.push((cost.nanoseconds_of_a_unit(), cost, expr, input.clone()));
        }
        worst.sort_by(|a, b| b.0.total_cmp(&a.0));
        worst.truncate(40);
    }
    // One measurement may have been interrupted: the fastest of three counts. Then the same, until the units are spent.
    let mut table: Vec<Cost> = Vec::new();
    for (_, _, expr, input) in worst {
        let fastest = |expr: &Expr| (0..3).map(|_| Cost::of(expr, &input)).min_by_key(|cost| cost.time);
        table.extend(fastest(&expr));
        table.extend(fastest(&repeated(expr)));
    }
    assert!(
        table.iter().any(|cost| cost.units == u64::from(Limits::default().evaluation())),
        "the loops spend all units"
    );
    table.sort_by_key(|cost| core::cmp::Reverse(cost.time));
    println!("{count} expressions; units, microseconds, nanoseconds of a unit:");
    for cost in table.iter().take(10) {
        let short: String = cost.text.chars().take(90).collect();
        println!("{:>7} {:>8} {:>6.1}  {short}", cost.units, cost.time.as_micros(), cost.nanoseconds_of_a_unit());
    }
}
