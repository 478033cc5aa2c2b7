//! The first difference of two states, for the diagnosis of failed simulations.

use serde::Serialize;
use serde_json::Value;

static NULL: Value = Value::Null;

/// The path of the first difference between the JSON forms, with both values. Omitted values are equal to null.
pub(super) fn difference<T: Serialize + PartialEq>(here: &T, there: &T) -> Option<String> {
    if here == there {
        return None;
    }
    match (serde_json::to_value(here), serde_json::to_value(there)) {
        (Ok(here), Ok(there)) => first(String::new(), &here, &there),
        (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
    }
}

fn first(path: String, here: &Value, there: &Value) -> Option<String> {
    if here == there {
        return None;
    }
    let deeper = match (here, there) {
        (Value::Object(here), Value::Object(there)) => here.keys().chain(there.keys()).find_map(|name| {
            first(format!("{path}/{name}"), here.get(name).unwrap_or(&NULL), there.get(name).unwrap_or(&NULL))
        }),
        (Value::Array(here), Value::Array(there)) if here.len() == there.len() => here
            .iter()
            .zip(there)
            .enumerate()
            .find_map(|(place, (here, there))| first(format!("{path}/{place}"), here, there)),
        _ => None,
    };
    deeper.or_else(|| Some(format!("{path} is {} instead of {}", short(here), short(there))))
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_reported() {
        let here = json!({"a": [1, {"b": 2}], "c": 3});
        assert_eq!(difference(&here, &here), None);
        let there = json!({"a": [1, {"b": 7}], "c": 4});
        assert_eq!(difference(&here, &there).as_deref(), Some("/a/1/b is 2 instead of 7"));
        assert_eq!(
            difference(&here, &json!({"a": [1], "c": 3})).as_deref(),
            Some("/a is [1,{\"b\":2}] instead of [1]")
        );
        assert_eq!(difference(&json!({}), &json!({"a": 1})).as_deref(), Some("/a is null instead of 1"));
    }
}
