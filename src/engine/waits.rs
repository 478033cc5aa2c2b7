//! The waits of a run, and whether they end automatically.

use super::runs::Runs;
use crate::base::id::{NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::run::RunPhase;
use crate::scheduler::Reader;
use crate::scheduler::TaskWait;
use crate::workflow::machine::{Need, Run, Worker};
use core::fmt;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

/// Whether a run and its child runs go on automatically.
///
/// A run is *going* while it has a move left for the next call, an agent holds a task of it or will get one when
/// another attempt ends, or a timer of it is set: the end of a wait, a handler's timeout, the next attempt, a time
/// limit of a waiting task. Otherwise it is *stalled*: it does not advance until a decision is made, a signal is sent,
/// an agent registers, or an operator resumes something. [`RunView::waits`](crate::engine::RunView::waits) lists what
/// it waits for. A run that waits only for a decision is therefore stalled, too: whether that is a problem depends on
/// its waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStanding {
    /// An agent, a timer or the next call advances it.
    Going,
    /// Nothing advances it automatically.
    Stalled,
    /// It has ended.
    Finished,
}

impl fmt::Display for RunStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Going => "going",
            Self::Stalled => "stalled",
            Self::Finished => "finished",
        })
    }
}

/// A wait of a run.
///
/// ```
/// use counterpoint::definition::{Action, Definition, Node};
/// use counterpoint::{Command, Config, Engine, Outbox, RunId, RunSpec, Time};
/// use counterpoint::engine::{Awaited, RunStanding};
///
/// let gate = Action::Wait { signal: Some("go".into()), timer: None };
/// let flow = Definition::new("patient").with_node(Node::new("gate", gate));
/// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
/// engine.handle(Time::ZERO, Command::define(flow), &mut out)?;
/// engine.handle(Time::ZERO, Command::start(RunSpec::new(RunId::new(1), "patient")), &mut out)?;
///
/// let run = engine.run(RunId::new(1)).expect("it was started");
/// assert_eq!(run.standing(), RunStanding::Stalled);
/// assert_eq!(run.waits()[0].on, Awaited::Signal { signal: "go".into() });
/// assert_eq!(run.waits()[0].to_string(), "r1 gate: signal go");
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Wait {
    /// The run, or one of its descendants.
    pub run: RunId,
    /// The node; none if the whole run waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
    /// What is awaited. A node with several waits goes on with the first one that ends.
    pub on: Awaited,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{} {node}: {}", self.run, self.on),
            None => write!(f, "{}: {}", self.run, self.on),
        }
    }
}

/// What a run can wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Awaited {
    /// The end of a task.
    Task {
        /// The task.
        task: TaskId,
        /// Its kind.
        kind: Name,
        /// What the task waits for.
        on: TaskWait,
        /// The latest time at which a time limit ends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A signal.
    Signal {
        /// Its name.
        signal: Name,
    },
    /// A change of a variable after which a condition can hold.
    Variables {
        /// The variables that the condition reads.
        names: Vec<Name>,
    },
    /// The decision of a person.
    Decision {
        /// The roles that may decide, unless the decision was delegated to a person.
        roles: Vec<Name>,
        /// The person to whom the decision was delegated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Name>,
    },
    /// A time.
    Time {
        /// When.
        at: Time,
    },
    /// More items for an open map, or the command that closes it.
    Items,
    /// The end of a node with which this one is mutually exclusive.
    Turn {
        /// That node.
        after: Name,
    },
    /// The success of a node after which this one may start.
    Milestone {
        /// That node.
        after: Name,
    },
    /// An operator's command on a failed compensation.
    Remedy,
    /// An operator's command on a held failure ([`OnFailure::Hold`](crate::definition::OnFailure::Hold)): retry,
    /// complete, skip or fail.
    Resolution {
        /// The message of the failure.
        failure: String,
    },
    /// A function of the host that the definition names and that cannot be called: it is not registered, or has panicked.
    Function {
        /// Its name.
        name: Name,
    },
    /// The end of a pause of the run or of an ancestor.
    Resume {
        /// The paused run.
        run: RunId,
        /// The reason of the pause.
        reason: Name,
    },
}

impl Awaited {
    /// Whether the wait ends automatically. Turns and milestones do not: they end with another node, which has waits of
    /// its own.
    #[must_use]
    pub const fn ends_automatically(&self) -> bool {
        match self {
            Self::Time { .. } => true,
            Self::Task { on, until, .. } => until.is_some() || on.ends_automatically(),
            Self::Signal { .. }
            | Self::Variables { .. }
            | Self::Decision { .. }
            | Self::Items
            | Self::Turn { .. }
            | Self::Milestone { .. }
            | Self::Remedy
            | Self::Resolution { .. }
            | Self::Function { .. }
            | Self::Resume { .. } => false,
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task { task, kind, on: TaskWait::Agent { by, name: Some(name), .. }, .. } => {
                write!(f, "task {kind} ({task}) at agent {name} ({by})")
            }
            Self::Task { task, kind, on: TaskWait::Agent { by, .. }, .. } => {
                write!(f, "task {kind} ({task}) at agent {by}")
            }
            Self::Task { task, kind, on, until: None } => write!(f, "task {kind} ({task}: {on})"),
            Self::Task { task, kind, on, until: Some(at) } => write!(f, "task {kind} ({task}: {on}; until {at})"),
            Self::Signal { signal } => write!(f, "signal {signal}"),
            Self::Variables { names } => {
                let names: Vec<&str> = names.iter().map(Name::as_str).collect();
                write!(f, "a condition on {}", names.join(", "))
            }
            Self::Decision { to: Some(to), .. } => write!(f, "decision by {to}"),
            Self::Decision { roles, to: None } => {
                let roles: Vec<&str> = roles.iter().map(Name::as_str).collect();
                write!(f, "decision by {}", roles.join(" or "))
            }
            Self::Time { at } => write!(f, "{at}"),
            Self::Items => f.write_str("more items or the end of the list"),
            Self::Turn { after } => write!(f, "the end of node {after}"),
            Self::Milestone { after } => write!(f, "the success of node {after}"),
            Self::Remedy => f.write_str("an operator's command on the failed compensation"),
            Self::Resolution { failure } => write!(f, "an operator's command on the held failure ({failure})"),
            Self::Function { name } => write!(f, "function `{name}`, which is not registered or has panicked"),
            Self::Resume { run, reason } => write!(f, "{run} is paused: {reason}"),
        }
    }
}

/// Derives the waits of runs from the state: nothing of them is stored.
#[derive(Clone, Copy)]
pub(super) struct Waits<'a> {
    pub(super) reader: &'a Reader,
    pub(super) runs: &'a Runs,
    pub(super) now: Time,
}

impl Waits<'_> {
    /// Whether a run goes on automatically.
    pub(super) fn standing(self, run: &Run) -> RunStanding {
        if run.is_finished() {
            return RunStanding::Finished;
        }
        let going = self.each_wait(run.id(), &mut |wait| match wait {
            Some(wait) if !wait.on.ends_automatically() => ControlFlow::Continue(()),
            Some(_) | None => ControlFlow::Break(()),
        });
        if going.is_break() { RunStanding::Going } else { RunStanding::Stalled }
    }

    /// The waits of a run and its descendants.
    pub(super) fn of_run(self, id: RunId) -> Vec<Wait> {
        let mut waits = Vec::new();
        let _whole = self.each_wait(id, &mut |wait| {
            waits.extend(wait);
            ControlFlow::Continue(())
        });
        waits
    }

    /// Visits the waits of a run and its descendants. None stands for a move that the next call performs.
    fn each_wait(self, id: RunId, visit: &mut impl FnMut(Option<Wait>) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut line = vec![id];
        while let Some(run) = line.pop().and_then(|id| self.runs.get(id)) {
            let (id, paused) = (run.id(), self.runs.paused_by(run.id()));
            let lacks = run.lacks_functions();
            if self.runs.is_scheduled(id) && !(paused.is_some() || lacks) {
                visit(None)?;
            }
            for name in run.plan().lacking().filter(|_| lacks) {
                visit(Some(Wait { run: id, node: None, on: Awaited::Function { name: name.clone() } }))?;
            }
            if let Some((run, reason)) = paused {
                let on = Awaited::Resume { run, reason: reason.clone() };
                visit(Some(Wait { run: id, node: None, on }))?;
            }
            let is_bounded = paused.is_none() && !run.rollback().has_passed_pivot();
            let over = run.time_limit().filter(|at| *at > self.now && is_bounded);
            if let Some(at) = over {
                visit(Some(Wait { run: id, node: None, on: Awaited::Time { at } }))?;
            }
            for (node, need) in needs(run, paused.is_some() || lacks) {
                if let Need::Work(Worker::Child(child)) = need {
                    line.push(child);
                } else if let Some(on) = self.awaited(need) {
                    visit(Some(Wait { run: id, node: Some(run.plan().name(node)), on }))?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The waits of a node as text; none if it waits only for preceding nodes.
    pub(super) fn text(self, run: &Run, node: NodeIx) -> Option<String> {
        let texts = run.waiting().needs(node).into_iter().filter_map(|need| {
            if let Need::Work(Worker::Child(child)) = need {
                return Some(format!("run {child}"));
            }
            Some(self.awaited(need)?.to_string())
        });
        let text = texts.collect::<Vec<_>>().join(" or ");
        (!text.is_empty()).then_some(text)
    }

    fn awaited(self, need: Need) -> Option<Awaited> {
        Some(match need {
            Need::Work(Worker::Task(task)) => {
                let (on, until) = self.reader.wait_of(task, self.now)?;
                let kind = self.reader.task(task)?.spec().kind.clone();
                Awaited::Task { task, kind, on, until }
            }
            Need::Work(Worker::Child(_)) => return None,
            Need::Signal(signal) => Awaited::Signal { signal },
            Need::Variables(names) => Awaited::Variables { names },
            Need::Decision { roles, to } => Awaited::Decision { roles, to },
            // A timer that has passed has already ended the node.
            Need::Time(at) if at <= self.now => return None,
            Need::Time(at) => Awaited::Time { at },
            Need::Items => Awaited::Items,
            Need::Turn(after) => Awaited::Turn { after },
            Need::Milestone(after) => Awaited::Milestone { after },
            Need::Remedy => Awaited::Remedy,
            Need::Decider(failure) => Awaited::Resolution { failure },
        })
    }
}

/// The needs of the nodes of a run; of a paused run only those for work under way.
fn needs(run: &Run, paused: bool) -> impl Iterator<Item = (NodeIx, Need)> {
    let work_alone = paused && run.phase() == RunPhase::Running;
    run.graph().indexes().flat_map(move |node| {
        let needs = if work_alone { run.waiting().work_under_way(node).collect() } else { run.waiting().needs(node) };
        needs.into_iter().map(move |need| (node, need))
    })
}
