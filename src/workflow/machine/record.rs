//! The data of a run in a snapshot.

use super::course::Course;
use super::graph::Graph;
use super::node::{NodeState, is_default};
use super::signals::Signals;
use super::variables::Variables;
use super::{Begun, Run, work_of};
use crate::base::id::{NodeIx, RunId};
use crate::base::name::Name;
use crate::message::run::{Cause, RunSpec};
use crate::saga::{Rollback, RollbackRecord};
use crate::task::{Owner, Spending, Tier};
use crate::workflow::plan::Plan;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The data of a run in a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    pub(crate) spec: Arc<RunSpec>,
    /// The version and the hash of the definition.
    pub(crate) version: u32,
    pub(crate) hash: u64,
    begun: Begun,
    pub(crate) owner: Option<Owner>,
    course: Course,
    nodes: Vec<NodeState>,
    /// The nodes with unhandled failures.
    #[serde(default, skip_serializing_if = "is_default")]
    failures: Vec<NodeIx>,
    #[serde(default, skip_serializing_if = "Signals::is_empty")]
    signals: Signals,
    #[serde(default, skip_serializing_if = "is_default")]
    rollback: RollbackRecord<Cause>,
    /// The nodes whose side effects remained when they were restarted.
    #[serde(default, skip_serializing_if = "<[Name]>::is_empty")]
    left_behind: Box<[Name]>,
    #[serde(default, skip_serializing_if = "Variables::is_empty")]
    variables: Variables,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raised: Option<Tier>,
    /// The child runs of nodes that were restarted.
    #[serde(default, skip_serializing_if = "<[RunId]>::is_empty")]
    former: Box<[RunId]>,
    /// The spending of nodes that a migration removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<Box<Spending>>,
}

impl Run {
    pub(crate) fn record(&self) -> RunRecord {
        RunRecord {
            spec: Arc::clone(&self.spec),
            version: self.plan().id.version,
            hash: self.plan().id.hash,
            begun: self.begun,
            owner: self.owner,
            course: self.course.clone(),
            nodes: self.graph.states().to_vec(),
            failures: self.graph.failures().to_vec(),
            signals: self.signals.clone(),
            rollback: self.rollback.record(),
            left_behind: self.left_behind.clone(),
            variables: self.variables.clone(),
            paused: self.paused.clone(),
            raised: self.raised,
            former: self.former.clone(),
            gone: self.gone.clone(),
        }
    }

    /// The run with this data. None if the record does not fit the plan.
    pub(crate) fn from_record(record: &RunRecord, plan: Arc<Plan>) -> Option<Self> {
        let graph = Graph::restored(plan, record.nodes.clone(), record.failures.clone())?;
        Some(Self {
            work: work_of(&record.spec),
            spec: Arc::clone(&record.spec),
            owner: record.owner,
            begun: record.begun,
            course: record.course.clone(),
            rollback: Rollback::restored(&record.rollback, &graph)?,
            left_behind: record.left_behind.clone(),
            graph,
            signals: record.signals.clone(),
            variables: record.variables.clone(),
            paused: record.paused.clone(),
            raised: record.raised,
            former: record.former.clone(),
            gone: record.gone.clone(),
            evaluated: None,
        })
    }
}
