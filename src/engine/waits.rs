//! What a run waits for, and whether that comes by itself.

use super::drive::Driver;
use crate::base::id::{NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::run::RunPhase;
use crate::scheduler::TaskWait;
use crate::workflow::machine::{Need, Run, Worker};
use core::fmt;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

/// Whether a run goes on by itself, with the runs within it.
///
/// A run is *going* while a call is owed to it, an agent has work of it or will be given some when another attempt ends, or
/// a moment will come that changes something for it: the end of a wait, a handler's timeout, the next attempt, a bound of a
/// task that waits. It is *stalled* when nothing of that holds: then it goes no further until somebody does something, and
/// [`RunView::waits`](crate::engine::RunView::waits) says what. A person who is asked, a signal that is to come, an agent that is to
/// register, an operator who has paused something: none of these comes by itself. So a run that waits for a person is
/// stalled as long as nothing else of it is under way; an operator who is only interested in what should not be looks at
/// what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStanding {
    /// It goes on by itself.
    Going,
    /// It goes no further by itself.
    Stalled,
    /// It is over.
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

/// One thing that a run waits for.
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
    /// The run, or one within it.
    pub run: RunId,
    /// The node; none if it is the run as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
    /// What for. A node with several waits goes on with the first that comes.
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

/// What can be waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Awaited {
    /// The end of a task.
    Task {
        /// The task.
        task: TaskId,
        /// What that waits for.
        on: TaskWait,
        /// When it ends without an attempt at the latest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A signal.
    Signal {
        /// Its name.
        signal: Name,
    },
    /// Somebody who decides.
    Decision {
        /// Who may: those with one of these roles, unless it was handed to somebody.
        roles: Vec<Name>,
        /// To whom it was handed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Name>,
    },
    /// A moment.
    Moment {
        /// When.
        at: Time,
    },
    /// More items for an open map, or the word that there are no more.
    Items,
    /// The end of a node that must not be under way at the same time.
    Turn {
        /// That node.
        after: Name,
    },
    /// The success of a node after which this one may start.
    Milestone {
        /// That node.
        after: Name,
    },
    /// An operator's word on a compensation that failed.
    Remedy,
    /// An operator's word on a failure that is held ([`OnFailure::Hold`](crate::definition::OnFailure::Hold)): try again, complete, skip
    /// or fail.
    Word {
        /// How it failed.
        failure: String,
    },
    /// A function of the host that the definition names, and the configuration does not have.
    Function {
        /// Its name.
        name: Name,
    },
    /// An operator, who has paused the run or one around it.
    Resume {
        /// Which.
        run: RunId,
        /// On what grounds.
        reason: Name,
    },
}

impl Awaited {
    /// Whether it comes by itself. Turns and milestones do not: they come with the end of another node, which has waits of
    /// its own.
    #[must_use]
    pub const fn ends_automatically(&self) -> bool {
        match self {
            Self::Moment { .. } => true,
            Self::Task { on, until, .. } => until.is_some() || on.ends_automatically(),
            Self::Signal { .. }
            | Self::Decision { .. }
            | Self::Items
            | Self::Turn { .. }
            | Self::Milestone { .. }
            | Self::Remedy
            | Self::Word { .. }
            | Self::Function { .. }
            | Self::Resume { .. } => false,
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task { task, on: TaskWait::Agent { by, .. }, .. } => write!(f, "task {task} of {by}"),
            Self::Task { task, on, until: None } => write!(f, "task {task} ({on})"),
            Self::Task { task, on, until: Some(at) } => write!(f, "task {task} ({on}; until {at})"),
            Self::Signal { signal } => write!(f, "signal {signal}"),
            Self::Decision { to: Some(to), .. } => write!(f, "decision by {to}"),
            Self::Decision { roles, to: None } => {
                let roles: Vec<&str> = roles.iter().map(Name::as_str).collect();
                write!(f, "decision by {}", roles.join(" or "))
            }
            Self::Moment { at } => write!(f, "{at}"),
            Self::Items => f.write_str("more items, or none"),
            Self::Turn { after } => write!(f, "its turn, after {after}"),
            Self::Milestone { after } => write!(f, "its milestone, {after}"),
            Self::Remedy => f.write_str("a word on its compensation"),
            Self::Word { failure } => write!(f, "a word on its failure ({failure})"),
            Self::Function { name } => write!(f, "`{name}`, which the configuration does not have"),
            Self::Resume { run, reason } => write!(f, "{run} is paused: {reason}"),
        }
    }
}

impl Driver {
    /// Whether a run goes on by itself.
    pub(super) fn standing(&self, run: &Run, now: Time) -> RunStanding {
        if run.is_finished() {
            return RunStanding::Finished;
        }
        let going = self.each_wait(run.id(), now, &mut |wait| match wait {
            Some(wait) if !wait.on.ends_automatically() => ControlFlow::Continue(()),
            Some(_) | None => ControlFlow::Break(()),
        });
        if going.is_break() { RunStanding::Going } else { RunStanding::Stalled }
    }

    /// All that a run waits for, with the runs within it.
    pub(super) fn waits(&self, id: RunId, now: Time) -> Vec<Wait> {
        let mut waits = Vec::new();
        let _whole = self.each_wait(id, now, &mut |wait| {
            waits.extend(wait);
            ControlFlow::Continue(())
        });
        waits
    }

    /// Goes through what a run waits for, with the runs within it; nothing stands for a move that is owed to it.
    fn each_wait(
        &self,
        id: RunId,
        now: Time,
        tell: &mut impl FnMut(Option<Wait>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut line = vec![id];
        while let Some(run) = line.pop().and_then(|id| self.book.get(id)) {
            let (id, paused) = (run.id(), self.book.paused_by(run.id()));
            let lacks = run.lacks_functions();
            if self.book.agenda.contains(&id) && !(paused.is_some() || lacks) {
                tell(None)?;
            }
            for name in run.plan().missing.iter().filter(|_| lacks) {
                tell(Some(Wait { run: id, node: None, on: Awaited::Function { name: name.clone() } }))?;
            }
            if let Some((run, reason)) = paused {
                let on = Awaited::Resume { run, reason: reason.clone() };
                tell(Some(Wait { run: id, node: None, on }))?;
            }
            let is_bounded = paused.is_none() && !run.rollback().has_passed_pivot();
            let over = run.time_limit().filter(|at| *at > now && is_bounded);
            if let Some(at) = over {
                tell(Some(Wait { run: id, node: None, on: Awaited::Moment { at } }))?;
            }
            for (node, need) in needs(run, paused.is_some() || lacks) {
                if let Need::Work(Worker::Child(child)) = need {
                    line.push(child);
                } else if let Some(on) = self.awaited(need, now) {
                    tell(Some(Wait { run: id, node: Some(run.plan().name(node)), on }))?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// What a node of a run waits for, in words; none if it waits for nothing but nodes before it.
    pub(super) fn wait_text(&self, run: &Run, node: NodeIx, now: Time) -> Option<String> {
        let texts = run.needs(node).into_iter().filter_map(|need| {
            if let Need::Work(Worker::Child(child)) = need {
                return Some(format!("run {child}"));
            }
            Some(self.awaited(need, now)?.to_string())
        });
        let text = texts.collect::<Vec<_>>().join(" or ");
        (!text.is_empty()).then_some(text)
    }

    fn awaited(&self, need: Need, now: Time) -> Option<Awaited> {
        Some(match need {
            Need::Work(Worker::Task(task)) => {
                let (on, until) = self.core.reader().wait_of(task, now)?;
                Awaited::Task { task, on, until }
            }
            Need::Work(Worker::Child(_)) => return None,
            Need::Signal(signal) => Awaited::Signal { signal },
            Need::Decision { roles, to } => Awaited::Decision { roles, to },
            // A time that has passed has had its effect: the node has ended.
            Need::Time(at) if at <= now => return None,
            Need::Time(at) => Awaited::Moment { at },
            Need::Items => Awaited::Items,
            Need::Turn(after) => Awaited::Turn { after },
            Need::Milestone(after) => Awaited::Milestone { after },
            Need::Remedy => Awaited::Remedy,
            Need::Decider(failure) => Awaited::Word { failure },
        })
    }
}

/// What the nodes of a run wait for: all of it, or of one that is paused the work alone that is under way.
fn needs(run: &Run, paused: bool) -> impl Iterator<Item = (NodeIx, Need)> {
    let work_alone = paused && run.phase() == RunPhase::Running;
    run.graph().indexes().flat_map(move |node| {
        let needs = if work_alone { run.work_under_way(node).collect() } else { run.needs(node) };
        needs.into_iter().map(move |need| (node, need))
    })
}
