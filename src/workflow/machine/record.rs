//! A run as data, and back; and what must hold within it.

use super::course::Course;
use super::graph::Graph;
use super::node::{NodeState, NodeWork, is_default};
use super::rollback::{Rollback, RollbackRecord};
use super::signals::Signals;
use super::variables::Variables;
use super::{Begun, Run};
use crate::base::id::{NodeIx, RunId};
use crate::base::name::Name;
use crate::message::event::Opening;
use crate::message::run::{RunPhase, RunSpec};
use crate::task::{Owner, Spending, Tier};
use crate::workflow::plan::Plan;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A run as a snapshot holds it.
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
    /// The nodes that failed, and whose failures nothing handles.
    #[serde(default, skip_serializing_if = "is_default")]
    failures: Vec<NodeIx>,
    #[serde(default, skip_serializing_if = "Signals::is_empty")]
    signals: Signals,
    #[serde(default, skip_serializing_if = "is_default")]
    rollback: RollbackRecord,
    #[serde(default, skip_serializing_if = "Variables::is_empty")]
    variables: Variables,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raised: Option<Tier>,
    /// The child runs of nodes that were done anew.
    #[serde(default, skip_serializing_if = "<[RunId]>::is_empty")]
    former: Box<[RunId]>,
    /// What nodes spent that are not there any more.
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
            variables: self.variables.clone(),
            paused: self.paused.clone(),
            raised: self.raised,
            former: self.former.clone(),
            gone: self.gone.clone(),
        }
    }

    /// The run that a record was made of. None if the record does not fit the plan.
    pub(crate) fn from_record(record: &RunRecord, plan: Arc<Plan>) -> Option<Self> {
        let graph = Graph::restored(plan, record.nodes.clone(), record.failures.clone())?;
        Some(Self {
            spec: Arc::clone(&record.spec),
            owner: record.owner,
            begun: record.begun,
            course: record.course.clone(),
            rollback: Rollback::restored(&record.rollback, &graph)?,
            graph,
            signals: record.signals.clone(),
            variables: record.variables.clone(),
            paused: record.paused.clone(),
            raised: record.raised,
            former: record.former.clone(),
            gone: record.gone.clone(),
        })
    }

    /// Checks what must hold within a run.
    pub(crate) fn check(&self) -> Result<(), String> {
        let named = |why| format!("run {} {why}", self.id());
        self.graph.check().map_err(named)?;
        self.rollback.check(&self.graph).map_err(named)?;
        self.check_phase().map_err(|why| named(why.to_owned()))?;
        for node in self.graph.nodes() {
            if let NodeWork::Map(map) = node.state.work()
                && let Some((items, list)) = map.opening()
            {
                let opening = Opening::Map { items, list: list.cloned() };
                self.check_opening(node.ix, &opening).map_err(|why| named(why.to_string()))?;
            }
        }
        Ok(())
    }

    /// Checks that the phase of the run fits its nodes and its way back.
    fn check_phase(&self) -> Result<(), &'static str> {
        let phase = self.phase();
        let compensates = matches!(phase, RunPhase::Compensating | RunPhase::CompensationFailed);
        if compensates && !self.rollback.is_compensating() {
            return Err("is compensated in no order");
        }
        if compensates && self.rollback.is_stuck() != (phase == RunPhase::CompensationFailed) {
            return Err("does not know whether a compensation has failed");
        }
        if self.rollback.is_rolling_back() && !matches!(phase, RunPhase::Running | RunPhase::Failing) {
            return Err("is rolled back and does not go forward");
        }
        if !self.graph.is_idle() && (compensates || phase == RunPhase::Finished) {
            return Err("has nodes under way after it ended");
        }
        Ok(())
    }
}
