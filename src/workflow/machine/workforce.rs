//! The tasks and child runs of a run, and their usage.

use super::Run;
use super::node::{Claim, Instance, InstanceUndo, Worker};
use crate::base::id::{NodeIx, RunId};
use crate::task::{Origin, Owner, Phase, Spending, work_of_call, work_of_step};

/// The tasks and child runs of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workforce<'a> {
    run: &'a Run,
}

/// The usage of instances that the run no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpentBefore {
    /// The node whose budget it counts against; none if it counts only against that of the run.
    pub(crate) node: Option<NodeIx>,
    pub(crate) spent: Spending,
}

impl<'a> Workforce<'a> {
    pub(super) const fn new(run: &'a Run) -> Self {
        Self { run }
    }

    /// The work of the task or child run that performs a step of the run.
    pub(crate) fn origin_of(self, owner: Owner) -> Origin {
        let name = self.run.plan().name(owner.node);
        let repeats = self.run.graph.state(owner.node).map_or(0, |state| state.aside().repeats);
        let node = self.run.graph.node(owner.node);
        let call = node.and_then(|node| node.function_work()?.call_of(owner.item, node.state.instances()));
        if let Some(call) = call {
            let step = work_of_step(self.run.work, &name, repeats, Owner { item: call.repeats, ..owner });
            return Origin::Work(work_of_call(step, &call.key, &call.occurrence.to_string()));
        }
        Origin::Work(work_of_step(self.run.work, &name, repeats, owner))
    }

    fn instances(self) -> impl Iterator<Item = (NodeIx, u32, &'a Instance)> {
        let nodes = self.run.graph.indexes().zip(self.run.graph.states());
        nodes.flat_map(|(ix, state)| state.instances().indexed().map(move |(index, instance)| (ix, index, instance)))
    }

    /// The child runs, including those of nodes that were executed again.
    pub(crate) fn children(self) -> impl Iterator<Item = RunId> + use<'a> {
        let children = self.run.graph.states().iter().flat_map(|state| state.instances().children());
        children.chain(self.run.former.iter().copied())
    }

    /// The child runs under way.
    pub(crate) fn active_children(self) -> impl Iterator<Item = RunId> + use<'a> {
        self.run.graph.states().iter().flat_map(|state| state.instances().active_children())
    }

    /// The tasks and child runs under way, with their owners.
    pub(crate) fn active(self) -> impl Iterator<Item = (Owner, Worker)> + use<'a> {
        self.instances().filter_map(move |(ix, index, instance)| {
            let owner = |phase| Owner::new(self.run.id(), ix, index, phase);
            match instance.undo() {
                InstanceUndo::Active(worker) => Some((owner(Phase::Undo), *worker)),
                InstanceUndo::Idle if instance.is_unknown() => {
                    instance.query().map(|task| (owner(Phase::Query), Worker::Task(task)))
                }
                InstanceUndo::Idle if instance.is_active() => Some((owner(Phase::Do), instance.worker())),
                InstanceUndo::Idle | InstanceUndo::Undone | InstanceUndo::Failed(_) => None,
            }
        })
    }

    /// The tasks and child runs under way or ended, without those of compensations.
    pub(crate) fn all(self) -> impl Iterator<Item = (Owner, Worker)> + use<'a> {
        self.instances().flat_map(move |(ix, index, instance)| {
            let owner = |phase| Owner::new(self.run.id(), ix, index, phase);
            let query = instance.query().map(|task| (owner(Phase::Query), Worker::Task(task)));
            core::iter::once((owner(Phase::Do), instance.worker())).chain(query)
        })
    }

    /// The instances with amounts of their own: those that are or were tasks, and child runs that a task compensates. A child
    /// run has the rest of its amounts in itself.
    pub(crate) fn tasks(self) -> impl Iterator<Item = Owner> + use<'a> {
        let has_task = |instance: &Instance| instance.worker().task().is_some() || instance.claim() != Claim::default();
        let tasks = self.instances().filter(move |(.., instance)| has_task(instance));
        tasks.map(move |(ix, index, _)| Owner::new(self.run.id(), ix, index, Phase::Do))
    }

    fn instance(self, owner: Owner) -> Option<&'a Instance> {
        self.run.graph.instance(owner).map(|(_, instance)| instance)
    }

    /// Whether a child run is or was this instance, possibly before its node was executed again.
    pub(crate) fn has_child(self, owner: Owner, child: RunId) -> bool {
        let is_instance = self.instance(owner).is_some_and(|known| known.worker() == Worker::Child(child));
        is_instance || self.run.former.contains(&child)
    }

    /// Whether a child run performs this instance and is under way, or is being compensated for it.
    pub(crate) fn waits_for_child(self, owner: Owner, child: RunId) -> bool {
        let worker = Worker::Child(child);
        let instance = self.instance(owner).filter(|instance| instance.worker() == worker);
        instance.is_some_and(|instance| match instance.undo() {
            InstanceUndo::Idle => instance.is_active(),
            InstanceUndo::Active(active) => *active == worker,
            InstanceUndo::Undone | InstanceUndo::Failed(_) => false,
        })
    }

    /// The amounts that an instance occupies in budgets.
    pub(crate) fn claim(self, owner: Owner) -> Claim {
        self.instance(owner).map(Instance::claim).unwrap_or_default()
    }

    /// The usage of nodes before they were executed again, and of nodes that the run no longer has.
    pub(crate) fn spent_before(self) -> impl Iterator<Item = SpentBefore> + use<'a> {
        let nodes = self.run.graph.nodes().map(|node| (Some(node.ix), node.state.aside().spent_before));
        let all = nodes.chain([(None, self.gone())]).filter(|(_, spent)| !spent.is_nothing());
        all.map(|(node, spent)| SpentBefore { node, spent })
    }

    /// The usage of nodes that the run no longer has.
    pub(super) fn gone(self) -> Spending {
        self.run.gone.as_deref().copied().unwrap_or_default()
    }

    /// The usage of the run, without that of its child runs.
    pub(crate) fn spent(self) -> Spending {
        self.run.graph.states().iter().fold(self.gone(), |sum, state| sum + state.spent())
    }
}
