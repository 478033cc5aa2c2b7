//! The workflows of a storm: one for each class of failures.

use super::draw::MISSPELT;
use crate::base::name::Name;
use crate::definition::{
    Action, Body, Budget, Call, Case, Completion, Condition, Decision, Definition, Delegate, DurableFunction, Expr,
    Fail, FunctionCall, Handler, Link, Map, Node, Occurrence, OnCompensationFailure, OnFailure, Pick, Precondition,
    RaceOption, Receivers, Reducer, Repeat, SavePoint, SendSignal, SignalRule, State, States, Variable, WaitFor, Work,
};
use crate::message::run::CallPoint;
use crate::task::{FailureKind, Failures, Policy, Retry, RetryRule};
use core::time::Duration;
use serde_json::json;

pub(super) const NAMES: [&str; 15] = [
    "order", "harvest", "review", "rounds", "tally", "stock", "bids", "approval", "saga", "split", "caller", "trip",
    "desk", "crop", "code",
];

/// A workflow with a task that no agent can perform.
pub(super) const SPELLING: &str = "spelling";

/// The signal that a review waits for.
pub(super) const GO: &str = "go";
/// The variable that takes updates, and its reducer.
pub(super) const VOTES: &str = "votes";
pub(super) const ADD: &str = "add";

/// The most attempts that the bound on the time of a case allows for.
const MOST: u32 = 8;

fn policy(attempts: u32) -> Policy {
    let retry = Retry::exponential(attempts, Duration::from_millis(500), Duration::from_secs(10));
    Policy::default().with_retry(retry).with_attempt_timeout(Duration::from_secs(30))
}

fn work(kind: &str) -> Work {
    Work::new(kind).with_policy(policy(3))
}

fn task(name: &str, kind: &str) -> Node {
    Node::new(name, Action::Do(Body::Task(work(kind)))).with_input(Expr::Input)
}

fn undoable(name: &str, kind: &str) -> Node {
    task(name, kind).with_undo(Work::new("k2").with_policy(policy(8)))
}

pub(super) fn all() -> Vec<Definition> {
    vec![
        order(),
        harvest(),
        review(),
        rounds(),
        tally(),
        stock("old"),
        bids(),
        approval(),
        saga(),
        split(),
        caller(),
        trip(),
        desk(),
        crop(),
        code(),
        notice(),
    ]
}

/// The same definition with other timeouts and numbers of attempts: it may take the place of the first one.
pub(super) fn tuned(flow: &Definition, attempts: u32) -> Definition {
    let mut flow = flow.clone();
    let tune = |work: &mut Work| {
        let timeout = Duration::from_secs(20 + u64::from(attempts));
        work.policy = policy(attempts).with_attempt_timeout(timeout);
        if attempts > MOST {
            // A task whose attempts all fail must end, too.
            work.policy = work.policy.clone().with_total_timeout(Duration::from_secs(120));
        }
    };
    for node in &mut flow.nodes {
        if let Action::Do(Body::Task(work)) | Action::Map(Map { body: Body::Task(work), .. }) = &mut node.action {
            tune(work);
        } else if let Action::Do(Body::Flow(inner)) = &mut node.action {
            *inner = tuned(inner, attempts).into();
        }
        if node.retry.is_some() {
            node.retry = Some(run_retry(attempts.min(MOST)));
        }
    }
    flow
}

/// The next version of a definition, which has another list or one more node.
pub(super) fn next(flow: &Definition) -> Definition {
    if flow.name == "stock" {
        return stock("new").with_version(1);
    }
    let flow = flow.clone();
    let version = flow.version.saturating_add(1);
    flow.with_version(version).with_node(Node::new("extra", Action::Pass))
}

/// A saga with a pivot, and a step after it that may fail.
fn order() -> Definition {
    Definition::new("order")
        .with_node(undoable("reserve", "k0"))
        .with_node(undoable("charge", "k1"))
        .with_node(undoable("pack", "k0").with_link(Link::success("reserve")))
        .with_node(task("ship", "k1").with_link(Link::success("pack")).with_link(Link::success("charge")).as_pivot())
        .with_node(task("tell", "k2").with_link(Link::success("ship")))
        .with_node(Node::new("end", Action::Pass).with_link(Link::always("tell")))
        .with_output(Expr::node("ship"))
}

/// A map whose items are compensated one by one, and a check that may fail the run.
fn harvest() -> Definition {
    let items = Map::over(Expr::Input.at("/items"), Body::Task(work("k0"))).max_concurrent(2).tolerate(1);
    Definition::new("harvest")
        .with_node(Node::new("each", Action::Map(items)).with_undo(Work::new("k2").with_policy(policy(8))))
        .with_node(undoable("sum", "k1").with_link(Link::success("each")))
        .with_node(Node::new("rest", pause(5)).with_link(Link::success("sum")))
        .with_node(task("check", "k2").with_link(Link::success("rest")))
        .with_output(Expr::node("sum"))
}

/// Retries of a child run, with a rule of its own for failures whose agent is overloaded.
fn run_retry(attempts: u32) -> Retry {
    let rule = RetryRule::on(FailureKind::Overloaded, 2).with_backoff(Duration::ZERO, 2_000, Duration::from_secs(5));
    Retry::exponential(attempts, Duration::from_secs(1), Duration::from_secs(20)).with_rule(rule)
}

/// A race between a signal and a time, and a nested workflow that can be compensated as a whole.
fn review() -> Definition {
    let within = Definition::new("within")
        .with_node(undoable("draft", "k1"))
        .with_node(undoable("edit", "k0").with_link(Link::success("draft")));
    let offers = vec![
        RaceOption::new(GO, WaitFor::signal(GO)),
        RaceOption::new("late", WaitFor::After(Duration::from_secs(40))),
    ];
    Definition::new("review")
        .with_node(Node::new("write", Action::flow(within)).with_input(Expr::Input).with_retry(run_retry(3)))
        .with_node(Node::new("ask", Action::Race { options: offers }).with_link(Link::success("write")))
        .with_node(task("publish", "k2").with_link(Link::case("ask", GO)))
        .with_node(task("drop", "k1").with_link(Link::case("ask", "late")))
        .with_signal(SignalRule::new(GO).max_kept(4))
}

/// A loop of at most three rounds, then a choice.
fn rounds() -> Definition {
    let again = Repeat::until(Body::Task(work("k1")), Condition::equal(Expr::Item.at("/did"), Expr::value("k2")), 3);
    let cases = vec![Case::new("done", Condition::Exists(Expr::Item))];
    let choose = Action::Choose { pick: Pick::First, cases, otherwise: Some(Name::from("none")) };
    Definition::new("rounds")
        .with_node(Node::new("again", Action::Repeat(again)).with_input(Expr::Input))
        .with_node(Node::new("which", choose).with_link(Link::always("again")).with_input(Expr::node("again")))
        .with_node(task("one", "k0").with_link(Link::case("which", "done")))
        .with_node(task("other", "k2").with_link(Link::case("which", "none")))
}

const fn pause(seconds: u64) -> Action {
    Action::Wait { signal: None, timer: Some(Duration::from_secs(seconds)) }
}

/// A variable that clients update, combined by a reducer of the host. The budget has attempts for one node at a time, so
/// `read` waits with the value that was combined for it.
fn tally() -> Definition {
    Definition::new("tally")
        .with_variable(Variable::new(VOTES, Reducer::Custom(ADD.into())).with_initial(0).with_updates(Condition::True))
        .with_node(task("hold", "k0"))
        .with_node(task("read", "k1").with_input(Expr::variable(VOTES)))
        .with_node(Node::new("rest", pause(20)).with_link(Link::always("read")))
        .with_node(task("again", "k2").with_input(Expr::variable(VOTES)).with_link(Link::success("rest")))
        .with_budget(Budget::default().with_attempts(3))
        .with_output(Expr::variable(VOTES))
}

/// A map over a variable that another version declares with another list.
pub(super) fn stock(age: &str) -> Definition {
    let items: Vec<String> = (0..5).map(|item| format!("{age} {item}")).collect();
    let each = Map::over(Expr::variable("items"), Body::Task(work("k0"))).max_concurrent(1).tolerate(5);
    Definition::new("stock")
        .with_variable(Variable::new("items", Reducer::Replace).with_initial(json!(items)))
        .with_node(Node::new("each", Action::Map(each)).with_input(Expr::Item))
        .with_node(task("count", "k1").with_link(Link::success("each")))
}

/// A map that takes items until it is closed, and ends early when enough of them are done.
fn bids() -> Definition {
    let each = Map::over(Expr::Input.at("/items"), Body::Task(work("k1"))).open().tolerate(9).max_concurrent(3);
    let each = each.with_completion(Completion::after(3).cancel_rest());
    Definition::new("bids")
        .with_node(Node::new("each", Action::Map(each)).with_undo(Work::new("k2").with_policy(policy(8))))
        .with_node(task("choose", "k0").with_link(Link::success("each")).with_handler(Handler::timeout("slow", LONG)))
        .with_node(task("sorry", "k1").with_link(Link::case("choose", "slow")))
}

/// Two persons decide, one after the other; a failure waits for an operator.
fn approval() -> Definition {
    let option = |name: &str, decision: Decision| RaceOption::new(name, WaitFor::from(decision));
    let first = Decision::by("clerk", ["grant", "deny"]).escalated(Duration::from_secs(20), "chief");
    let second = Decision::by("clerk", ["grant", "deny"]).escalated(LONG, "chief").not_by_decider_of("first");
    Definition::new("approval")
        .with_node(task("draft", "k0"))
        .with_node(
            Node::new("first", Action::Race { options: vec![option("decided", first)] })
                .with_link(Link::success("draft")),
        )
        .with_node(
            Node::new("second", Action::Race { options: vec![option("decided", second)] })
                .with_link(Link::case("first", "grant")),
        )
        .with_node(task("pay", "k1").with_link(Link::case("second", "grant")))
        .with_on_failure(OnFailure::Hold)
}

/// The first failed compensation stops the others. Some outcomes can be queried.
fn saga() -> Definition {
    Definition::new("saga")
        .with_node(undoable("one", "k0"))
        .with_node(undoable("two", "k1"))
        .with_node(undoable("three", "k0").with_link(Link::success("one")))
        .with_node(undoable("four", "k1").with_query(work("k2")).with_link(Link::success("two")))
        .with_node(Node::new("rest", pause(3)).with_link(Link::success("three")).with_link(Link::success("four")))
        .with_node(
            Node::new(
                "fails",
                Action::Fail(Fail::new("as planned").with_code("storm.planned").with_details(Expr::Input)),
            )
            .with_link(Link::success("rest")),
        )
        .with_on_compensation_failure(OnCompensationFailure::Stop)
}

/// Work that its agents split into parts.
fn split() -> Definition {
    let delegate = Delegate::new(work("k1")).to_depth(2).with_fan_out(2).with_max_parts(6).tolerate(4);
    Definition::new("split")
        .with_node(Node::new("parts", Action::Delegate(delegate)).with_input(Expr::value(json!({ "parts": 2 }))))
        .with_node(task("sum", "k0").with_link(Link::success("parts")))
}

/// Calls of other workflows, one for each item.
fn caller() -> Definition {
    let call = || Body::Call(Call::of("rounds").to_depth(3));
    let each = Map::over(Expr::Input.at("/items"), call()).max_concurrent(2).tolerate(3);
    Definition::new("caller")
        .with_on_failure(OnFailure::Finish)
        .with_node(Node::new("once", Action::Do(call())).with_input(Expr::Input))
        .with_node(Node::new("each", Action::Map(each)).with_link(Link::always("once")))
        .with_node(task("end", "k0").with_link(Link::always("each")))
}

/// Save-points: a failure rolls back to the last one, and takes another way when that does not help.
fn trip() -> Definition {
    Definition::new("trip")
        .with_node(undoable("book", "k0").as_save_point(SavePoint::retries(1)))
        .with_node(undoable("fly", "k1").with_link(Link::success("book")))
        .with_node(undoable("sleep", "k0").with_link(Link::success("fly")))
        .with_node(
            task("dine", "k2")
                .with_link(Link::success("book"))
                .with_handler(Handler::error("sick", Failures::code("storm.imp*").and_code("storm.perhaps"))),
        )
        .with_node(task("cure", "k1").with_link(Link::case("dine", "sick")))
}

/// Settings of a task from data: a variable that clients update, and constants.
fn overrides() -> Expr {
    let is_many = Condition::less(Expr::value(50), Expr::variable(VOTES));
    let tier = Expr::If(Box::new((is_many, Expr::value("high"), Expr::value("low"))));
    Expr::object([("tier", tier), ("attempts", Expr::value(2)), ("total_timeout", Expr::value("90s"))])
}

/// Nodes that exclude each other, a precondition, settings of a task from data, and a signal at the boundary of a node.
fn desk() -> Definition {
    let wide = Condition::less(Expr::variable(VOTES), Expr::value(150));
    Definition::new("desk")
        .with_variable(Variable::new(VOTES, Reducer::Sum).with_initial(0).with_updates(Condition::True))
        .with_node(task("left", "k0").with_mutex("desk").with_handler(Handler::signal("called", GO)))
        .with_node(Node::new("right", Action::Do(Body::Task(work("k1").overridden_by(overrides())))).with_mutex("desk"))
        .with_node(task("aside", "k2").with_link(Link::case("left", "called")))
        .with_node(
            task("more", "k0").with_link(Link::success("right")).with_precondition(Precondition::new(wide).or_skip()),
        )
        .with_output(Expr::variable(VOTES))
}

/// States with steps that are compensated one by one.
fn crop() -> Definition {
    let undo = || Work::new("k2").with_policy(policy(8));
    let states = States::from("sow", 6)
        .with(State::new("sow").doing(work("k0")).with_undo(undo()).then("grow"))
        .with(
            State::new("grow")
                .doing(work("k1"))
                .with_undo(undo())
                .on_failures(Failures::code("storm.impossible"), "reap")
                .on_failure("sow")
                .then("reap"),
        )
        .with(State::new("reap").doing(work("k2")));
    Definition::new("crop")
        .with_node(Node::new("states", Action::States(states)).with_input(Expr::Input))
        .with_node(task("sell", "k1").with_link(Link::success("states")))
}

/// Signals that nodes send: to all runs of another workflow, and to the parent run, where a handler ends the node.
fn notice() -> Definition {
    let send =
        |name: &str, to: Receivers| Node::new(name, Action::Send(SendSignal::new(GO, to))).with_input(Expr::Input);
    let inner = Definition::new("raise")
        .with_node(send("raise", Receivers::Parent))
        .with_node(undoable("work", "k0").with_link(Link::success("raise")));
    Definition::new("notice")
        .with_node(send("tell", Receivers::All { workflow: "review".into() }))
        .with_node(
            Node::new("inner", Action::flow(inner))
                .with_input(Expr::Input)
                .with_link(Link::success("tell"))
                .with_handler(Handler::signal("raised", GO)),
        )
        .with_node(task("after", "k1").with_link(Link::case("inner", "raised")))
}

/// A durable function. The outside system answers its turns.
fn code() -> Definition {
    let function = DurableFunction::new(work("k1")).with_max_calls(20).with_max_calls_per_turn(4);
    Definition::new("code")
        .with_node(Node::new("function", Action::Function(function)).with_input(Expr::Input))
        .with_node(task("after", "k0").with_link(Link::success("function")))
}

/// The calls of the function: two tasks that can be compensated, one that cannot, and a save-point that takes a while.
pub(super) fn calls() -> [FunctionCall; 4] {
    let undo = || Work::new("k2").with_policy(policy(8));
    let task = |key: &str, kind: &str| FunctionCall::new(key, Body::Task(work(kind))).with_input(key);
    let rest = Definition::new("rest").with_node(Node::new("rest", pause(3)));
    let mut saved = FunctionCall::new("rest", Body::Flow(rest.into()));
    saved.save = Some(1);
    [
        task("reserve", "k0").with_undo(undo()),
        task("look", "k1").with_occurrence(Occurrence::Keyed("left".into())),
        saved,
        task("ship", "k1").with_undo(undo()),
    ]
}

/// One of the calls of a function.
pub(super) fn call_of(node: Name, which: usize) -> CallPoint {
    let calls = calls();
    let at = which % calls.len();
    let [reserve, ..] = &calls;
    let call = calls.get(at).unwrap_or(reserve);
    CallPoint { node, key: call.key.clone(), occurrence: call.occurrence.clone() }
}

/// A misspelt kind, which a handler replaces once it is clear that no agent performs it.
pub(super) fn spelling() -> Definition {
    let policy = policy(2).with_total_timeout(Duration::from_secs(60));
    let typo = Node::new("typo", Action::Do(Body::Task(Work::new(MISSPELT).with_policy(policy))));
    let nobody = Failures::code("cp.unroutable").and_code("cp.timeout.total");
    Definition::new(SPELLING)
        .with_node(undoable("before", "k0"))
        .with_node(typo.with_link(Link::success("before")).with_handler(Handler::error("nobody", nobody)))
        .with_node(task("right", "k1").with_link(Link::case("typo", "nobody")))
}

const LONG: Duration = Duration::from_secs(40);
