//! What `$` and `$$` mean where an expression is evaluated.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some forms of expressions are those of a document")]

use super::path::{BadPath, at};
use crate::definition::{Expr, Function, Meta};
use crate::interop::report::shown;

/// Where an expression is evaluated.
#[derive(Debug, Clone)]
pub(super) struct Context<'a> {
    /// The value of `$`.
    pub(super) root: Expr,
    /// The name of the state.
    pub(super) state: &'a str,
    pub(super) run: InRun,
    pub(super) part: Part,
}

/// The run in which an expression is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InRun {
    /// The run of the whole state machine.
    Whole,
    /// A child run: a part of a `Parallel` or a `Map`, or the work of a state that is not one task.
    Child,
}

/// The part of a state that an expression belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    State,
    /// The input of an item of a `Map`.
    Item,
    /// The request of a task that is answered with a token.
    Request,
}

const ELSEWHERE: &str =
    "it is evaluated in a child run, and the values of the execution belong to the run of the whole state machine";
const ABSENT: &str = "the engine does not record it";

impl Context<'_> {
    /// The same with another value of `$`.
    pub(super) fn rooted(&self, root: Expr) -> Self {
        Self { root, ..self.clone() }
    }

    /// The part of the context object at a JSON pointer.
    pub(super) fn lookup(&self, pointer: &str) -> Result<Expr, BadPath> {
        let unsupported = |reason| {
            let path = super::path::print_pointer(pointer);
            BadPath::Unsupported { what: format!("`${}`", shown(&path)), reason }
        };
        let within = |prefix: &str| {
            let rest = pointer.strip_prefix(prefix)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        if let Some(rest) = within("/Map/Item/Value") {
            return match self.part {
                Part::Item => Ok(at(Expr::Item, rest)),
                Part::State | Part::Request => Err(unsupported("there is an item only in `ItemSelector`")),
            };
        }
        if let Some(rest) = within("/Execution/Input") {
            return self.of_whole().map(|()| at(Expr::Input, rest)).ok_or_else(|| unsupported(ELSEWHERE));
        }
        let of_run = |expr| self.of_whole().map(|()| expr).ok_or_else(|| unsupported(ELSEWHERE));
        match pointer {
            "/State/Name" => Ok(Expr::value(self.state)),
            "/Execution/Id" => of_run(Expr::Meta(Meta::RunId)),
            "/Execution/Name" => of_run(Expr::Meta(Meta::RunKey)),
            "/Execution/StartTime" => of_run(started()),
            "/StateMachine/Id" | "/StateMachine/Name" => of_run(Expr::Meta(Meta::RunName)),
            "/Map/Item/Index" if self.part == Part::Item => Ok(Expr::Meta(Meta::Index)),
            "/Map/Item/Index" => Err(unsupported("there is an item only in `ItemSelector`")),
            "/Task/Token" if self.part == Part::Request => Ok(Expr::Meta(Meta::RunId)),
            "/Task/Token" => Err(unsupported("there is a token only in a task that waits for it")),
            _ => Err(unsupported(ABSENT)),
        }
    }

    fn of_whole(&self) -> Option<()> {
        (self.run == InRun::Whole).then_some(())
    }

    /// The path of a part of the context object.
    pub(super) fn name_of(&self, expr: &Expr) -> Option<String> {
        let (is_whole, is_item) = (self.run == InRun::Whole, self.part == Part::Item);
        let name = match expr {
            Expr::Item if is_item => "$$.Map.Item.Value",
            Expr::Meta(Meta::Index) if is_item => "$$.Map.Item.Index",
            Expr::Meta(Meta::RunId) if self.part == Part::Request => "$$.Task.Token",
            Expr::Input if is_whole => "$$.Execution.Input",
            Expr::Meta(Meta::RunId) if is_whole => "$$.Execution.Id",
            Expr::Meta(Meta::RunKey) if is_whole => "$$.Execution.Name",
            Expr::Meta(Meta::RunName) if is_whole => "$$.StateMachine.Name",
            started_at if is_whole && *started_at == started() => "$$.Execution.StartTime",
            Expr::Const(text) if text.value() == self.state => "$$.State.Name",
            _ => return None,
        };
        Some(name.to_owned())
    }
}

fn started() -> Expr {
    Expr::call(Function::TimeText, [Expr::Meta(Meta::RunStarted)])
}
