//! Several commands in one call.

use crate::message::command::{Accepted, Command};
use crate::message::rejected::Rejected;

/// The answers to the commands of a group, in their order, and the units of work of the call.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) all: Vec<Result<Accepted, Rejected>>,
    pub(crate) work: u64,
}

/// Takes commands until they have used the work of a call, at least one. `handle` returns the answer to a command and the
/// units of work that it has used.
pub(crate) fn handle_group(
    most: u32,
    commands: &mut impl Iterator<Item = Command>,
    mut handle: impl FnMut(Command) -> (Result<Accepted, Rejected>, u64),
) -> Answers {
    let mut answers = Answers::default();
    // Whether a command is left is asked last: the caller keeps the commands that are not taken.
    while (answers.all.is_empty() || answers.work < u64::from(most))
        && let Some(command) = commands.next()
    {
        let (answer, work) = handle(command);
        answers.all.push(answer);
        answers.work = answers.work.saturating_add(work);
    }
    answers
}
