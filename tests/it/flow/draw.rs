//! Random definitions and schedules, drawn from a list of numbers so that a smaller list means a simpler case.

use super::{RUN, World, work};
use counterpoint::definition::{
    Action, Body, Budget, Call, Case, Completion, Condition, Definition, Expr, Fail, Handler, Input, InputType, Join,
    Link, Map, Milestone, Node, On, Pick, Precondition, RaceOption, Receivers, Reducer, Remaining, Repeat, SavePoint,
    SendSignal, State, States, Trigger, Variable, WaitFor, Write,
};
use counterpoint::definition::{OnCompensationFailure, OnFailure};
use counterpoint::engine::{Awaited, RunStanding, Wait};
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{
    CompensationRemedy, Migration, NodeRemedy, NodeStatus, Obstacle, ResetPoint, RunEvent, RunPhase,
};
use counterpoint::task::{Failures, Jitter, Owner, RetryRule, Usage};
use counterpoint::{
    Accepted, Command, Effect, Entry, Event, Failure, Name, Payload, Policy, Rejected, Retry, RunCommand, RunId,
    TaskSpec,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Numbers to decide by; when they are used up every answer is 0.
pub(crate) struct Draws<'a>(core::slice::Iter<'a, u16>);

impl<'a> Draws<'a> {
    pub(crate) fn new(numbers: &'a [u16]) -> Self {
        Self(numbers.iter())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.next().map_or(0, |number| usize::from(*number) % bound.max(1))
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == bound - 1
    }

    /// By the next number, which is not used up.
    fn peek(&self, bound: usize) -> usize {
        self.0.as_slice().first().map_or(0, |number| usize::from(*number) / 7 % bound)
    }
}

/// What a definition may hold.
#[derive(Clone, Copy)]
pub(crate) struct Taste {
    /// Whether how a run ends may depend on who is faster: counting joins, pivots, waits for signals.
    pub(crate) races: bool,
    pub(crate) most: usize,
}

/// A sound definition.
pub(crate) fn definition(draws: &mut Draws<'_>, taste: Taste) -> Definition {
    // The whole as a child run that is retried.
    let retry = draws.one_in(6).then(|| run_retry(draws));
    let Some(retry) = retry else { return flow(draws, taste, "flow", 2) };
    let whole = flow(draws, taste, "whole", 1);
    let node = Node::new("n0", Action::flow(whole)).with_input(Expr::Input).with_retry(retry);
    Definition::new("flow").with_node(node).with_output(Expr::node("n0"))
}

fn flow(draws: &mut Draws<'_>, taste: Taste, path: &str, depth: usize) -> Definition {
    let count = 1 + draws.below(taste.most);
    let mut definition = Definition::new(path);
    let mut pivot = taste.races;
    if taste.races {
        let policies = [OnCompensationFailure::Hold, OnCompensationFailure::Continue, OnCompensationFailure::Stop];
        definition.on_compensation_failure = policies[draws.below(3)];
        if draws.one_in(4) {
            definition.on_failure = OnFailure::Hold;
        } else if draws.one_in(5) {
            definition.on_failure = OnFailure::Finish;
        }
    }
    for (name, reducer) in
        [("list", Reducer::Append), ("sum", Reducer::Sum), ("max", Reducer::Max), ("last", Reducer::Replace)]
    {
        definition.variables.push(Variable::new(name, reducer));
    }
    definition.variables.push(Variable::new("told", Reducer::Replace));
    // What is written from outside: anything, numbers below a bound, and what is above all that is there.
    let takes = [
        Condition::True,
        Condition::Less(Expr::Item, Expr::value(7)),
        Condition::Less(Expr::variable("max"), Expr::Item),
    ];
    for (variable, place) in definition.variables.iter_mut().zip([0, 1, 2, 3, 0]).filter(|(_, place)| *place < 3) {
        variable.updates = Some(takes[place].clone());
    }
    let mut last: Option<Name> = None;
    // Documents declare the inputs of the whole.
    if path == "flow" && count.is_multiple_of(3) {
        // What all runs are given fits. Called runs may be given anything.
        let list = if count > 6 {
            Input::required(InputType::Any)
        } else {
            Input::optional(InputType::Array).or(json!([1, 2]))
        };
        let bound = Input::optional(InputType::Integer).or(json!(count));
        definition = definition.with_input("k", bound).with_input("list", list);
    }
    if taste.races && draws.one_in(6) {
        definition.budget = Some(budget(draws));
    }
    for place in 0..count {
        let mut node = node(draws, taste, path, place, depth, &definition);
        links(draws, taste, &mut node, &definition);
        let body = matches!(&node.action, Action::Do(_) | Action::Map(_) | Action::Repeat(_));
        let is_task = match &node.action {
            Action::Do(body) | Action::Map(Map { body, .. }) | Action::Repeat(Repeat { body, .. }) => {
                matches!(body, Body::Task(_))
            }
            _ => false,
        };
        // The number that also decides what follows: the shapes of random flows with and without it are alike.
        if is_task && draws.below(3) > 0 || body && !is_task && draws.peek(3) == 0 {
            node.undo = Some(patient(&format!("undo {path}/{}", node.name)));
        }
        if matches!(node.action, Action::Do(Body::Flow(_) | Body::Call(_)))
            && !matches!(node.join, Join::Each | Join::Rounds { .. })
            && draws.below(4) > 0
        {
            node.retry = Some(run_retry(draws));
        }
        if matches!(node.action, Action::Map(_) | Action::Repeat(_))
            && !matches!(node.join, Join::Each | Join::Rounds { .. })
            && draws.below(2) > 0
        {
            node.retry = Some(run_retry(draws));
        }
        writes(draws, &mut node, &mut last);
        guards(draws, &mut node);
        if taste.races && draws.one_in(8) {
            node.budget = Some(budget(draws));
        }
        if is_task && taste.races && draws.below(2) == 1 {
            node.query = Some(patient(&format!("query {path}/{}", node.name)));
        }
        if body && pivot && node.query.is_none() && draws.one_in(12) {
            node.pivot = true;
            pivot = false;
        }
        if (body || matches!(node.action, Action::Wait { .. })) && draws.one_in(5) {
            boundary(draws, taste, &mut node);
        }
        if taste.races && place > 0 && draws.one_in(10) {
            node.cancels.push(definition.nodes[draws.below(place)].name.clone());
        }
        if taste.races && draws.below(3) == 1 {
            let save = SavePoint::retries(1 + draws.below(2) as u32);
            node.save = Some(if draws.below(3) == 1 { save.or_alternative("instead") } else { save });
        }
        if draws.one_in(6) {
            node.mutex.push("one at a time".into());
        }
        if taste.races && place > 1 && draws.one_in(10) {
            let (after, until) = (draws.below(place), draws.below(place));
            let name = |at: usize| definition.nodes[at].name.clone();
            node.milestone = Some(Milestone::between(name(after), name(until)));
        }
        definition.nodes.push(node);
    }
    let outputs = definition.nodes.iter().map(|node| Expr::node(node.name.clone()));
    let variables = definition.variables.iter().map(|variable| Expr::variable(variable.name.clone()));
    definition.output = Expr::List(outputs.chain(variables).collect());
    definition
}

fn budget(draws: &mut Draws<'_>) -> Budget {
    match draws.below(6) {
        0 => Budget::default().with_time(Duration::from_secs(1 + draws.below(9) as u64)),
        1 => Budget::default().with_tokens(draws.below(30) as u64),
        2 => Budget::default().with_tokens(u64::MAX).with_attempts(u64::MAX - 1).with_time(Duration::MAX),
        _ => Budget::default().with_attempts(draws.below(12) as u64),
    }
}

/// What an attempt uses up: more than was expected now and then.
fn usage(seed: u64, attempt: counterpoint::AttemptId) -> Usage {
    Usage::default().with_tokens((seed ^ attempt.task().get()).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61)
}

fn writes(draws: &mut Draws<'_>, node: &mut Node, last: &mut Option<Name>) {
    let number =
        matches!(node.action, Action::Do(Body::Task(_))) && !matches!(node.join, Join::Each | Join::Rounds { .. });
    if draws.below(3) == 2 {
        node.writes.push(Write::new("list", if number || draws.below(2) == 0 { "" } else { "/0" }));
    }
    if number && draws.below(3) == 2 {
        node.writes.push(Write::new(["sum", "max"][draws.below(2)], ""));
    }
    let follows = |name: &Name| node.after.iter().any(|link| link.node == *name);
    if last.as_ref().is_none_or(follows) && draws.below(3) == 2 {
        node.writes.push(Write::new("last", ""));
        *last = Some(node.name.clone());
    }
}

/// A part of the input of the run, which nested runs need not have.
fn given(pointer: &str) -> Expr {
    Expr::First(vec![Expr::Input.at(pointer)])
}

fn guards(draws: &mut Draws<'_>, node: &mut Node) {
    let bound = |draws: &mut Draws<'_>| Expr::value(i64::try_from(draws.below(10)).unwrap());
    if draws.one_in(8) {
        let of = [Expr::Item, Expr::variable("sum"), Expr::Input.at("/k")][draws.below(3)].clone();
        let guard = Precondition::new(Condition::less(of, bound(draws)).negated());
        node.guards.precondition = Some(if draws.below(2) == 0 { guard } else { guard.or_skip() });
    }
    let works = matches!(node.action, Action::Do(_) | Action::Map(_) | Action::Repeat(_));
    let works = works
        || matches!(&node.action, Action::States(states) if states.states.iter().any(|state| state.body.is_some()));
    if works && draws.one_in(6) {
        let of = if draws.below(3) == 0 { Expr::Item.at("/0") } else { Expr::Item };
        node.guards.postcondition = Some(Condition::less(of, bound(draws)).negated());
        if matches!(node.action, Action::Do(_)) && draws.below(2) == 0 {
            node.input = Expr::List(vec![core::mem::take(&mut node.input), Expr::Item]);
        }
    }
}

fn boundary(draws: &mut Draws<'_>, taste: Taste, node: &mut Node) {
    let span = Duration::from_secs(1 + draws.below(3) as u64);
    for place in 0..=draws.below(2) {
        let name = format!("h{place}");
        let handler = match draws.below(6) {
            0 | 1 if taste.races => Handler::timeout(name, span),
            2 if taste.races => Handler::timeout(name, span).non_interrupting(),
            3 if taste.races && draws.below(3) == 2 => {
                let beside = Handler::when(name, Condition::less(Expr::value(3), Expr::variable("max")));
                if draws.below(2) == 0 { beside } else { beside.non_interrupting() }
            }
            3 if taste.races => Handler::signal(name, "red"),
            4 if taste.races => Handler::cancel(name),
            5 => match draws.below(3) {
                0 => Handler::error(name, [counterpoint::FailureKind::Transient]),
                1 => Handler::error(name, Failures::code("draw.no")),
                _ => Handler::error(name, Failures::from(counterpoint::FailureKind::Permanent).and_code("draw.e*")),
            },
            _ => Handler::error(name, []),
        };
        node.handlers.push(handler);
    }
}

/// Retries of a child run.
fn run_retry(draws: &mut Draws<'_>) -> Retry {
    let second = Duration::from_secs(1);
    let attempts = [3, 2, 4, 9, 1, 0][draws.below(6)];
    let mut retry = Retry::exponential(attempts, second * draws.below(3) as u32, 2 * second);
    for _ in 0..draws.below(3) {
        let most = [2, 3, 9, 1, 0][draws.below(5)];
        let rule = match draws.below(3) {
            0 => RetryRule::any(most),
            1 => RetryRule::on(counterpoint::FailureKind::Overloaded, most),
            _ => RetryRule::on("draw.*", most).with_backoff(second, 0, second).with_jitter(Jitter::None),
        };
        retry = retry.with_rule(rule);
    }
    retry
}

fn patient(kind: &str) -> counterpoint::definition::Work {
    let second = Duration::from_secs(1);
    let retry = Retry::exponential(3, second, second).with_jitter(Jitter::None);
    let estimate = Usage::default().with_tokens(kind.len() as u64 % 4);
    work(kind).with_policy(Policy::default().with_retry(retry)).with_estimate(estimate)
}

/// Settings from data: the tier depends on the input of the task.
pub(crate) fn overrides() -> Expr {
    "{tier: if(is_null(item), 'low', 'high'), attempts: 3}".parse().unwrap()
}

fn node(draws: &mut Draws<'_>, taste: Taste, path: &str, place: usize, depth: usize, before: &Definition) -> Node {
    let name = format!("n{place}");
    let kind = format!("{path}/{name}");
    let data = |draws: &mut Draws<'_>| match draws.below(4) {
        3 => Expr::variable(["list", "sum", "max", "last", "told"][draws.below(5)]),
        0 if !before.nodes.is_empty() => {
            // Only what is linked before may be used; the links see to that.
            let name = &before.nodes[draws.below(before.nodes.len())].name;
            if (path.len() + place) % 3 == 1 {
                let status = Expr::First(vec![Expr::end(name.clone()).at("/status"), Expr::value("open")]);
                Expr::List(vec![Expr::node(name.clone()), status])
            } else {
                Expr::node(name.clone())
            }
        }
        1 => Expr::value(i64::try_from(draws.below(10)).unwrap()),
        _ => given("/k"),
    };
    let body = |draws: &mut Draws<'_>| {
        if depth > 0 && draws.one_in(5) {
            let inner = Taste { most: 3, ..taste };
            Body::Flow(Arc::new(flow(draws, inner, &kind, depth - 1)))
        } else if draws.one_in(30) {
            Body::Call(match draws.below(8) {
                0 => Call::of("nobody knows"),
                1 => Call::of("flow").with_version(1),
                _ => Call::of("flow").to_depth(2),
            })
        } else if (path.len() + place) % 5 == 4 {
            Body::Task(patient(&kind).overridden_by(overrides()))
        } else {
            Body::Task(patient(&kind))
        }
    };
    let less = |bound: usize| Condition::less(Expr::Item, Expr::value(i64::try_from(bound).unwrap()));
    let action = match draws.below(16) {
        8 => {
            let count = 1 + draws.below(3);
            let mut states = States::from("s0", 1 + u32::try_from(draws.below(5)).unwrap());
            for at in 0..count {
                let mut state = State::new(format!("s{at}"));
                if draws.below(4) > 0 {
                    let body = body(draws);
                    if draws.below(2) == 0 {
                        state.undo = Some(patient(&format!("undo {kind}")));
                    }
                    if !matches!(body, Body::Task(_)) && draws.below(2) == 0 {
                        state.retry = Some(run_retry(draws));
                    }
                    state = state.with_body(body);
                }
                let parts = [("was", Expr::Item.at("/input")), ("is", Expr::Item.at("/result"))];
                let [(_, was), (_, is)] = parts.clone();
                state.output = [Expr::object(parts), was, is, Expr::default()].into_iter().nth(draws.peek(16));
                if draws.below(3) > 0 {
                    let to = draws.below(count);
                    state = state.when(less(draws.below(10)), format!("s{to}"));
                }
                if at + 1 < count {
                    state = state.then(format!("s{}", at + 1));
                }
                if draws.one_in(4) {
                    state = state.on_failure("end");
                    if draws.peek(2) == 1 {
                        state = state.carrying(Expr::Item.at("/input"));
                    }
                }
                if at + 1 == count {
                    state = state.then("end");
                }
                states = states.with(state);
            }
            Action::States(states.with(State::new("end")))
        }
        9 if taste.races && draws.one_in(4) => Action::Stop,
        9 if draws.one_in(4) => {
            let fail = Fail::new("a dead end").with_code("draw.end");
            Action::Fail(if draws.below(2) == 0 { fail } else { fail.with_kind(counterpoint::FailureKind::Transient) })
        }
        9 if taste.races && draws.one_in(2) => {
            let to = [Receivers::Run, Receivers::Parent, Receivers::Root, Receivers::All { workflow: "flow".into() }];
            Action::Send(SendSignal::new(["red", "blue", "green"][draws.below(3)], to[draws.below(4)].clone()))
        }
        9 if taste.races && draws.one_in(2) => {
            let name = |at: usize| before.nodes.get(at).map(|node| node.name.clone());
            let of = if draws.below(3) == 0 {
                Vec::new()
            } else {
                (0..3).filter_map(|_| name(draws.below(place + 1))).collect()
            };
            Action::Compensate { of }
        }
        9 => Action::Pass,
        10 | 11 => Action::Choose {
            pick: if draws.below(2) == 0 { Pick::First } else { Pick::Every },
            cases: (0..=draws.below(2)).map(|case| Case::new(format!("c{case}"), less(draws.below(10)))).collect(),
            otherwise: (draws.below(4) > 0).then(|| "else".into()),
        },
        12 | 13 => {
            let over = if draws.one_in(8) { Expr::Input } else { given("/list") };
            let mut map = Map::over(over, body(draws))
                .max_concurrent((draws.below(2) > 0).then(|| u32::try_from(1 + draws.below(3)).unwrap()))
                .tolerate(u32::try_from(draws.below(3)).unwrap());
            if draws.one_in(5) {
                map = map.tolerate_percent(40);
            }
            if taste.races && draws.one_in(4) {
                let enough = Completion::after(u32::try_from(1 + draws.below(3)).unwrap());
                map = map.with_completion(match draws.below(3) {
                    0 => enough.cancel_rest(),
                    1 => Completion::when_started(),
                    _ => enough,
                });
            }
            map.open = taste.races && draws.one_in(4);
            Action::Map(map)
        }
        14 if draws.one_in(3) => Action::Repeat(Repeat::while_(body(draws), less(draws.below(10)).negated(), 3)),
        14 => {
            let finishes = draws.peek(2) == 1;
            let mut repeat = Repeat::until(body(draws), less(draws.below(10)), 3);
            repeat.finishes = finishes;
            Action::Repeat(repeat)
        }
        15 => {
            let (signal, timer) = match draws.below(3) {
                0 => (false, true),
                1 if taste.races => (true, false),
                _ => (taste.races, true),
            };
            let signal = signal.then(|| Name::from(["red", "blue"][draws.below(2)]));
            let timer = timer.then(|| Duration::from_secs(1 + draws.below(9) as u64));
            if taste.races && draws.below(4) == 3 {
                // A condition on what is written from outside, and a time, so that it ends.
                let when =
                    Condition::less(Expr::value(draws.below(9) as u64), Expr::variable(["sum", "max"][draws.below(2)]));
                let late = WaitFor::After(Duration::from_secs(1 + draws.below(9) as u64));
                Action::Race {
                    options: vec![RaceOption::new("when", WaitFor::When(when)), RaceOption::new("timer", late)],
                }
            } else if taste.races && draws.below(3) == 0 {
                let mut offers = vec![RaceOption::new("other", WaitFor::signal("green"))];
                offers.extend(signal.map(|signal| RaceOption::new("signal", WaitFor::signal(signal))));
                offers.extend(timer.map(|timer| RaceOption::new("timer", WaitFor::After(timer))));
                Action::Race { options: offers }
            } else {
                Action::Wait { signal, timer }
            }
        }
        _ => Action::Do(body(draws)),
    };
    let input = match &action {
        Action::Choose { .. } | Action::Pass | Action::Send(_) | Action::Stop | Action::States(_) => data(draws),
        Action::Do(_) if draws.below(2) == 0 => Expr::List(vec![data(draws), given("/list/0")]),
        Action::Do(_) => Expr::Input,
        Action::Map(Map { body: Body::Flow(_) | Body::Call(_), .. })
        | Action::Repeat(Repeat { body: Body::Flow(_) | Body::Call(_), .. }) => Expr::Input,
        _ => Expr::default(),
    };
    Node::new(name, action).with_input(input)
}

fn links(draws: &mut Draws<'_>, taste: Taste, node: &mut Node, before: &Definition) {
    let mut sources: Vec<usize> = Vec::new();
    // What it uses must come first.
    let mut used = vec![&node.input];
    while let Some(expr) = used.pop() {
        match expr {
            Expr::Node(name) => sources.extend(before.nodes.iter().position(|node| node.name == *name)),
            Expr::List(parts) => used.extend(parts),
            Expr::At(of, _) => used.push(of),
            _ => {}
        }
    }
    for _ in 0..draws.below(4) {
        if !before.nodes.is_empty() {
            sources.push(before.nodes.len() - 1 - draws.below(before.nodes.len().min(4)));
        }
    }
    sources.sort_unstable();
    sources.dedup();
    for source in sources {
        let source = &before.nodes[source];
        let name = source.name.clone();
        let link = match (&source.action, draws.below(8)) {
            (_, 2 | 3) if !source.handlers.is_empty() => {
                let handler = &source.handlers[draws.below(source.handlers.len())];
                Link::case(name, handler.name.clone())
            }
            (Action::Choose { cases, otherwise, .. }, 0..=5) => {
                let mut names: Vec<Name> = cases.iter().map(|case| case.name.clone()).collect();
                names.extend(otherwise.clone());
                Link::case(name, names[draws.below(names.len())].clone())
            }
            (_, 4 | 5) if source.save.as_ref().is_some_and(|save| save.alternative.is_some()) => {
                Link::case(name, "instead")
            }
            (_, 6) => Link::failure(name),
            (_, 7) => Link::always(name),
            _ => Link::success(name),
        };
        node.after.push(link);
    }
    let links = u32::try_from(node.after.len()).unwrap();
    let saved = before.nodes.iter().any(|node| node.save.is_some());
    if links > 0 && !saved && taste.races && matches!(node.action, Action::Do(_)) && draws.one_in(6) {
        for link in &mut node.after {
            let source = before.nodes.iter().find(|node| node.name == link.node).unwrap();
            let several = matches!(source.action, Action::Map(_) | Action::Repeat(_))
                || matches!(source.join, Join::Each | Join::Rounds { .. });
            if several && source.guards.postcondition.is_none() && source.retry.is_none() && draws.below(3) > 0 {
                link.on = On::Each;
            }
        }
        let rest = if draws.below(2) == 0 { Remaining::Ignore } else { Remaining::Hold };
        let of = 1 + u32::try_from(draws.below(links as usize)).unwrap();
        node.join = if draws.below(2) == 0 { Join::Each } else { Join::Rounds { required: of, remaining: rest } };
        return;
    }
    node.join = match draws.below(7) {
        6 if links > 0 => {
            for link in &mut node.after {
                if matches!(link.on, On::Failure | On::Always) {
                    link.on = On::Success;
                }
            }
            let calm = [Trigger::AllDone, Trigger::AllFailed, Trigger::NoneFailed, Trigger::NoneSkipped];
            let calm = [&calm[..], &[Trigger::AllSkipped, Trigger::NoneFailedOneSucceeded, Trigger::AllSucceeded]];
            let calm = calm.concat();
            let rules = if taste.races { &Trigger::ALL[..] } else { &calm };
            let rule = rules[draws.below(rules.len())];
            let twice = |a: &Link, b: &Link| a.node == b.node && a.on == b.on;
            let doubles: Vec<Link> = node.after.clone();
            let first = |at: usize, link: &Link| !doubles[..at].iter().any(|other| twice(other, link));
            let mut at = 0;
            node.after.retain(|link| {
                at += 1;
                first(at - 1, link)
            });
            Join::Trigger(rule)
        }
        3 if links > 0 => Join::Any,
        4 | 5 if links > 0 && taste.races => {
            let rest = if draws.below(2) == 0 { Remaining::Ignore } else { Remaining::Cancel };
            Join::Count { required: 1 + u32::try_from(draws.below(links as usize)).unwrap(), remaining: rest }
        }
        _ => Join::All,
    };
}

/// What every run is given.
pub(crate) fn input(draws: &mut Draws<'_>) -> Payload {
    let list: Vec<usize> = (0..draws.below(5)).collect();
    Payload::new(json!({ "k": draws.below(10), "list": list }))
}

/// How an attempt ends: a function of the task and nothing else.
pub(crate) fn answer(seed: u64, task: &TaskSpec, attempt: u32) -> Result<Payload, Failure> {
    let item = task.owner.map_or(0, |owner| owner.item);
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in format!("{} {item} {}", task.kind, task.payload).bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 29;
    let value = Payload::new(json!(hash / 100 % 10));
    match hash % 100 {
        _ if seed == 0 => Ok(value),
        0..68 => Ok(value),
        // A pivot is attempted until its outcome is known.
        71..80 if attempt < 9 => Err(Failure::transient("no").with_code("draw.no").with_details(task.payload.clone())),
        68..80 => Err(Failure::permanent("no").with_code("draw.no").with_details(task.payload.clone())),
        80..88 if attempt == 1 => Err(Failure::transient("not now")),
        88..94 if attempt == 1 => Err(Failure::unknown("who knows")),
        80..94 => Ok(value),
        94..96 if attempt == 1 => Err(Failure::unknown("who knows")),
        94..96 => Err(Failure::permanent("no after all")),
        96..99 if !task.kind.starts_with("undo") && attempt < 5 => Err(Failure::unknown("nobody knows")),
        96..99 => Err(Failure::permanent("enough").with_code("draw.enough")),
        _ if attempt < 9 => Err(Failure::transient("never")),
        _ => Err(Failure::permanent("never")),
    }
}

/// The same workflow by other names, with a node more before all others.
pub(crate) fn moved(old: &Definition, version: u32) -> (Definition, Vec<(Name, Name)>) {
    let rename = |name: &Name| Name::from(format!("{}.{version}", name.split('.').next().unwrap()));
    let mut new = old.clone().with_version(version);
    // The node of the last move leaves.
    new.nodes.retain(|node| !node.name.starts_with("extra"));
    for node in &mut new.nodes {
        node.name = rename(&node.name);
        node.after.iter_mut().for_each(|link| link.node = rename(&link.node));
        node.cancels.iter_mut().for_each(|other| *other = rename(other));
        if let Action::Compensate { of } = &mut node.action {
            of.iter_mut().for_each(|other| *other = rename(other));
        }
        if let Some(milestone) = &mut node.milestone {
            (milestone.after, milestone.until) = (rename(&milestone.after), rename(&milestone.until));
        }
        renamed(&mut node.input, &rename);
    }
    renamed(&mut new.output, &rename);
    new.nodes.insert(0, Node::new(format!("extra.{version}"), Action::Pass));
    (
        new,
        old.nodes
            .iter()
            .filter(|node| !node.name.starts_with("extra"))
            .map(|node| (node.name.clone(), rename(&node.name)))
            .collect(),
    )
}

fn renamed(expr: &mut Expr, rename: &dyn Fn(&Name) -> Name) {
    match expr {
        Expr::Node(name) | Expr::End(name) => *name = rename(name),
        Expr::List(parts) | Expr::First(parts) => parts.iter_mut().for_each(|part| renamed(part, rename)),
        Expr::At(of, _) => renamed(of, rename),
        _ => {}
    }
}

impl World {
    /// How often what a task belongs to has been done anew from a save-point.
    fn times_again(&self, mut owner: Option<Owner>) -> usize {
        let mut again = 0;
        while let Some(Owner { run, node, .. }) = owner {
            let anew = |entry: &&Entry| match &entry.event {
                Event::Run { run: of, event: RunEvent::Restarted { nodes } | RunEvent::Retried { nodes, .. } } => {
                    *of == run && nodes.iter().any(|anew| anew.index == node)
                }
                _ => false,
            };
            again += self.journal.iter().filter(anew).count();
            owner = self.engine.run(run).and_then(|run| run.owner());
        }
        again
    }

    fn answer_by(&mut self, seed: u64, at: usize) {
        let Some((&attempt, (_, task))) = self.held.iter().nth(at) else { return };
        // What is done again from a save-point may end otherwise.
        let again = self.times_again(task.owner);
        let seed_again = if seed == 0 { 0 } else { seed + 1_000 * again as u64 };
        let mut given = answer(seed_again, task, attempt.number().get());
        if let (true, Ok(value)) = (task.kind.starts_with("query"), &mut given) {
            let number = value.value().as_u64().unwrap_or_default();
            *value = Payload::new(match number % 3 {
                0 => json!({ "happened": true, "output": number }),
                1 => json!({ "happened": false }),
                _ => json!(number),
            });
        }
        if self.stopped.contains(&attempt) && given.is_err() && seed.is_multiple_of(3) {
            // The agent says nothing; its time of grace runs out.
            self.held.remove(&attempt);
            return;
        }
        // What was cut off by time or by a loss is refused.
        let _ = self.answer_using(attempt, given, usage(seed, attempt));
    }

    /// Goes on by chance while there are draws, then to the end: everything is answered, signalled and remedied.
    pub(crate) fn play(&mut self, draws: &mut Draws<'_>, seed: u64, run: RunId, rough: bool) {
        for draw in 0.. {
            if draws.is_empty() || self.is_over() && !(rough && draws.one_in(2) && self.reset(draws, 0)) {
                break;
            }
            if self.move_after == Some(draw) {
                self.move_on(0);
            }
            match draws.below(27) {
                0..=14 => self.answer_by(seed, draws.below(self.held.len())),
                15..=17 => self.nudge(),
                18 | 19 => {
                    let signal = ["red", "blue"][draws.below(2)].into();
                    let payload = Payload::new(json!(draws.below(10)));
                    let _ = self.say(RunCommand::Signal { run, signal, payload }.into());
                }
                20 if rough && draws.one_in(2) => {
                    let run = self.engine.runs().nth(draws.below(self.engine.runs().count())).unwrap().id();
                    let variable = ["list", "sum", "max", "last", "told"][draws.below(5)].into();
                    let value = Payload::new(json!(draws.below(10)));
                    let _ = self.say(RunCommand::Update { run, variable, value }.into());
                }
                20 => self.pass(Duration::from_millis(500)),
                23 if draws.below(2) == 0 => self.add_items(run, draws.below(2)),
                23 if draws.below(2) == 0 => self.pause_or_resume(draws.below(self.engine.runs().count())),
                21 if rough && draws.one_in(2) => {
                    let _ = self.say(RunCommand::Cancel { run, reason: "chance".into() }.into());
                }
                22 if rough && draws.one_in(2) => {
                    self.dismiss();
                    self.hire();
                }
                22 => {
                    let names: Vec<Name> = self.engine.run(run).unwrap().nodes().map(|node| node.name()).collect();
                    let node = names[draws.below(names.len())].clone();
                    let reason: Name = "chance".into();
                    let remedy = match draws.below(4) {
                        0 => NodeRemedy::Complete { output: Payload::NULL, reason },
                        1 => NodeRemedy::Complete { output: Payload::new(json!(3)), reason },
                        2 => NodeRemedy::Fail { reason },
                        _ => NodeRemedy::Skip { reason },
                    };
                    let operates = rough && draws.below(2) == 0;
                    let _ = operates.then(|| self.say(RunCommand::Operate { run, node, remedy }.into()));
                }
                25 if rough && draws.below(3) > 0 => {
                    let at = if draws.below(3) > 0 { 0 } else { draws.below(self.engine.runs().count()) };
                    self.reset(draws, at);
                }
                26 if rough => self.redefine(draws),
                24 => self.move_on(draws.below(self.engine.runs().count())),
                _ => self.repair(draws.below(3)),
            }
        }
        self.finish(seed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.engine.runs().all(|run| run.phase() == RunPhase::Finished)
    }

    /// Everything is answered in the order in which it was given out, until the runs are over. When nothing is left to
    /// answer and no moment to come, the runs are asked what they wait for, and get nothing but that.
    pub(crate) fn finish(&mut self, seed: u64) {
        for _ in 0..600 {
            if self.is_over() && self.held.is_empty() {
                return;
            }
            if !self.held.is_empty() {
                self.answer_by(seed, 0);
                continue;
            }
            let (known, waits) = (self.facts_of_runs(), self.waits());
            let stalled = !waits.is_empty() && waits.iter().all(|wait| !wait.on.ends_automatically());
            if self.engine.next_wakeup().is_some() {
                self.sleep();
                assert!(!stalled || known == self.facts_of_runs(), "it moves by itself, and waits for {waits:?}");
            }
            if stalled {
                self.grant(&waits, seed);
                let moved = self.engine.last_seq().get() > 0 && known != self.facts_of_runs();
                assert!(moved, "{waits:?} does not help\n{}", super::tell(&self.journal));
            }
        }
        let stuck: Vec<_> = self.engine.runs().map(|run| (run.id(), run.phase(), run.waits_for())).collect();
        panic!("stuck: {stuck:?}, asleep until {:?}\n{}", self.engine.next_wakeup(), super::tell(&self.journal));
    }

    fn facts_of_runs(&self) -> usize {
        self.journal.iter().filter(|entry| !matches!(entry.event, Event::Control(_) | Event::Agent { .. })).count()
    }

    /// What all runs wait for that no other run owns.
    fn waits(&self) -> Vec<Wait> {
        let roots = self.engine.runs().filter(|run| run.owner().is_none());
        roots.flat_map(|run| run.waits()).collect()
    }

    /// Gives runs what they say that they wait for.
    fn grant(&mut self, waits: &[Wait], seed: u64) {
        for Wait { run, node, on, .. } in waits.iter().cloned() {
            let node = node.unwrap_or_else(|| "the run".into());
            let command = match on {
                Awaited::Signal { signal } => {
                    // Of several any will do, and the oldest is as good as any.
                    RunCommand::Signal { run, signal, payload: Payload::new(json!(seed % 10)) }
                }
                Awaited::Items => RunCommand::Close { run, node },
                Awaited::Resume { run, .. } => RunCommand::Resume { run },
                Awaited::Remedy => {
                    // What a run within has left cannot be tried again: another word then.
                    let known = self.facts_of_runs();
                    (0..3).for_each(|_| {
                        if known == self.facts_of_runs() {
                            self.repair(0);
                        }
                    });
                    continue;
                }
                Awaited::Resolution { .. } => {
                    self.speak_of(run, node, seed);
                    continue;
                }
                Awaited::Turn { .. } | Awaited::Milestone { .. } | Awaited::Variables { .. } => continue,
                other => panic!("it cannot wait for {other}"),
            };
            // What one run was given may have ended another.
            let _ = self.say(command.into());
        }
    }

    /// A run says that it is stalled exactly when nothing of it is under way and no moment will come for it; and whatever
    /// it does, it waits for something.
    pub(crate) fn check_standing(&self) {
        let roots: Vec<_> = self.engine.runs().filter(|run| run.owner().is_none()).collect();
        for run in &roots {
            let waits = run.waits();
            let owed = self.engine.next_wakeup().is_some_and(|at| at <= self.now);
            assert!(run.phase() == RunPhase::Finished || owed || !waits.is_empty(), "{run:?} waits for nothing");
            let quiet = self.engine.outstanding().is_empty() && self.engine.next_wakeup().is_none();
            match run.standing() {
                RunStanding::Finished => assert_eq!(run.phase(), RunPhase::Finished),
                RunStanding::Going => assert!(!quiet, "{run:?} goes on with nothing: {waits:?}"),
                RunStanding::Stalled => {
                    let mine = |task: &TaskSpec| task.owner.is_some_and(|owner| self.root(owner.run) == run.id());
                    let busy = self.engine.outstanding().into_iter().any(|effect| match effect {
                        Effect::Dispatch { task, .. } => mine(&task),
                        _ => false,
                    });
                    assert!(!busy, "{run:?} is stalled, and agents work for it: {waits:?}");
                }
                other => panic!("an unknown standing: {other}"),
            }
        }
    }

    fn root(&self, mut run: RunId) -> RunId {
        while let Some(owner) = self.engine.run(run).and_then(|run| run.owner()) {
            run = owner.run;
        }
        run
    }

    /// Moves a run to a definition that means the same, by other names and with a node more before all others.
    pub(crate) fn move_on(&mut self, at: usize) {
        let Some(view) = self.engine.runs().nth(at) else { return };
        let (run, running, within) = (view.id(), view.phase() == RunPhase::Running, view.owner().is_some());
        let version = view.definition().version + 1;
        let (definition, nodes) = moved(view.definition(), version);
        let migration = if within || at % 2 == 1 {
            Migration::to_own(definition)
        } else {
            let _ = self.say(Command::define(definition));
            Migration::to_version(version)
        };
        let migration = nodes.into_iter().fold(migration, |migration, (old, new)| migration.with_renamed(old, new));
        let verdict = self.say(RunCommand::Migrate { run, migration, reason: "chance".into() }.into());
        // On its way back it cannot, nor while the node of the last move waits to end as an operator has said.
        let stands_in_the_way = |obstacle: &Obstacle| match obstacle {
            Obstacle::RollingBack => true,
            Obstacle::Removed { node } => node.starts_with("extra"),
            _ => false,
        };
        let refused = match &verdict {
            // What goes back stands in the way whatever else does.
            Err(Rejected::State(WrongState::NotMigratable { obstacles, .. })) => {
                obstacles.contains(&Obstacle::RollingBack) || obstacles.iter().all(stands_in_the_way)
            }
            _ => false,
        };
        assert!(!running || verdict.is_ok() || refused, "{verdict:?}");
    }

    fn pause_or_resume(&mut self, at: usize) {
        let run = self.engine.runs().nth(at).map_or(RUN, |run| run.id());
        if let Ok(Accepted::Repeated) = self.say(RunCommand::Pause { run, reason: "chance".into() }.into()) {
            let _ = self.say(RunCommand::Resume { run }.into());
        }
    }

    /// An operator says what becomes of a node that has failed and is held.
    fn speak_of(&mut self, run: RunId, node: Name, seed: u64) {
        let (said, reason) = (self.remedies as u64 + seed, Name::from("chance"));
        // The word on another may have ended the run.
        if self.engine.run(run).is_none_or(|run| run.phase() != RunPhase::Running) {
            return;
        }
        self.remedies += 1;
        let end = |remedy| RunCommand::Operate { run, node: node.clone(), remedy };
        // What fails however often it is tried is not tried for ever.
        if said % 4 < 3 && self.remedies < 12 {
            let again =
                RunCommand::Retry { run, node: Some(node.clone()).filter(|_| said % 4 == 0), reason: reason.clone() };
            match self.say(again.into()) {
                // The word on another may have been one on this, too.
                Ok(Accepted::Done)
                | Err(
                    Rejected::State(WrongState::RunPhase { .. })
                    | Rejected::State(WrongState::NotRetriable { node: None, .. }),
                ) => {
                    return;
                }
                // What it did would have to be undone first.
                Err(Rejected::State(WrongState::NotRetriable { node: Some(_), .. })) => {}
                other => panic!("{other:?}"),
            }
            let to = ResetPoint::before([node.clone()]);
            let reset = RunCommand::Reset { run, to, undo: true, reason: reason.clone() };
            if self.say(reset.into()) == Ok(Accepted::Done) {
                return;
            }
        }
        let remedy = match said % 3 {
            0 => NodeRemedy::Complete { output: Payload::NULL, reason: reason.clone() },
            1 => NodeRemedy::Skip { reason: reason.clone() },
            _ => NodeRemedy::Fail { reason: reason.clone() },
        };
        // A node whose failure is held after its end cannot be completed.
        if self.say(end(remedy).into()).is_err() {
            let _ = self.say(end(NodeRemedy::Skip { reason }).into());
        }
    }

    /// An operator sets a run back, to where chance wants it. Whether it could be.
    fn reset(&mut self, draws: &mut Draws<'_>, at: usize) -> bool {
        let Some(view) = self.engine.runs().nth(at) else { return false };
        let (run, names) = (view.id(), view.nodes().map(|node| node.name()).collect::<Vec<Name>>());
        let some = |draws: &mut Draws<'_>| names[draws.below(names.len())].clone();
        let to = match draws.below(5) {
            0 => ResetPoint::Start,
            1 => ResetPoint::after([some(draws), some(draws)]),
            2 | 3 => ResetPoint::after([some(draws)]),
            _ => ResetPoint::before([some(draws)]),
        };
        let undo = draws.below(3) > 0;
        let command = RunCommand::Reset { run, to, undo, reason: "chance".into() };
        let verdict = self.say(command.clone().into());
        let goes_back = self.engine.run(run).is_some_and(|run| run.phase() == RunPhase::Running);
        if verdict == Ok(Accepted::Done) && goes_back && draws.below(2) == 0 {
            // Until it goes forward again, the same changes nothing; then it is another word.
            let again = self.say(command.into());
            let known = matches!(
                again,
                Ok(_)
                    | Err(Rejected::State(WrongState::NotResettable { .. })
                        | Rejected::State(WrongState::RunPhase { .. }))
            );
            assert!(known, "{again:?}");
        }
        verdict == Ok(Accepted::Done)
    }

    /// More items for whatever map takes them.
    fn add_items(&mut self, run: RunId, count: usize) {
        let names: Vec<Name> = self.engine.run(run).unwrap().nodes().map(|node| node.name()).collect();
        for node in names {
            let items = (0..=count).map(|item| Payload::new(json!(item))).collect();
            let _ = self.say(RunCommand::Add { run, node, items }.into());
        }
    }

    fn nudge(&mut self) {
        if self.engine.next_wakeup().is_some() {
            self.sleep();
        } else {
            self.say(Command::Tick).unwrap();
        }
    }

    /// An operator says something about every compensation that failed.
    fn repair(&mut self, how: usize) {
        let mut failed: Vec<(RunId, Name)> = Vec::new();
        for run in self.engine.runs().filter(|run| run.phase() != RunPhase::Finished) {
            let nodes = run.nodes().filter(|node| node.status() == NodeStatus::CompensationFailed);
            failed.extend(nodes.map(|node| (run.id(), node.name())));
        }
        for (run, node) in failed {
            let remedy = match (how + self.remedies) % 3 {
                0 => CompensationRemedy::Retry,
                1 => CompensationRemedy::Declare { reason: "looked".into() },
                _ => CompensationRemedy::Abandon { reason: "too late".into() },
            };
            self.remedies += 1;
            let _ = self.remedy(run, &node, remedy);
        }
    }
}
