//! The stored state of a run.

use super::nodes::Nodes;
use super::report::{NodeCounts, WaitsFor};
use super::{Action, Definition};
use crate::base::id::{NodeIx, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::definition::{Node, Repeat};
use crate::message::run::NodeStatus;
use crate::message::run::RunPhase;
use crate::task::{Owner, Phase};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The whole of a share.
pub(super) const WHOLE: u32 = 1_000_000;
/// The maximum number of nodes of a run with an unknown definition.
const UNKNOWN_NODES: usize = 4_096;

#[derive(Debug, Clone)]
pub(super) struct RunState {
    pub(super) workflow: Name,
    pub(super) definition: Option<Arc<Definition>>,
    pub(super) owner: Option<Owner>,
    pub(super) phase: RunPhase,
    /// Whether it rolls back to a save-point.
    pub(super) rolls_back: bool,
    pub(super) outcome: Option<Box<str>>,
    pub(super) started: Time,
    pub(super) ended: Option<Time>,
    /// The nodes that occurred in events.
    pub(super) nodes: Nodes,
}

#[derive(Debug, Clone, Default)]
pub(super) struct NodeState {
    pub(super) status: NodeStatus,
    /// The number of items of a map.
    pub(super) items: Option<u32>,
    /// When it began.
    pub(super) began: Option<Time>,
    /// The end of a wait.
    pub(super) until: Option<Time>,
    /// The items of a map, or rounds of a repeat, that have ended.
    pub(super) over: u32,
    pub(super) failed: u32,
    pub(super) tasks: BTreeSet<TaskId>,
    pub(super) children: BTreeSet<RunId>,
    pub(super) last_child: Option<RunId>,
    /// Whether an operator has decided to skip it.
    pub(super) is_to_be_skipped: bool,
}

impl RunState {
    pub(super) fn new(
        workflow: Name,
        definition: Option<Arc<Definition>>,
        owner: Option<Owner>,
        started: Time,
    ) -> Self {
        let nodes = Nodes::default();
        Self {
            workflow,
            definition,
            owner,
            phase: RunPhase::Running,
            rolls_back: false,
            outcome: None,
            started,
            ended: None,
            nodes,
        }
    }

    /// The state of a node, unless the definition has no such node.
    pub(super) fn node_mut(&mut self, ix: NodeIx) -> Option<&mut NodeState> {
        let room = match &self.definition {
            Some(_) => self.defined(ix).is_some(),
            None => self.nodes.len() < UNKNOWN_NODES || self.nodes.get(ix).is_some(),
        };
        if room { self.nodes.get_or_add(ix) } else { None }
    }

    pub(super) fn name_of(&self, ix: NodeIx) -> Name {
        self.defined(ix).map_or_else(|| Name::from(format!("#{}", ix.get())), |node| node.name.clone())
    }

    /// The nodes that an operator skipped.
    pub(super) fn skipped_by_operator(&self) -> impl Iterator<Item = Name> {
        let is_skipped = |node: &NodeState| {
            node.is_to_be_skipped && matches!(node.status, NodeStatus::Skipped | NodeStatus::Cancelled)
        };
        self.nodes.iter().filter(move |(_, node)| is_skipped(node)).map(|(ix, _)| self.name_of(ix))
    }

    /// What the node itself waits for, apart from tasks and child runs.
    pub(super) fn own_wait(&self, ix: NodeIx, node: &NodeState) -> Option<WaitsFor> {
        if self.phase == RunPhase::Finished {
            return None;
        }
        match (node.status, self.defined(ix).map(|node| &node.action)) {
            (NodeStatus::CompensationFailed, _) => Some(WaitsFor::Operator),
            (NodeStatus::Running, Some(Action::Wait { signal, .. })) => {
                Some(WaitsFor::Wait { signal: signal.clone(), until: node.until })
            }
            (NodeStatus::Running, Some(Action::Race { .. })) => {
                Some(WaitsFor::Wait { signal: None, until: node.until })
            }
            _ => None,
        }
    }

    pub(super) fn counts(&self) -> NodeCounts {
        let defined = self.definition.as_ref().map_or(self.nodes.len(), |flow| flow.nodes.len());
        let mut counts = NodeCounts { total: u32::try_from(defined).unwrap_or(u32::MAX), ..NodeCounts::default() };
        for (_, node) in self.nodes.iter() {
            counts.over += u32::from(node.status.is_over());
            match node.status {
                NodeStatus::Waiting => {}
                NodeStatus::Running => counts.running += 1,
                NodeStatus::Succeeded | NodeStatus::Abandoned => counts.succeeded += 1,
                NodeStatus::Failed => counts.failed += 1,
                NodeStatus::Skipped => counts.skipped += 1,
                NodeStatus::UpstreamFailed => counts.upstream_failed += 1,
                NodeStatus::Cancelled => counts.cancelled += 1,
                NodeStatus::Compensating | NodeStatus::CompensationFailed => counts.compensating += 1,
                NodeStatus::Compensated => counts.compensated += 1,
            }
            if let Some(items) = node.items {
                counts.items += u64::from(items);
                counts.items_over += u64::from(node.over.min(items));
                counts.items_failed += u64::from(node.failed.min(items));
            }
        }
        counts
    }

    /// The completed share, in parts of [`WHOLE`], given the shares of child runs.
    pub(super) fn share(&self, child: impl Fn(&RunId) -> u32) -> u32 {
        let total = self.definition.as_ref().map_or(self.nodes.len(), |flow| flow.nodes.len());
        let sum: u64 = self.nodes.iter().map(|(ix, node)| self.node_share(ix, node, &child)).sum();
        let total = u64::try_from(total).unwrap_or(u64::MAX).max(1);
        u32::try_from(sum / total).unwrap_or(WHOLE).min(WHOLE)
    }

    fn node_share(&self, ix: NodeIx, node: &NodeState, child: impl Fn(&RunId) -> u32) -> u64 {
        match node.status {
            NodeStatus::Waiting => 0,
            NodeStatus::Running => {
                let parts = match self.defined(ix).map(|node| &node.action) {
                    Some(Action::Repeat(Repeat { max_rounds: most, .. })) => *most,
                    _ => node.items.unwrap_or(1),
                };
                let over = u64::from(node.over) * u64::from(WHOLE);
                let under_way: u64 = node.children.iter().map(|run| u64::from(child(run))).sum();
                (over.saturating_add(under_way) / u64::from(parts.max(1))).min(u64::from(WHOLE))
            }
            NodeStatus::Succeeded
            | NodeStatus::Failed
            | NodeStatus::Skipped
            | NodeStatus::UpstreamFailed
            | NodeStatus::Cancelled
            | NodeStatus::Compensating
            | NodeStatus::Compensated
            | NodeStatus::CompensationFailed
            | NodeStatus::Abandoned => u64::from(WHOLE),
        }
    }

    fn defined(&self, ix: NodeIx) -> Option<&Node> {
        self.definition.as_ref()?.nodes.get(ix.index())
    }
}

impl NodeState {
    pub(super) fn began(&mut self, phase: Phase, now: Time) {
        match phase {
            Phase::Do if self.status == NodeStatus::Waiting => {
                (self.status, self.began) = (NodeStatus::Running, Some(now));
            }
            Phase::Do | Phase::Query => {}
            Phase::Undo => self.status = NodeStatus::Compensating,
        }
    }

    pub(super) const fn item_ended(&mut self, well: bool) {
        self.over = self.over.saturating_add(1);
        if !well {
            self.failed = self.failed.saturating_add(1);
        }
    }
}
