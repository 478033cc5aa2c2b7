//! Tasks that end with an answer to a token: the request is a task, and the answer a signal to the run that waits for it.

use crate::base::id::RunId;
use crate::definition::{Action, Case, Condition, Definition, Expr, Fail, Link, Node, Pick, RaceOption, WaitFor, Work};
use crate::task::FailureKind;
use core::time::Duration;

/// The nodes of the workflow.
const REQUEST: &str = "request";
const ANSWER: &str = "answer";
const KIND: &str = "kind";
const FAILED: &str = "failed";
const LATE: &str = "late";
const SILENT: &str = "silent";

/// The name of the signal.
const SIGNAL: &str = "callback";

/// The run that waits for the answer to a token: the run to which the signal `callback` is sent. None if it is not the token of a
/// request.
///
/// ```
/// use counterpoint::interop::asl::run_of_token;
///
/// assert_eq!(run_of_token("r_3").expect("the id of a child run").to_string(), "r_3");
/// assert_eq!(run_of_token("order 3"), None);
/// ```
#[must_use]
pub fn run_of_token(token: &str) -> Option<RunId> {
    let (first, second) = match token.strip_prefix("r_")?.split_once('_') {
        Some((partition, serial)) => (partition, serial),
        None => ("0", token.strip_prefix("r_")?),
    };
    let run = RunId::engine_made(first.parse().ok()?, second.parse().ok()?);
    Some(run).filter(|run| run.to_string() == token)
}

/// A workflow that requests work and waits for its answer: `{output}`, or `{error, cause}`.
pub(super) fn callback(
    name: &str,
    work: Work,
    request: Expr,
    timeout: Option<Duration>,
    heartbeat: Option<Duration>,
) -> Definition {
    let mut options = vec![RaceOption::new(SIGNAL, WaitFor::signal(SIGNAL))];
    let late = [(LATE, timeout, "States.Timeout"), (SILENT, heartbeat, "States.HeartbeatTimeout")];
    let late = late.into_iter().filter_map(|(name, span, code)| Some((name, span?, code)));
    let late: Vec<(&str, Duration, &str)> = late.collect();
    options.extend(late.iter().map(|(name, span, _)| RaceOption::new(*name, WaitFor::After(*span))));
    let fails = vec![Case::new(FAILED, Condition::Exists(Expr::Item.at("/error")))];
    let choose = Action::Choose { pick: Pick::First, cases: fails, otherwise: Some(SIGNAL.into()) };
    let failure = Fail::new(Expr::First(vec![Expr::Item.at("/cause"), Expr::value("")]))
        .with_code_of(Expr::Item.at("/error"))
        .with_kind(FailureKind::Transient);
    let mut flow = Definition::new(name)
        .with_node(Node::new(REQUEST, Action::Do(crate::definition::Body::Task(work))).with_input(request))
        .with_node(Node::new(ANSWER, Action::Race { options }).with_link(Link::success(REQUEST)))
        .with_node(Node::new(KIND, choose).with_link(Link::case(ANSWER, SIGNAL)).with_input(Expr::node(ANSWER)))
        .with_node(
            Node::new(FAILED, Action::Fail(failure)).with_link(Link::case(KIND, FAILED)).with_input(Expr::node(ANSWER)),
        )
        .with_output(Expr::node(ANSWER).at("/output"));
    for (name, _, code) in late {
        let fail = Fail::new("no answer in time").with_code(code).with_kind(FailureKind::Transient);
        flow = flow.with_node(Node::new(name, Action::Fail(fail)).with_link(Link::case(ANSWER, name)));
    }
    flow
}

/// The work, the request and the timeouts of such a workflow; none if it is another one.
pub(super) fn parts(flow: &Definition) -> Option<(&Work, &Expr, Option<Duration>, Option<Duration>)> {
    let request = flow.node(REQUEST)?;
    let Action::Do(crate::definition::Body::Task(work)) = &request.action else { return None };
    let Action::Race { options } = &flow.node(ANSWER)?.action else { return None };
    let after = |name: &str| {
        let option = options.iter().find(|option| option.name == name)?;
        if let WaitFor::After(span) = &option.on { Some(*span) } else { None }
    };
    Some((work, &request.input, after(LATE), after(SILENT)))
}
