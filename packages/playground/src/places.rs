//! The lines and columns of the values of a YAML or JSON text, by their paths.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;

/// The most paths that are recorded.
const MOST: usize = 100_000;

/// Line and column, from 1, of each value by its path; empty if the text cannot be parsed. JSON is read as YAML, of which
/// it is a subset.
#[must_use]
pub fn places(text: &str) -> BTreeMap<String, (u64, u64)> {
    let mut found = BTreeMap::new();
    if let Ok(tree) = serde_saphyr::from_str::<Spanned<Tree>>(text) {
        walk(&tree, String::new(), &mut found);
    }
    found
}

enum Tree {
    Scalar,
    List(Vec<Spanned<Tree>>),
    Fields(Vec<(String, Spanned<Tree>)>),
}

fn walk(tree: &Spanned<Tree>, path: String, found: &mut BTreeMap<String, (u64, u64)>) {
    if found.len() >= MOST {
        return;
    }
    match &tree.value {
        Tree::Scalar => {}
        Tree::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, format!("{path}[{index}]"), found);
            }
        }
        Tree::Fields(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                walk(value, format!("{path}{dot}{name}"), found);
            }
        }
    }
    let place = tree.referenced;
    if place.line() > 0 {
        found.insert(path, (place.line(), place.column()));
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = from.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn values_have_the_places_of_their_text() {
        let found = places("name: a\ntasks:\n  - id: one\n    retry: 3\nagents:\n  shell: {capacity: 2}\n");
        assert_eq!(found["tasks[0].retry"], (4, 12));
        assert_eq!(found["agents.shell.capacity"], (6, 21));
        let json = places("{\"tasks\": [\n  {\"id\": \"one\"}]}");
        assert_eq!(json["tasks[0].id"], (2, 10));
        assert!(places("a: [").is_empty());
    }
}
