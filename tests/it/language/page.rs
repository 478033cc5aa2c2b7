//! `docs/language.md` and the language itself: neither has what the other does not.

use super::{compiled, wrong};
use counterpoint::definition::{Expr, Function, Meta};
use counterpoint::language::Document;
use serde_json::Value;
use std::collections::BTreeSet;

fn page() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/language.md");
    std::fs::read_to_string(path).unwrap()
}

/// The texts in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The words in the texts in backticks.
fn words(text: &str) -> BTreeSet<&str> {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    quoted(text).into_iter().flat_map(|text| text.split(|letter| !is_letter(letter))).collect()
}

/// The fields and keywords of a schema.
fn names(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                found.extend(properties.keys().cloned());
            }
            if let Some(Value::Array(keywords)) = fields.get("enum") {
                found.extend(keywords.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            fields.values().for_each(|inner| names(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| names(inner, found)),
        _ => {}
    }
}

#[test]
fn the_page_names_every_field_and_keyword_of_the_schema() {
    let (page, mut known) = (page(), BTreeSet::new());
    names(&Document::schema(), &mut known);
    let words = words(&page);
    // Every object may have a description.
    let missing: Vec<&String> =
        known.iter().filter(|name| !words.contains(name.as_str()) && *name != "description").collect();
    assert!(missing.is_empty(), "not in docs/language.md: {missing:?}");
}

#[test]
fn the_page_lists_every_function_and_no_other() {
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.contains("(")).flat_map(quoted);
    let calls = rows.filter_map(|text| text.split_once('(').map(|(name, _)| name));
    let listed: BTreeSet<&str> =
        calls.filter(|name| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')).collect();
    let operators = ["add", "sub", "mul", "div", "rem", "neg"];
    let special =
        ["node", "end", "first", "if", "exists", "matches", "predicate", "map", "filter", "all", "any", "count"];
    let functions = Function::all().map(Function::name).filter(|name| !operators.contains(name));
    let known: BTreeSet<&str> = functions.chain(special).collect();
    let named = |name: &&str| !["", "run"].contains(name);
    assert_eq!(listed.into_iter().filter(named).collect::<BTreeSet<&str>>(), known);
    let quoted = quoted(&page);
    for meta in Meta::all() {
        assert!(quoted.contains(&meta.name()), "{} is not in docs/language.md", meta.name());
    }
}

#[test]
fn the_references_of_the_page_are_expressions() {
    let page = page();
    let from = page.find("| reference | value |").unwrap();
    let rows = page[from..].lines().skip(2).take_while(|line| line.starts_with('|'));
    let shown: Vec<&str> = rows.flat_map(|row| quoted(row.split(" | ").next().unwrap())).collect();
    assert!(shown.len() > 20, "{shown:?}");
    for text in shown {
        assert!(text.parse::<Expr>().is_ok(), "{text}");
    }
}

#[test]
fn the_example_of_the_page_is_a_document() {
    let page = page();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(compiled(example).nodes.len(), 3);
    assert_eq!(wrong(&example.replace("on: charge", "on: chrge")).len(), 1);
}
