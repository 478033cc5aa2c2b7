//! Random expressions, conditions and data.

use super::super::*;
use proptest::prelude::*;
use serde_json::{Number, json};

/// Numbers at the ends of their ranges, and small ones.
fn number() -> impl Strategy<Value = Value> {
    let special = vec![
        json!(0),
        json!(1),
        json!(-1),
        json!(2),
        json!(3),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.5),
        json!(-0.0),
        json!(2.0),
        json!(-2.5),
        json!(f64::MAX),
        json!(f64::MIN_POSITIVE),
        json!(9_007_199_254_740_993_i64),
        json!(1e19),
    ];
    prop_oneof![
        3 => prop::sample::select(special),
        1 => (-9_i64..9).prop_map(Value::from),
        1 => any::<f64>().prop_filter_map("finite", |float| Number::from_f64(float).map(Value::Number)),
    ]
}

pub(super) fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "", "a", "b", "ab", "abab", "é", "日本", "👍🏽", "\u{0}", "\"", "\\", "${", "}", "a b", "1", "-2.5", "null", "[1,2]",
            "{}", "YWI=", "{\"a\":1}", "/a", "/a/0", "/-", "2024-02-29T00:00:00Z", "1h", " x ",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ]
}

/// Data of a few levels, with fields that paths lead to.
pub(super) fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        3 => number(),
        2 => string().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "0", "é", "x y"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(number(), 0..5).prop_map(Value::Array),
            prop::collection::vec(string().prop_map(Value::from), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}

fn pointer() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "0", "1", "é", "x y", "a~1b", "~0", "01", ""]), 1..3)
        .prop_map(|steps| steps.iter().map(|step| format!("/{step}")).collect())
}

/// The names of the items of enclosing functions: among them those of nodes and of functions.
const LOCALS: [&str; 5] = ["x", "y", "item-2", "length", "map"];

/// Expressions that are printed and parsed to themselves: lists and objects of constants are constants.
pub(super) fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        2 => Just(Expr::Input),
        1 => prop::sample::select(vec!["done", "none", "two words", "in", "a-b", "x", "map"]).prop_map(Expr::node),
        1 => prop::sample::select(vec!["done", "true", "y"]).prop_map(Expr::end),
        1 => prop::sample::select(vec!["v", "odd name", "2nd"]).prop_map(Expr::variable),
        1 => prop::sample::select(Meta::all().collect::<Vec<Meta>>()).prop_map(Expr::Meta),
        3 => Just(Expr::Item),
        4 => data().prop_map(Expr::value),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 0..4);
        let function = prop::sample::select(Function::all().collect::<Vec<Function>>());
        let kind = prop::sample::select(EachKind::ALL.map(|(kind, _)| kind).to_vec());
        let name = prop::sample::select(LOCALS.to_vec());
        prop_oneof![
            2 => several.clone().prop_map(folded_list),
            1 => prop::collection::btree_map(prop::sample::select(vec!["a", "b", "x y"]), inner.clone(), 0..3).prop_map(|fields| {
                folded_object(fields.into_iter().map(|(name, part)| (Name::from(name), part)).collect())
            }),
            3 => (inner.clone(), pointer()).prop_map(|(of, pointer)| of.at(pointer)),
            2 => several.prop_map(Expr::First),
            3 => condition(inner.clone().boxed()).prop_map(tested),
            1 => (condition(inner.clone().boxed()), inner.clone(), inner.clone())
                .prop_map(|(when, then, or)| Expr::If(Box::new((when, then, or)))),
            6 => (function, prop::collection::vec(inner.clone(), 3)).prop_map(|(function, mut parts)| {
                parts.truncate(function.arity().1.min(if function.arity().0 == 3 { 3 } else { 2.max(function.arity().0) }));
                Expr::Call(function, parts)
            }),
            4 => (kind, inner.clone(), name, inner).prop_map(|(kind, over, name, mut body)| {
                // The body reads its item, for otherwise nothing would be known by the name.
                TermMut::Expr(&mut body).change(&|expr| {
                    if *expr == Expr::Item {
                        *expr = Expr::Local(name.into());
                    }
                });
                Expr::Each(Box::new(Each::new(kind, over, name, body)))
            }),
        ]
    })
}

/// What the text of a test means: a condition that is the value of an expression is that expression.
fn tested(condition: Condition) -> Expr {
    Expr::test(plain(condition))
}

fn plain(condition: Condition) -> Condition {
    match condition {
        Condition::Is(value) => value.into_condition(),
        other => other,
    }
}

pub(super) fn condition(operand: BoxedStrategy<Expr>) -> impl Strategy<Value = Condition> {
    let pair = (operand.clone(), operand.clone());
    let leaf = prop_oneof![
        Just(Condition::True),
        operand.clone().prop_map(|value| plain(Condition::Is(value))),
        operand.clone().prop_map(Condition::Exists),
        pair.clone().prop_map(|(a, b)| Condition::Equal(a, b)),
        pair.clone().prop_map(|(a, b)| Condition::Less(a, b)),
        pair.clone().prop_map(|(a, b)| Condition::AtMost(a, b)),
        pair.prop_map(|(a, b)| Condition::In(a, b)),
        (operand.clone(), "[ab*?\\\\\"é]{0,4}").prop_map(|(of, pattern)| Condition::matches(of, pattern)),
        operand.prop_map(|of| Condition::predicate("seven", of)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Condition::Any),
            inner.prop_map(Condition::negated),
        ]
    })
}
