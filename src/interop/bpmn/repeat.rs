//! Activities that are performed several times: for each item of a list, and in loops.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::compile::{CHANGES, DATA, ENTER, Level, data};
use super::expression::{self, Reads};
use super::graph::{Again, FlowNode, Instances, Kind, Rounds};
use super::read::Reader;
use super::xml::Element;
use crate::base::name::Name;
use crate::definition::{
    Action, Body, Completion, Condition, Definition, Expr, Function, Link, Map, Node, State, States, Write,
};
use crate::interop::report::{Place, token};
use serde_json::json;

/// The end of the name of the node that has the list of results.
pub(super) const RESULTS: &str = "/results";
/// The state of a loop with the activity.
pub(super) const ROUND: &str = "round";
/// The state in which a loop has ended.
const DONE: &str = "done";
/// The state that decides whether there is a first round.
pub(super) const FIRST: &str = "first";
/// The field of a token that counts rounds.
const COUNT: &str = "count";
/// The variable of an instance with its number.
pub(super) const COUNTER: &str = "loopCounter";

/// What conditions of completion read.
pub(super) fn counters() -> [(&'static str, Expr); 3] {
    let at = |pointer: &str| Expr::Item.at(pointer);
    let open = Expr::call(Function::Sub, [at("/items"), at("/done")]);
    let active = Expr::call(Function::Sub, [open, at("/failed")]);
    [("nrOfInstances", at("/items")), ("nrOfCompletedInstances", at("/done")), ("nrOfActiveInstances", active)]
}

/// The variables in the token of a loop.
pub(super) fn in_token() -> Expr {
    Expr::Item.at("/data")
}

impl Reader<'_> {
    /// How often an activity is performed.
    pub(super) fn again(&mut self, at: Element<'_>, kind: &Kind) -> Again {
        let multi = at.first("multiInstanceLoopCharacteristics");
        let Some(one) = multi.or_else(|| at.first("standardLoopCharacteristics")) else { return Again::Once };
        if !matches!(kind, Kind::Task(_) | Kind::Sub(_) | Kind::Call(_)) {
            self.unsupported(one, format!("`{}`", one.shown()), "only tasks, sub-processes and calls are repeated");
            return Again::Once;
        }
        let again = if multi.is_some() {
            self.instances(one).map(|instances| Again::Each(Box::new(instances)))
        } else {
            self.rounds(one).map(|rounds| Again::Rounds(Box::new(rounds)))
        };
        again.unwrap_or(Again::Once)
    }

    fn instances(&mut self, at: Element<'_>) -> Option<Instances> {
        let known = [
            "loopCardinality",
            "loopDataInputRef",
            "inputDataItem",
            "loopDataOutputRef",
            "outputDataItem",
            "completionCondition",
        ];
        self.plain(at, &known);
        let own = at
            .first("extensionElements")
            .and_then(|all| all.children().find(|child| child.node.tag_name().name() == "loopCharacteristics"));
        let (mut over, mut item) = (None, None);
        if let Some(count) = at.first("loopCardinality") {
            let count = self.value(count, &data())?;
            over = Some(Expr::call(Function::Range, [Expr::value(0), count]));
            item = Some(COUNTER.into());
        } else if let Some(list) = at.first("loopDataInputRef") {
            over = Some(self.value(list, &data())?);
        } else if let Some(list) = at.foreign("collection").or_else(|| own?.attribute("inputCollection")) {
            over = Some(self.text_value(at, list)?);
        }
        let named = at.first("inputDataItem").and_then(|item| item.attribute("name").or_else(|| item.id()));
        let named = named.or_else(|| at.foreign("elementVariable")).or_else(|| own?.attribute("inputElement"));
        item = named.map(Name::from).or(item);
        let Some(over) = over else {
            self.missing(at, "loopCardinality or loopDataInputRef");
            return None;
        };
        if let Some(own) = own.filter(|own| own.attribute("outputElement").is_some()) {
            self.unsupported(own, "`outputElement`", "the list has the whole results of the instances");
        }
        let results = at.first("loopDataOutputRef").map(|results| results.text());
        let results = results.or_else(|| own?.attribute("outputCollection").map(str::to_owned));
        self.note(at, "what an instance writes is in the list of results only");
        let completion = match at.first("completionCondition") {
            None => None,
            Some(condition) => {
                let when = self.condition(condition, &data(), &counters())?;
                Some(Completion::when(when).cancel_rest())
            }
        };
        let is_sequential = at.attribute("isSequential") == Some("true");
        Some(Instances { over, item, is_sequential, completion, results: results.map(Name::from) })
    }

    /// The value that an attribute states.
    fn text_value(&mut self, at: Element<'_>, text: &str) -> Option<Expr> {
        let found = expression::value(text, Reads { root: &data(), named: &[] });
        let kind = |message| crate::interop::report::ImportFaultKind::Expression { message };
        found.map_err(|message| self.report.add(&Place::Text(&at.spot()), kind(message))).ok()
    }

    fn rounds(&mut self, at: Element<'_>) -> Option<Rounds> {
        self.plain(at, &["loopCondition"]);
        let most = match at.attribute("loopMaximum") {
            None => None,
            Some(text) => match text.parse::<u32>().ok().filter(|most| *most > 0) {
                Some(most) => Some(most),
                None => {
                    self.invalid(at, "a positive number of rounds", text);
                    return None;
                }
            },
        };
        let when = match at.first("loopCondition") {
            Some(condition) => self.condition(condition, &in_token(), &[])?,
            None if most.is_none() => {
                self.missing(at, "loopCondition or loopMaximum");
                return None;
            }
            None => Condition::True,
        };
        Some(Rounds { is_before: at.attribute("testBefore") == Some("true"), when, most })
    }
}

/// The node of a multi-instance activity, and the one that has its list of results.
pub(super) fn each(flow: &FlowNode, instances: &Instances, body: Body, level: Level, node: &mut Node) -> Option<Node> {
    let mut map = Map::over(instances.over.clone(), body).max_concurrent(instances.is_sequential.then_some(1));
    map.completion.clone_from(&instances.completion);
    node.action = Action::Map(map);
    node.input = match &instances.item {
        None => data(),
        Some(item) => Expr::call(Function::Put, [data(), Expr::value(format!("/{}", token(item))), Expr::Item]),
    };
    let results = instances.results.clone()?;
    let list = Expr::object([(results, Expr::node(flow.id.clone()))]);
    let after = Node::new(format!("{}{RESULTS}", flow.id), Action::Pass).with_input(list);
    Some(Node { writes: level.writes(""), ..after }.with_link(Link::success(flow.id.clone())))
}

/// The states of a loop around an activity.
pub(super) fn in_rounds(flow: &FlowNode, rounds: &Rounds, body: Body, max_rounds: u32, level: Level, node: &mut Node) {
    let mut round = Level::Part.variables(Definition::new(flow.id.clone()));
    let enter = Node::new(ENTER, Action::Pass).with_input(Expr::Input);
    round.nodes.push(Node { writes: vec![Write::new(DATA, "/data"), Write::new(CHANGES, "/changes")], ..enter });
    let activity = Node::new(flow.id.clone(), Action::Do(body)).with_input(data()).with_link(Link::success(ENTER));
    round.nodes.push(Node { writes: Level::Part.writes(""), ..activity });
    let count = Expr::call(Function::Add, [Expr::Input.at("/count"), Expr::value(1)]);
    round.output = Expr::object([(DATA, data()), (CHANGES, Expr::variable(CHANGES)), (COUNT, count)]);
    let when = match rounds.most {
        None => rounds.when.clone(),
        Some(most) => {
            Condition::All(vec![rounds.when.clone(), Condition::less(Expr::Item.at("/count"), Expr::value(most))])
        }
    };
    let decide = |state: State| state.when(when.clone(), ROUND).then(DONE);
    let start = if rounds.is_before { FIRST } else { ROUND };
    let mut states = States::from(start, max_rounds);
    if rounds.is_before {
        states = states.with(decide(State::new(FIRST)));
    }
    states = states.with(decide(State::new(ROUND).with_body(Body::Flow(round.into())))).with(State::new(DONE));
    node.action = Action::States(states);
    node.input = Expr::object([(DATA, data()), (CHANGES, Expr::value(json!({}))), (COUNT, Expr::value(0))]);
    node.writes = level.writes("/changes");
}

/// The condition and the bound of a loop that its states have.
pub(super) fn rounds_of(states: &States) -> Option<Rounds> {
    let first = states.states.first()?;
    let when = &first.next.first()?.when;
    let is_before = *first.name == *FIRST;
    match when {
        Condition::All(parts) => match parts.as_slice() {
            [when, Condition::Less(count, Expr::Const(most))] if *count == Expr::Item.at("/count") => {
                let most = u32::try_from(most.value().as_u64()?).ok()?;
                Some(Rounds { is_before, when: when.clone(), most: Some(most) })
            }
            _ => Some(Rounds { is_before, when: when.clone(), most: None }),
        },
        when => Some(Rounds { is_before, when: when.clone(), most: None }),
    }
}

/// The variable that has the item of an instance, in the input of its node.
pub(super) fn item_of(input: &Expr) -> Option<Option<String>> {
    match input {
        Expr::Call(Function::Put, parts) => match parts.as_slice() {
            [of, Expr::Const(pointer), Expr::Item] if *of == data() => {
                let name = pointer.value().as_str()?.strip_prefix('/')?;
                Some(Some(name.replace("~1", "/").replace("~0", "~")))
            }
            _ => None,
        },
        input => (*input == data()).then_some(None),
    }
}

/// What a loop does in each round.
pub(super) fn round_of(states: &States) -> Option<&Body> {
    let round = states.states.iter().find(|state| *state.name == *ROUND)?;
    let Some(Body::Flow(round)) = &round.body else { return None };
    match &round.nodes.get(1)?.action {
        Action::Do(body) => Some(body),
        _ => None,
    }
}
