//! A small interpreter of the Amazon States Language for the tests. It shares no code with the importer: it works on the document
//! and on plain values.

use serde_json::{Map, Value, json};
use std::cell::Cell;

/// What a task answers: an output, or an error and its cause.
pub(super) type Answer = Result<Value, (&'static str, String)>;

/// An error with its cause.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Error {
    pub(super) name: String,
    pub(super) cause: String,
}

fn error(name: &str, cause: impl Into<String>) -> Error {
    Error { name: name.to_owned(), cause: cause.into() }
}

fn unfit() -> Error {
    error("States.ParameterPathFailure", "")
}

/// What a state did: its output or error, and the seconds that it took.
type Done<T> = (Result<T, Error>, u64);

/// The interpreter, with what tasks answer to a resource, an input and the number of the attempt.
pub(super) struct Oracle<'a> {
    pub(super) answer: &'a dyn Fn(&str, &Value, u32) -> Answer,
    /// The input of the execution.
    pub(super) input: Value,
    /// Whether the document leaves open which of several errors is reported.
    pub(super) is_open: Cell<bool>,
}

/// Errors of the state machine itself. No retrier of the tests names them.
const OWN: &[&str] = &["States.ParameterPathFailure", "States.ResultPathMatchFailure", "States.NoChoiceMatched"];

/// What an expression can read. The value of `$` is computed when it is read: a value that nothing reads is none that can fail.
struct Scope<'a> {
    root: &'a dyn Fn() -> Result<Value, Error>,
    state: &'a str,
    item: Option<(usize, &'a Value)>,
}

impl Oracle<'_> {
    /// The output of a state machine, or its error, and the seconds that it takes.
    pub(super) fn machine(&self, machine: &Value, input: Value) -> Done<Value> {
        let mut name = machine["StartAt"].as_str().unwrap().to_owned();
        let (mut value, mut seconds) = (input, 0);
        for _ in 0..1_000 {
            let state = &machine["States"][&name];
            let (result, spent) = self.state(&name, state, &value);
            seconds += spent;
            let (output, next) = match result {
                Ok((output, next)) => (output, next),
                Err(error) => match self.caught(state, &value, &error) {
                    Some(Ok((output, next))) => (output, Some(next)),
                    Some(Err(error)) => return (Err(error), seconds),
                    None => return (Err(error), seconds),
                },
            };
            value = output;
            match next {
                Some(next) => name = next,
                None => return (Ok(value), seconds),
            }
        }
        panic!("the machine does not end");
    }

    /// The output after the catcher that matches, and the next state.
    fn caught(&self, state: &Value, input: &Value, error: &Error) -> Option<Result<(Value, String), Error>> {
        let catchers = state["Catch"].as_array()?;
        let catcher = catchers.iter().find(|catcher| matches(&catcher["ErrorEquals"], error))?;
        let found = json!({"Error": error.name, "Cause": error.cause});
        // The text of an error of the machine itself is not defined.
        if OWN.contains(&&*error.name) && catcher.get("ResultPath") != Some(&Value::Null) {
            self.is_open.set(true);
        }
        let output = match catcher.get("ResultPath") {
            None => Ok(found),
            Some(Value::Null) => Ok(input.clone()),
            Some(path) => put(input, path.as_str().unwrap(), found),
        };
        Some(output.map(|output| (output, catcher["Next"].as_str().unwrap().to_owned())))
    }

    fn state(&self, name: &str, state: &Value, raw: &Value) -> Done<(Value, Option<String>)> {
        let mut counts = vec![0_u64; state["Retry"].as_array().map_or(0, Vec::len)];
        let mut seconds = 0;
        for attempt in 1.. {
            let (result, spent) = self.once(name, state, raw, attempt);
            seconds += spent;
            let Err(error) = &result else { return (result, seconds) };
            let retriers = state["Retry"].as_array().cloned().unwrap_or_default();
            let found = retriers.iter().position(|retrier| matches(&retrier["ErrorEquals"], error));
            let Some(index) = found.filter(|_| !OWN.contains(&&*error.name)) else { return (result, seconds) };
            let retrier = &retriers[index];
            if counts[index] >= retrier["MaxAttempts"].as_u64().unwrap_or(3) {
                return (result, seconds);
            }
            let rate = retrier["BackoffRate"].as_f64().unwrap_or(2.0);
            let delay = retrier["IntervalSeconds"].as_u64().unwrap_or(1) as f64 * rate.powi(counts[index] as i32);
            let most = retrier["MaxDelaySeconds"].as_u64().unwrap_or(u64::MAX);
            seconds += (delay as u64).min(most);
            counts[index] += 1;
        }
        unreachable!()
    }

    fn once(&self, name: &str, state: &Value, raw: &Value, attempt: u32) -> Done<(Value, Option<String>)> {
        let mut seconds = 0;
        let result = self.performed(name, state, raw, attempt, &mut seconds);
        (result, seconds)
    }

    fn performed(
        &self,
        name: &str,
        state: &Value,
        raw: &Value,
        attempt: u32,
        seconds: &mut u64,
    ) -> Result<(Value, Option<String>), Error> {
        let raw_value = || Ok(raw.clone());
        let effective = || match state.get("InputPath") {
            None => Ok(raw.clone()),
            Some(Value::Null) => Ok(json!({})),
            Some(path) => self.value(path.as_str().unwrap(), &Scope { root: &raw_value, state: name, item: None }),
        };
        let scope = Scope { root: &effective, state: name, item: None };
        let next = state["Next"].as_str().map(str::to_owned);
        let kind = state["Type"].as_str().unwrap();
        let prepared = || match state.get("Parameters").filter(|_| kind != "Map") {
            Some(template) => self.template(template, &scope),
            None => effective(),
        };
        let result = match kind {
            "Succeed" => return Ok((self.selected(state, &effective, name)?, None)),
            "Wait" => {
                let input = effective()?;
                *seconds += match state.get("SecondsPath") {
                    Some(path) => self.value(path.as_str().unwrap(), &scope)?.as_u64().unwrap(),
                    None => state["Seconds"].as_u64().unwrap_or(0),
                };
                return Ok((self.selected(state, &|| Ok(input.clone()), name)?, next));
            }
            "Choice" => {
                let input = effective()?;
                let next = self.choice(state, &input, name)?;
                return Ok((self.selected(state, &|| Ok(input.clone()), name)?, Some(next)));
            }
            "Fail" => {
                let part = |name: &str, path: &str| match state.get(path) {
                    Some(path) => self.value(path.as_str().unwrap(), &scope),
                    None => Ok(state.get(name).cloned().unwrap_or_else(|| json!(""))),
                };
                let (name, cause) = (part("Error", "ErrorPath")?, part("Cause", "CausePath")?);
                let name = name.as_str().filter(|name| !name.is_empty()).unwrap_or("States.TaskFailed");
                return Err(error(name, cause.as_str().unwrap()));
            }
            "Pass" => None,
            "Task" => {
                let answer = (self.answer)(state["Resource"].as_str().unwrap(), &prepared()?, attempt);
                Some(answer.map_err(|(name, cause)| error(name, cause))?)
            }
            "Parallel" => {
                let input = prepared()?;
                let branches = state["Branches"].as_array().unwrap();
                let done = branches.iter().map(|branch| self.machine(branch, input.clone())).collect();
                Some(self.all(done, 0, seconds)?)
            }
            "Map" => Some(self.map(name, state, &prepared()?, seconds)?),
            other => panic!("the interpreter has no {other}"),
        };
        let given = || match (&result, state.get("Result")) {
            (Some(result), _) => Ok(result.clone()),
            (None, Some(constant)) => Ok(constant.clone()),
            (None, None) => prepared(),
        };
        let selected = || match state.get("ResultSelector") {
            Some(template) => self.template(template, &Scope { root: &given, state: name, item: None }),
            None => given(),
        };
        let placed = || match state.get("ResultPath") {
            None => selected(),
            Some(Value::Null) => Ok(raw.clone()),
            Some(path) => put(raw, path.as_str().unwrap(), selected()?),
        };
        Ok((self.selected(state, &placed, name)?, next))
    }

    fn selected(&self, state: &Value, value: &dyn Fn() -> Result<Value, Error>, name: &str) -> Result<Value, Error> {
        match state.get("OutputPath") {
            None => value(),
            Some(Value::Null) => Ok(json!({})),
            Some(path) => self.value(path.as_str().unwrap(), &Scope { root: value, state: name, item: None }),
        }
    }

    /// The outputs of parts that run at the same time; an error if more than so many of them fail.
    fn all(&self, done: Vec<Done<Value>>, tolerated: usize, seconds: &mut u64) -> Result<Value, Error> {
        let failed: Vec<&Error> = done.iter().filter_map(|(result, _)| result.as_ref().err()).collect();
        *seconds += done.iter().map(|(_, spent)| *spent).max().unwrap_or(0);
        if failed.len() > tolerated {
            if failed.iter().any(|other| *other != failed[0]) {
                self.is_open.set(true);
            }
            return Err(failed[0].clone());
        }
        Ok(done.into_iter().map(|(result, _)| result.unwrap_or_default()).collect())
    }

    fn map(&self, name: &str, state: &Value, input: &Value, seconds: &mut u64) -> Result<Value, Error> {
        let root = || Ok(input.clone());
        let scope = Scope { root: &root, state: name, item: None };
        let items = match state["ItemsPath"].as_str() {
            Some(path) => self.value(path, &scope)?,
            None => input.clone(),
        };
        let Some(items) = items.as_array() else { return Err(error("States.ResultPathMatchFailure", "")) };
        let number = |name: &str| match state.get(format!("{name}Path")) {
            Some(path) => Ok(self.value(path.as_str().unwrap(), &scope)?.as_u64()),
            None => Ok(state[name].as_u64()),
        };
        let count = number("ToleratedFailureCount")?.map(|count| count as usize);
        let percent = number("ToleratedFailurePercentage")?.map(|percent| items.len() * percent as usize / 100);
        let tolerated = match (count, percent) {
            (Some(count), Some(share)) => count.min(share),
            (count, share) => count.or(share).unwrap_or(0),
        };
        let mut done = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let given = match state.get("ItemSelector").or(state.get("Parameters")) {
                Some(template) => self.template(template, &Scope { item: Some((index, item)), ..scope })?,
                None => item.clone(),
            };
            let part = state.get("ItemProcessor").or(state.get("Iterator")).unwrap();
            done.push(self.machine(part, given));
        }
        if number("MaxConcurrency")? == Some(1) {
            let sum: u64 = done.iter().map(|(_, spent)| *spent).sum();
            done.iter_mut().for_each(|(_, spent)| *spent = 0);
            *seconds += sum;
        }
        self.all(done, tolerated, seconds)
    }

    fn choice(&self, state: &Value, value: &Value, name: &str) -> Result<String, Error> {
        let root = || Ok(value.clone());
        let scope = Scope { root: &root, state: name, item: None };
        let rules = state["Choices"].as_array().unwrap();
        let found = rules.iter().find(|rule| self.holds(rule, &scope));
        let next = found.map(|rule| &rule["Next"]).or(state.get("Default")).and_then(Value::as_str);
        next.map(str::to_owned).ok_or_else(|| error("States.NoChoiceMatched", ""))
    }

    fn holds(&self, rule: &Value, scope: &Scope<'_>) -> bool {
        let list = |name: &str| rule[name].as_array().cloned();
        if let Some(rules) = list("And") {
            return rules.iter().all(|rule| self.holds(rule, scope));
        }
        if let Some(rules) = list("Or") {
            return rules.iter().any(|rule| self.holds(rule, scope));
        }
        if let Some(rule) = rule.get("Not") {
            return !self.holds(rule, scope);
        }
        let found = self.value(rule["Variable"].as_str().unwrap(), scope).ok();
        let fields = rule.as_object().unwrap().iter();
        let (operator, operand) =
            fields.clone().find(|(name, _)| !["Variable", "Next"].contains(&name.as_str())).unwrap();
        let is = |test: fn(&Value) -> bool| found.as_ref().is_some_and(test) == operand.as_bool().unwrap();
        match operator.as_str() {
            "IsPresent" => return found.is_some() == operand.as_bool().unwrap(),
            "IsNull" => return is(Value::is_null),
            "IsNumeric" => return is(Value::is_number),
            "IsString" => return is(Value::is_string),
            "IsBoolean" => return is(Value::is_boolean),
            "IsTimestamp" => return is(|value| value.as_str().is_some_and(is_date)),
            _ => {}
        }
        let Some(found) = found else { return false };
        if operator == "StringMatches" {
            return found.as_str().is_some_and(|text| wild(operand.as_str().unwrap(), text));
        }
        let (operator, operand) = match operator.strip_suffix("Path") {
            Some(operator) => match self.value(operand.as_str().unwrap(), scope) {
                Ok(value) => (operator, value),
                Err(_) => return false,
            },
            None => (operator.as_str(), operand.clone()),
        };
        let (kind, order) = ["String", "Numeric", "Boolean", "Timestamp"]
            .into_iter()
            .find_map(|kind| Some((kind, operator.strip_prefix(kind)?)))
            .unwrap();
        let compared = match kind {
            "String" => found.as_str().zip(operand.as_str()).map(|(a, b)| a.cmp(b)),
            "Numeric" => found.as_f64().zip(operand.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
            "Boolean" => found.as_bool().zip(operand.as_bool()).map(|(a, b)| a.cmp(&b)),
            _ => {
                let dates = found.as_str().zip(operand.as_str()).filter(|(a, b)| is_date(a) && is_date(b));
                dates.map(|(a, b)| a.cmp(b))
            }
        };
        compared.is_some_and(|found| match order {
            "Equals" => found.is_eq(),
            "LessThan" => found.is_lt(),
            "LessThanEquals" => found.is_le(),
            "GreaterThan" => found.is_gt(),
            _ => found.is_ge(),
        })
    }

    fn template(&self, template: &Value, scope: &Scope<'_>) -> Result<Value, Error> {
        match template {
            Value::Array(items) => items.iter().map(|item| self.template(item, scope)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| match name.strip_suffix(".$") {
                    Some(name) => Ok((name.to_owned(), self.value(value.as_str().unwrap(), scope)?)),
                    None => Ok((name.clone(), self.template(value, scope)?)),
                });
                Ok(Value::Object(fields.collect::<Result<Map<_, _>, Error>>()?))
            }
            plain => Ok(plain.clone()),
        }
    }

    /// The value of a path or a function.
    fn value(&self, text: &str, scope: &Scope<'_>) -> Result<Value, Error> {
        if let Some(path) = text.strip_prefix("$$.") {
            let context = json!({
                "Execution": {"Input": self.input},
                "State": {"Name": scope.state},
                "Map": {"Item": scope.item.map(|(index, item)| json!({"Index": index, "Value": item}))},
            });
            return walk(&format!(".{path}"), &context);
        }
        if let Some(path) = text.strip_prefix('$') {
            return walk(path, &(scope.root)()?);
        }
        let (name, rest) = text.strip_prefix("States.").unwrap().split_once('(').unwrap();
        let inner = rest.strip_suffix(')').unwrap();
        let values = arguments(inner).into_iter().map(|argument| match argument.chars().next() {
            Some('$' | 'S') => self.value(&argument, scope),
            Some('\'') => Ok(json!(argument.trim_matches('\''))),
            _ => Ok(serde_json::from_str(&argument).unwrap()),
        });
        function(name, &values.collect::<Result<Vec<Value>, Error>>()?)
    }
}

/// The arguments of a function, cut at commas outside of parentheses and quotes.
fn arguments(text: &str) -> Vec<String> {
    let (mut all, mut depth, mut quoted) = (vec![String::new()], 0, false);
    for letter in text.chars() {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        all.last_mut().unwrap().push(letter);
    }
    all.into_iter().map(|argument| argument.trim().to_owned()).filter(|argument| !argument.is_empty()).collect()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn function(name: &str, values: &[Value]) -> Result<Value, Error> {
    let bad = || error("States.ResultPathMatchFailure", "");
    let list = |index: usize| values[index].as_array().ok_or_else(bad);
    let text = |index: usize| values[index].as_str().ok_or_else(bad);
    Ok(match name {
        "Array" => json!(values),
        "ArrayLength" => json!(list(0)?.len()),
        "ArrayContains" => json!(list(0)?.contains(&values[1])),
        "ArrayGetItem" => list(0)?.get(values[1].as_u64().unwrap() as usize).cloned().ok_or_else(unfit)?,
        "ArrayPartition" => json!(list(0)?.chunks(values[1].as_u64().unwrap() as usize).collect::<Vec<_>>()),
        "ArrayUnique" => {
            let mut all: Vec<Value> = Vec::new();
            for item in list(0)? {
                if !all.contains(item) {
                    all.push(item.clone());
                }
            }
            json!(all)
        }
        "ArrayRange" => {
            let [from, to, step] = [0, 1, 2].map(|index| values[index].as_i64().unwrap());
            let mut all = Vec::new();
            let mut at = from;
            while if step > 0 { at <= to } else { at >= to } {
                all.push(at);
                at += step;
            }
            json!(all)
        }
        "MathAdd" => {
            let numbers = values[0].as_i64().zip(values[1].as_i64());
            json!(numbers.map(|(a, b)| a + b).ok_or_else(bad)?)
        }
        "Format" => {
            let mut parts = text(0)?.split("{}");
            let first = parts.next().unwrap().to_owned();
            json!(parts.zip(&values[1..]).fold(first, |all, (part, value)| all + &shown(value) + part))
        }
        "JsonToString" => json!(values[0].to_string()),
        "StringToJson" => serde_json::from_str(text(0)?).map_err(|_| bad())?,
        "StringSplit" => {
            let separators = text(1)?;
            let parts = text(0)?.split(|letter| separators.contains(letter)).filter(|part| !part.is_empty());
            json!(parts.collect::<Vec<_>>())
        }
        "JsonMerge" => {
            let (one, other) = (values[0].as_object().ok_or_else(bad)?, values[1].as_object().ok_or_else(bad)?);
            Value::Object(one.iter().chain(other).map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        "Base64Encode" => {
            // The two texts of the tests.
            json!(match text(0)? {
                "tea" => "dGVh",
                _ => return Err(bad()),
            })
        }
        other => panic!("the interpreter has no {other}"),
    })
}

/// The value at a path after `$`.
fn walk(path: &str, root: &Value) -> Result<Value, Error> {
    let (mut found, mut many, mut rest) = (vec![root.clone()], false, path);
    while !rest.is_empty() {
        let (step, after) = if let Some(inner) = rest.strip_prefix("['") {
            inner.split_once("']").unwrap()
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').unwrap();
            if index == "*" || index.contains(':') {
                let lists = found.iter().filter_map(|value| match value {
                    Value::Array(items) => Some(items.clone()),
                    Value::Object(fields) if index == "*" => Some(fields.values().cloned().collect()),
                    _ => None,
                });
                let lists: Vec<Vec<Value>> = lists.collect();
                if lists.is_empty() && !many {
                    return Err(error("States.ResultPathMatchFailure", ""));
                }
                found = match index.split_once(':') {
                    None => lists.concat(),
                    Some((from, to)) => {
                        let from: usize = from.parse().unwrap_or(0);
                        let to: usize = to.parse().unwrap_or(usize::MAX);
                        lists.iter().flat_map(|list| list.iter().take(to).skip(from)).cloned().collect()
                    }
                };
                (many, rest) = (true, after);
                continue;
            }
            (index, after)
        } else {
            let name = rest.strip_prefix('.').unwrap();
            name.split_at(name.find(['.', '[']).unwrap_or(name.len()))
        };
        let part = |value: &Value| match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?).cloned(),
            other => other.get(step).cloned(),
        };
        let parts: Vec<Value> = found.iter().filter_map(part).collect();
        if parts.is_empty() && !many {
            return Err(unfit());
        }
        (found, rest) = (parts, after);
    }
    Ok(if many { json!(found) } else { found.remove(0) })
}

/// A value with a part at a reference path of names.
fn put(whole: &Value, path: &str, part: Value) -> Result<Value, Error> {
    let mut whole = whole.clone();
    let mut at = &mut whole;
    for name in path.strip_prefix('$').unwrap().split('.').skip(1) {
        if at.is_null() {
            *at = json!({});
        }
        let Some(fields) = at.as_object_mut() else { return Err(error("States.ResultPathMatchFailure", "")) };
        at = fields.entry(name).or_insert(Value::Null);
    }
    *at = part;
    Ok(whole)
}

fn matches(names: &Value, error: &Error) -> bool {
    let names = names.as_array().unwrap();
    names.iter().any(|name| name == "States.ALL" || name == "States.TaskFailed" || *name == error.name)
}

/// Dates of the tests are in one form, so that their texts compare as they do.
fn is_date(text: &str) -> bool {
    text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

fn wild(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).filter(|at| left.is_char_boundary(*at)).any(|at| wild(rest, &left[at..]))
        }),
    }
}
