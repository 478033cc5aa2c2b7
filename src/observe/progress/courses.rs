//! Possible courses of a run: forecasts of its end.
//!
//! Drawn courses and not the propagation of means and variances: the latest of several branches, nodes that may be skipped
//! and joins that do not wait for all of their links need no formulas then, and quantiles are read off.

use super::state::{NodeState, RunState};
use super::{Action, LISTED, Progress};
use crate::base::id::{NodeIx, RunId};
use crate::base::name::Name;
use crate::base::structure::{Random, Table};
use crate::base::time::Time;
use crate::dag::Topology;
use crate::definition::{ActionClass, Body, Definition, Join, On, Trigger};
use crate::message::run::{NodeOutcome, NodeStatus, RunPhase};
use crate::observe::forecast::{Estimates, Forecast, Sample, Spread};
use crate::workflow::topology;
use std::sync::Arc;

/// The number of nodes of which durations are kept.
const NODES: usize = 8_192;
/// The numbers of courses: of a large run and of a small one.
const COURSES: (usize, usize) = (20, 400);
/// The visits of nodes and links of a forecast, if that many courses can be drawn with them.
const VISITS: usize = 200_000;

/// The durations of the nodes of workflows, and of tasks.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) estimates: Estimates,
    nodes: Table<(Name, Name), NodePast>,
}

/// How a node went in earlier runs.
#[derive(Debug, Clone, Default)]
struct NodePast {
    /// From its begin to its end.
    took: Sample,
    performed: f64,
    skipped: f64,
}

impl Default for Past {
    fn default() -> Self {
        Self { estimates: Estimates::default(), nodes: Table::new(NODES) }
    }
}

impl Past {
    /// Learns from the end of a node.
    pub(super) fn note(&mut self, run: &RunState, ix: NodeIx, outcome: &NodeOutcome, now: Time) {
        let began = run.nodes.get(ix).and_then(|node| node.began);
        let key = (run.workflow.clone(), run.name_of(ix));
        if self.nodes.touch(&key).is_none() {
            self.nodes.insert(key.clone(), NodePast::default());
        }
        let Some(past) = self.nodes.get_mut(&key) else { return };
        match (outcome, began) {
            (NodeOutcome::Succeeded | NodeOutcome::Failed { .. }, began) => {
                past.performed += 1.0;
                past.took.note(began.map_or(0.0, |began| now.since(began).as_secs_f64()));
            }
            (NodeOutcome::Skipped | NodeOutcome::UpstreamFailed | NodeOutcome::Cancelled { .. }, None) => {
                past.skipped += 1.0;
            }
            (NodeOutcome::Skipped | NodeOutcome::UpstreamFailed | NodeOutcome::Cancelled { .. }, Some(_)) => {}
        }
    }

    fn node(&self, workflow: &Name, node: &Name) -> Option<&NodePast> {
        self.nodes.get(&(workflow.clone(), node.clone()))
    }
}

/// What is left of a node.
#[derive(Debug)]
enum Left {
    /// Nothing: it has ended, and whether it was performed.
    Over { performed: bool },
    /// A known time.
    Exactly(f64),
    /// A duration that is drawn, of those above the share `from`, less what has passed; the node is performed with a probability.
    Drawn { spread: Spread, from: f64, passed: f64, performed: f64 },
    /// Unknown.
    Unknown,
}

impl Progress {
    /// When the run will end, if it goes on as earlier runs of its workflow did. None if it is not going forward, or if its
    /// definition is unknown.
    ///
    /// Learned are the durations of the nodes of a workflow, from their begin to their end, with the waits for agents, retries and
    /// child runs in them; of a node without any, the durations of tasks of its kind count ([`Estimates`]). Of a node under way,
    /// only durations count that are longer than it has taken, and the agent that performs its task. A forecast draws up to 400
    /// courses of the run, with seeds of its own, so equal entries give equal forecasts: nodes that earlier runs skipped are
    /// skipped with the same probability, and a course ends with its last node. It visits at most 200,000 nodes and links, or 20
    /// times those of the definition, if that is more.
    ///
    /// Nodes are drawn independently of each other. If they vary together (a slow day), the interval is too narrow.
    #[must_use]
    pub fn forecast(&self, run: RunId, now: Time) -> Option<Forecast> {
        let state = self.runs.get(&run).filter(|state| state.phase == RunPhase::Running)?;
        let flow = state.definition.as_deref()?;
        let left: Vec<Left> = self.left(state, flow, now);
        let named = flow.nodes.iter().zip(&left).filter(|(_, left)| matches!(left, Left::Unknown));
        let unknown = named.map(|(node, _)| node.name.clone()).take(LISTED).collect();
        let plan = Plan { flow, graph: topology(flow).ok()? };
        let visits = flow.nodes.len().saturating_add(plan.graph.edge_count()).max(1);
        let courses = (VISITS / visits).clamp(COURSES.0, COURSES.1);
        let mut random = Random::new(run.get(), now.as_nanos());
        let drawn = (0..courses).map(|_| plan.course(&left, &mut random)).collect();
        Some(Forecast::new(now, unknown, drawn))
    }

    /// The durations of tasks by kind and agent.
    #[must_use]
    pub const fn estimates(&self) -> &Estimates {
        &self.past.estimates
    }

    fn left(&self, state: &RunState, flow: &Definition, now: Time) -> Vec<Left> {
        let indexes = (0..u32::try_from(flow.nodes.len()).unwrap_or(u32::MAX)).map(NodeIx::new);
        let none = NodeState::default();
        let of = |ix: NodeIx| state.nodes.get(ix).unwrap_or(&none);
        indexes.map(|ix| self.left_of(state, flow, (ix, of(ix)), now)).collect()
    }

    fn left_of(&self, state: &RunState, flow: &Definition, (ix, node): (NodeIx, &NodeState), now: Time) -> Left {
        let Some(defined) = flow.nodes.get(ix.index()) else { return Left::Exactly(0.0) };
        match node.status {
            NodeStatus::Waiting | NodeStatus::Running => {}
            NodeStatus::Skipped | NodeStatus::UpstreamFailed => return Left::Over { performed: false },
            NodeStatus::Succeeded
            | NodeStatus::Failed
            | NodeStatus::Cancelled
            | NodeStatus::Compensating
            | NodeStatus::Compensated
            | NodeStatus::CompensationFailed
            | NodeStatus::Abandoned => return Left::Over { performed: true },
        }
        if let (NodeStatus::Running, Some(until)) = (node.status, node.until) {
            return Left::Exactly(until.since(now).as_secs_f64());
        }
        let past = self.past.node(&state.workflow, &defined.name);
        let performed = past.map_or(1.0, |past| past.performed / (past.performed + past.skipped).max(1.0));
        let is_running = node.status == NodeStatus::Running;
        let performed = if is_running { 1.0 } else { performed };
        let (spread, since) = match self.task_of(node).filter(|_| is_running) {
            Some((spread, since)) => (Some(spread), Some(since)),
            None => (past.and_then(|past| past.took.spread()), node.began),
        };
        let spread = spread.or_else(|| match &defined.action {
            Action::Do(Body::Task(work)) => Some(self.past.estimates.of(&work.kind, None)?.spread().clone()),
            _ => None,
        });
        let Some(spread) = spread else { return unknown(&defined.action, past.is_some()) };
        let passed = since.filter(|_| is_running).map_or(0.0, |since| now.since(since).as_secs_f64());
        let from = if passed > 0.0 { spread.share_below(passed) } else { 0.0 };
        Left::Drawn { spread, from, passed, performed }
    }

    /// The durations at the agent that performs the only task of a node, and since when it does.
    fn task_of(&self, node: &NodeState) -> Option<(Spread, Time)> {
        let mut tasks = node.tasks.iter();
        let (task, None) = (tasks.next()?, tasks.next()) else { return None };
        if node.items.is_some() || !node.children.is_empty() {
            return None;
        }
        let (since, agent) = self.past.estimates.begun(*task)?;
        let kind = &self.steps.get(task)?.kind;
        Some((self.past.estimates.of(kind, Some(agent))?.spread().clone(), since))
    }
}

/// What is left of a node of which no duration is known. `was_skipped`: in all earlier runs.
fn unknown(action: &Action, was_skipped: bool) -> Left {
    if let Action::Wait { signal: None, timer: Some(timer) } = action {
        Left::Exactly(timer.as_secs_f64())
    } else if was_skipped || action.class() == ActionClass::Immediate {
        Left::Exactly(0.0)
    } else {
        Left::Unknown
    }
}

/// A definition with its graph.
#[derive(Debug)]
struct Plan<'d> {
    flow: &'d Definition,
    graph: Arc<Topology>,
}

impl Plan<'_> {
    /// The remaining seconds in one course.
    fn course(&self, left: &[Left], random: &mut Random) -> f64 {
        // When each node ends, and whether it is performed.
        let mut ends: Vec<(f64, bool)> = vec![(0.0, false); left.len()];
        let (mut last, mut stopped) = (0.0_f64, f64::INFINITY);
        for ix in self.graph.order() {
            let at = ix.index();
            let (Some(node), Some(own)) = (self.flow.nodes.get(at), left.get(at)) else { continue };
            let before = self.graph.predecessors(*ix).iter();
            let sources: Vec<(f64, bool)> = before.filter_map(|source| ends.get(source.index()).copied()).collect();
            let reached = sources.is_empty() || sources.iter().any(|(_, performed)| *performed);
            let begin = begin(node.join, &sources);
            let (took, performed) = match own {
                Left::Over { performed } => (0.0, *performed),
                Left::Exactly(seconds) => (*seconds, reached),
                Left::Unknown => {
                    (0.0, reached && !node.after.iter().all(|link| link.on == On::Failure) || sources.is_empty())
                }
                Left::Drawn { spread, from, passed, performed } => {
                    let performed = random.unit() < *performed;
                    ((spread.draw(*from, random) - passed).max(0.0), performed && reached)
                }
            };
            let end = if performed { begin + took } else { begin };
            ends.get_mut(at).into_iter().for_each(|slot| *slot = (end, performed));
            if performed && matches!(node.action, Action::Stop) && !matches!(own, Left::Over { .. }) {
                stopped = stopped.min(end);
            }
            last = last.max(end);
        }
        last.min(stopped)
    }
}

/// When a node begins, from the ends of the nodes before it.
fn begin(join: Join, sources: &[(f64, bool)]) -> f64 {
    let latest = sources.iter().fold(0.0_f64, |latest, (end, _)| latest.max(*end));
    let nth = |required: u32| {
        let mut ends: Vec<f64> = sources.iter().filter(|(_, performed)| *performed).map(|(end, _)| *end).collect();
        ends.sort_unstable_by(f64::total_cmp);
        let at = usize::try_from(required.saturating_sub(1)).unwrap_or(usize::MAX);
        ends.get(at).copied().unwrap_or(latest)
    };
    match join {
        Join::Count { required, .. } => nth(required),
        Join::Trigger(Trigger::AnySucceeded | Trigger::AnyFailed | Trigger::AnyDone) => nth(1),
        Join::Trigger(Trigger::Always) => 0.0,
        Join::All | Join::Any | Join::Trigger(_) | Join::Each | Join::Rounds { .. } => latest,
    }
}
