//! The tasks, runs and agents that a rejection names.

use super::{Conflict, Forbidden, Invalid, Misuse, Rejected, Stale, Unknown, WrongState};
use crate::base::id::{AgentId, RunId, TaskId};

/// A task, a run or an agent that a rejection names by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mention {
    Task(TaskId),
    Run(RunId),
    Agent(AgentId),
}

impl Rejected {
    /// The known subjects that the text names, in the order of the text.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most rejections name what is unknown or new")]
    pub(crate) fn mentions(&self) -> Vec<Mention> {
        use Mention::{Agent, Run, Task};
        match self {
            Self::Unknown(Unknown::Node { run, .. } | Unknown::Variable { run, .. }) => vec![Run(*run)],
            Self::Conflict(Conflict::Task(task)) => vec![Task(*task)],
            Self::Conflict(Conflict::Run(run) | Conflict::ExclusiveKey { run, .. }) => vec![Run(*run)],
            Self::Stale(Stale::Attempt(attempt)) => vec![Task(attempt.task())],
            Self::Stale(Stale::NotHolder { attempt, by, holder }) => {
                vec![Task(attempt.task()), Agent(holder.agent()), Agent(by.agent())]
            }
            Self::Stale(Stale::Incarnation(by)) => vec![Agent(by.agent())],
            Self::State(state) => of_state(state),
            Self::Forbidden(Forbidden::ForeignAgent { by, agent }) => vec![Agent(by.agent()), Agent(*agent)],
            Self::Invalid(Invalid::Update { run, .. }) => vec![Run(*run)],
            Self::Misuse(Misuse::DoesNotPoll(agent)) => vec![Agent(*agent)],
            Self::Misuse(Misuse::ChildRun { run, .. }) => vec![Run(*run)],
            Self::Misuse(Misuse::TaskOfRun { task, run }) => vec![Task(*task), Run(*run)],
            Self::InBulk { reason, .. } => reason.mentions(),
            _ => Vec::new(),
        }
    }
}

fn of_state(state: &WrongState) -> Vec<Mention> {
    match state {
        WrongState::TaskEnded(task)
        | WrongState::TaskBegun(task)
        | WrongState::TaskNotEnded(task)
        | WrongState::NothingToRate(task)
        | WrongState::TaskRated(task)
        | WrongState::NotDead(task) => vec![Mention::Task(*task)],
        WrongState::DeadDependency { dead, .. } => vec![Mention::Task(*dead)],
        WrongState::NotRequestedBack(attempt) => vec![Mention::Task(attempt.task())],
        WrongState::PastPivot(run)
        | WrongState::RunPhase { run, .. }
        | WrongState::NotMigratable { run, .. }
        | WrongState::NotRetriable { run, .. }
        | WrongState::NotResettable { run, .. }
        | WrongState::NodeOver { run, .. }
        | WrongState::NotOpen { run, .. }
        | WrongState::NothingToDecide { run, .. }
        | WrongState::FunctionPanicked { run, .. }
        | WrongState::NothingToRemedy { run, .. } => vec![Mention::Run(*run)],
        WrongState::NoClockJump { .. } => Vec::new(),
    }
}
