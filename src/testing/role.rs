//! What an agent of a rehearsal does: it follows a script, or executes durable functions.

use super::script::{Answer, Script};
use crate::base::id::AttemptId;
use crate::base::name::Name;
use crate::engine::Engine;
use crate::task::TaskSpec;
#[cfg(feature = "functions")]
use crate::task::{Failure, codes};
#[cfg(feature = "functions")]
use crate::workflow::{DurableFunctions, Turns};
use core::time::Duration;

/// What an agent does.
pub(super) enum Role {
    Script(Script),
    #[cfg(feature = "functions")]
    Functions {
        functions: DurableFunctions,
        turns: Turns,
    },
}

impl Role {
    /// The kinds of the tasks that it can perform.
    pub(super) fn kinds(&self) -> Vec<Name> {
        match self {
            Self::Script(script) => script.kinds().cloned().collect(),
            #[cfg(feature = "functions")]
            Self::Functions { functions, .. } => functions.names().cloned().collect(),
        }
    }

    pub(super) const fn answers_all_kinds(&self) -> bool {
        match self {
            Self::Script(script) => script.answers_all_kinds(),
            #[cfg(feature = "functions")]
            Self::Functions { .. } => false,
        }
    }

    /// The answer to an attempt, and the time that it takes.
    #[cfg_attr(not(feature = "functions"), expect(unused_variables, reason = "scripts know tasks only"))]
    pub(super) fn reply(&self, engine: &Engine, task: &TaskSpec, attempt: AttemptId) -> (Answer, Duration) {
        match self {
            Self::Script(script) => {
                let reply = script.reply(task, attempt.number().get());
                (reply.answer, reply.after)
            }
            #[cfg(feature = "functions")]
            Self::Functions { turns, .. } => (turn(turns, engine, task), Duration::ZERO),
        }
    }

    /// Forgets what is kept in memory between two answers.
    #[cfg_attr(not(feature = "functions"), expect(clippy::needless_pass_by_ref_mut, reason = "scripts keep nothing"))]
    pub(super) fn restart(&mut self) {
        match self {
            Self::Script(_) => {}
            #[cfg(feature = "functions")]
            Self::Functions { functions, turns } => *turns = Turns::new(functions.clone()),
        }
    }
}

#[cfg(feature = "functions")]
fn turn(turns: &Turns, engine: &Engine, task: &TaskSpec) -> Answer {
    let over = || Failure::unknown("the turn is not under way any more").with_code(codes::AGENT_DROPPED);
    let executed = turns.begin(task).and_then(|begun| {
        let facts = engine.facts(task, &begun).ok_or_else(over)?;
        turns.execute(begun, facts)?.run()
    });
    executed.map_or_else(Answer::Fail, Answer::Ok)
}
