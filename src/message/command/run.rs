//! Commands about workflows and their runs.

use crate::base::id::RunId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::Definition;
use crate::message::run::{CompensationRemedy, Migration, NodeRemedy, ResetPoint, RunSpec};
use crate::task::Tier;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Commands about workflows and their runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunCommand {
    /// Defines a workflow. The same definition again changes nothing; another one under the same name and version is
    /// rejected.
    Define(Arc<Definition>),
    /// Sets the version that new runs without a version use, for example to return from a faulty version to the one
    /// before. Existing runs keep their version.
    SetDefault {
        /// The name of the workflow.
        workflow: Name,
        /// The version; none for the newest, which is the initial setting.
        version: Option<u32>,
        /// The reason.
        reason: Name,
    },
    /// Retires a version: no run of it can be started any more, and it no longer counts against the bound on
    /// definitions. Rejected while runs of it are active, and if it was set as the default. Ended runs keep it, and its
    /// number is never reused.
    Retire {
        /// The name of the workflow.
        workflow: Name,
        /// The version.
        version: u32,
        /// The reason.
        reason: Name,
    },
    /// Starts a run. The same run again changes nothing; another one under a known id is rejected.
    Start(RunSpec),
    /// Sends a signal to a run, which keeps it until a node that waits for it takes it: a node of the run itself first,
    /// then one of its child runs, the oldest first. A node that begins to wait later takes a kept signal, too. Each
    /// signal is taken once.
    Signal {
        /// The run.
        run: RunId,
        /// The name of the signal.
        signal: Name,
        /// Its payload.
        payload: Payload,
    },
    /// Updates a variable of a running run from outside, at once. Rejected unless the variable accepts such updates
    /// ([`Variable::with_updates`](crate::definition::Variable::with_updates)).
    /// [`RunView::variable`](crate::engine::RunView::variable) returns the new value. The command is not idempotent:
    /// sent twice, it updates twice.
    Update {
        /// The run.
        run: RunId,
        /// The variable.
        variable: Name,
        /// The value.
        value: Payload,
    },
    /// Pauses a run and its child runs: work under way continues and its end is recorded, and nothing new begins.
    Pause {
        /// The run.
        run: RunId,
        /// The reason.
        reason: Name,
    },
    /// Resumes a paused run.
    Resume {
        /// The run.
        run: RunId,
    },
    /// Migrates a run to another definition: another version of its workflow, or a definition of its own. Ended nodes
    /// keep their results, work under way continues, and nodes that have not started follow the new definition.
    /// Rejected with all [obstacles](crate::message::Obstacle) if state would be lost or change its meaning;
    /// [`Engine::migration`](crate::Engine::migration) is the dry run. The same command migrates back. Child runs keep
    /// their definitions and are migrated by commands of their own.
    Migrate {
        /// The run.
        run: RunId,
        /// The target, and the mapping of nodes.
        migration: Migration,
        /// The reason.
        reason: Name,
    },
    /// Changes the tier of a run and of its child runs: of their waiting tasks and of tasks to come, except for nodes
    /// that set a tier of their own. Attempts under way are not affected.
    Prioritise {
        /// The run.
        run: RunId,
        /// The new tier.
        tier: Tier,
        /// The reason.
        reason: Name,
    },
    /// Continues a failed run from its failure. Nodes that succeeded keep their results; the nodes whose failures were
    /// not handled, those that were cancelled because of them and those that were skipped after them are executed
    /// again. A node is executed again as a whole, a map with all of its items.
    ///
    /// The command applies to a run that has ended; to a paused run in which a node has failed, before the failure has
    /// consequences; and to held failures ([`OnFailure::Hold`](crate::definition::OnFailure::Hold)). Rejected for a run
    /// in which a step was or would have to be compensated, and if the run has gone on after the failure
    /// ([`WrongState::NotRetriable`]). A child run is not retried itself: retry its parent run. Signals that no node
    /// had taken when the run ended are lost.
    ///
    /// [`WrongState::NotRetriable`]: crate::message::rejected::WrongState::NotRetriable
    Retry {
        /// The run.
        run: RunId,
        /// The node; none for all that have failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<Name>,
        /// The reason.
        reason: Name,
    },
    /// Resets a run to a point: the work after it is cancelled and awaited, compensated in reverse causal order if
    /// `undo` is set, and executed again from there. Work that is not causally after the point is not affected.
    ///
    /// The command applies to a run that goes forward or is paused (the reset then begins when it is resumed), and to a
    /// run that has failed or was compensated. A run that succeeded has published its result: start another one. A
    /// compensation that fails waits for a [remedy](Self::Remedy); an abandoned one does not prevent the run from going
    /// forward. Without `undo`, and after an abandoned compensation, the side effects remain: if the run fails later,
    /// its outcome lists them ([`RunView::left_behind`](crate::engine::RunView::left_behind)). Child runs under way are
    /// cancelled and compensate themselves. Signals that were taken are not delivered again, items that were added to
    /// open maps are kept, and used budgets stay used.
    ///
    /// Rejected if a pivot after the point has succeeded, and if a node that is to keep its state could not
    /// ([`ResetObstacle`](crate::message::ResetObstacle)). A child run is reset by its own id while it goes forward;
    /// once it has ended, reset its parent run.
    Reset {
        /// The run.
        run: RunId,
        /// The point.
        to: ResetPoint,
        /// Whether the work is compensated before it is executed again.
        undo: bool,
        /// The reason.
        reason: Name,
    },
    /// Decides how a node that has not ended ends.
    Operate {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
        /// How it ends.
        remedy: NodeRemedy,
    },
    /// Adds items to an open map.
    Add {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
        /// The items.
        items: Vec<Payload>,
    },
    /// Closes an open map: it gets no more items and ends when its items are done.
    Close {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
    },
    /// Makes a decision that a node of a run waits for.
    Decide {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
        /// The person or system that decides.
        by: Name,
        /// Its roles. The engine trusts the host for them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        roles: Vec<Name>,
        /// The chosen option.
        option: Name,
        /// A note.
        #[serde(default, skip_serializing_if = "Payload::is_null")]
        note: Payload,
    },
    /// Delegates a decision to another person, who alone may make it or delegate it from then on.
    Delegate {
        /// The run.
        run: RunId,
        /// The node.
        node: Name,
        /// The person who delegates, and who may make the decision.
        by: Name,
        /// The roles of that person. The engine trusts the host for them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        roles: Vec<Name>,
        /// The person who is to decide.
        to: Name,
    },
    /// Cancels a run: work under way is cancelled, completed steps are compensated. Rejected once the run has passed
    /// its pivot: it goes forward to its end. While the pivot is under way, its outcome decides whether the run goes
    /// forward or is compensated.
    Cancel {
        /// The run.
        run: RunId,
        /// The reason.
        reason: Name,
    },
    /// Cancels a run even past its pivot: work under way is cancelled, nothing more is compensated, and the outcome
    /// lists the side effects that remain. A child run that has passed its own pivot still goes forward to its end; it
    /// can be aborted by its id.
    Abort {
        /// The run.
        run: RunId,
        /// The reason.
        reason: Name,
    },
    /// Decides what happens after a compensation has failed.
    Remedy {
        /// The run.
        run: RunId,
        /// The node whose compensation failed.
        node: Name,
        /// The decision.
        remedy: CompensationRemedy,
    },
}

#[cfg(any(feature = "threads", feature = "async"))]
impl RunCommand {
    /// The decision of a person in one role, without a note.
    pub(crate) fn decision(run: RunId, node: Name, (by, role): (Name, Name), option: Name) -> Self {
        Self::Decide { run, node, by, roles: vec![role], option, note: Payload::NULL }
    }
}
