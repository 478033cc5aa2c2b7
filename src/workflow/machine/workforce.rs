//! The tasks and child runs that work for a run, and what they spend.

use super::Run;
use super::node::{Claim, Instance, InstanceUndo, Worker};
use crate::base::id::{NodeIx, RunId};
use crate::task::{Owner, Phase, Spending};

/// The tasks and child runs of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workforce<'a> {
    run: &'a Run,
}

/// What was spent by instances that the run does not have any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpentBefore {
    /// The node whose account it is on; none: only the run's.
    pub(crate) node: Option<NodeIx>,
    pub(crate) spent: Spending,
}

impl<'a> Workforce<'a> {
    pub(super) const fn new(run: &'a Run) -> Self {
        Self { run }
    }

    fn instances(self) -> impl Iterator<Item = (NodeIx, u32, &'a Instance)> {
        let nodes = self.run.graph.indexes().zip(self.run.graph.states());
        nodes.flat_map(|(ix, state)| state.instances().indexed().map(move |(index, instance)| (ix, index, instance)))
    }

    /// The child runs, those of nodes that were done anew included.
    pub(crate) fn children(self) -> impl Iterator<Item = RunId> + use<'a> {
        let children = self.run.graph.states().iter().flat_map(|state| state.instances().children());
        children.chain(self.run.former.iter().copied())
    }

    /// The child runs under way.
    pub(crate) fn active_children(self) -> impl Iterator<Item = RunId> + use<'a> {
        self.run.graph.states().iter().flat_map(|state| state.instances().active_children())
    }

    /// The tasks and child runs that work for the run now, each as what.
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

    /// The tasks and child runs that work for the run now or did, those of compensations not included.
    pub(crate) fn all(self) -> impl Iterator<Item = (Owner, Worker)> + use<'a> {
        self.instances().flat_map(move |(ix, index, instance)| {
            let owner = |phase| Owner::new(self.run.id(), ix, index, phase);
            let query = instance.query().map(|task| (owner(Phase::Query), Worker::Task(task)));
            core::iter::once((owner(Phase::Do), instance.worker())).chain(query)
        })
    }

    /// The instances that are or were tasks.
    pub(crate) fn tasks(self) -> impl Iterator<Item = Owner> + use<'a> {
        let tasks = self.instances().filter(|(.., instance)| instance.worker().task().is_some());
        tasks.map(move |(ix, index, _)| Owner::new(self.run.id(), ix, index, Phase::Do))
    }

    fn instance(self, owner: Owner) -> Option<&'a Instance> {
        self.run.graph.instance(owner).map(|(_, instance)| instance)
    }

    /// Whether a child run is or was this instance, or one of a node that was done anew.
    pub(crate) fn has_child(self, owner: Owner, child: RunId) -> bool {
        let is_instance = self.instance(owner).is_some_and(|known| known.worker() == Worker::Child(child));
        is_instance || self.run.former.contains(&child)
    }

    /// Whether a child run is this instance and under way, or is being compensated for it.
    pub(crate) fn waits_for_child(self, owner: Owner, child: RunId) -> bool {
        let worker = Worker::Child(child);
        let instance = self.instance(owner).filter(|instance| instance.worker() == worker);
        instance.is_some_and(|instance| match instance.undo() {
            InstanceUndo::Idle => instance.is_active(),
            InstanceUndo::Active(active) => *active == worker,
            InstanceUndo::Undone | InstanceUndo::Failed(_) => false,
        })
    }

    /// What an instance takes of budgets.
    pub(crate) fn claim(self, owner: Owner) -> Claim {
        self.instance(owner).map(Instance::claim).unwrap_or_default()
    }

    /// What was spent by nodes that were done anew, or that the run does not have any more.
    pub(crate) fn spent_before(self) -> impl Iterator<Item = SpentBefore> + use<'a> {
        let nodes = self.run.graph.nodes().map(|node| (Some(node.ix), node.state.aside().spent_before));
        let all = nodes.chain([(None, self.gone())]).filter(|(_, spent)| !spent.is_nothing());
        all.map(|(node, spent)| SpentBefore { node, spent })
    }

    /// What nodes spent that the run does not have any more.
    pub(super) fn gone(self) -> Spending {
        self.run.gone.as_deref().copied().unwrap_or_default()
    }

    /// What the run has spent, that of its child runs not included.
    pub(crate) fn spent(self) -> Spending {
        self.run.graph.states().iter().fold(self.gone(), |sum, state| sum + state.spent())
    }
}
