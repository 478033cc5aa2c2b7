//! The sagas as cano's workflows of states.

use super::Way;
use cano::prelude::*;
use tokio::runtime::Runtime;

/// A state, by its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct At(u64);

struct Act(u64);

#[saga::task(state = At)]
impl Act {
    type Output = u32;

    fn config(&self) -> TaskConfig {
        TaskConfig::minimal()
    }

    async fn run(&self, _: &Resources) -> Result<(TaskResult<At>, u32), CanoError> {
        Ok((TaskResult::Single(At(self.0 + 1)), 1))
    }

    async fn compensate(&self, _: &Resources, _: u32) -> Result<(), CanoError> {
        Ok(())
    }
}

struct Fail;

#[task(state = At)]
impl Fail {
    fn config(&self) -> TaskConfig {
        TaskConfig::minimal()
    }

    async fn run_bare(&self) -> Result<TaskResult<At>, CanoError> {
        Err(CanoError::task_execution("no"))
    }
}

#[derive(Clone)]
struct Lane(u64);

#[task(state = At)]
impl Lane {
    fn config(&self) -> TaskConfig {
        TaskConfig::minimal()
    }

    async fn run_bare(&self) -> Result<TaskResult<At>, CanoError> {
        Ok(TaskResult::Single(At(self.0 + 1)))
    }
}

pub(super) fn chain(steps: u64, way: Way) -> Workflow<At> {
    let mut flow = Workflow::bare();
    for place in 0..steps {
        flow = if place + 1 == steps && way == Way::AndBack {
            flow.register(At(place), Fail)
        } else {
            flow.register_with_compensation(At(place), Act(place))
        };
    }
    flow.add_exit_state(At(steps))
}

pub(super) fn stages(count: u64) -> Workflow<At> {
    let mut flow = Workflow::bare();
    for stage in 0..count {
        let join = JoinConfig::new(JoinStrategy::All, At(stage + 1));
        flow = flow.register_split(At(stage), vec![Lane(stage); 4], join);
    }
    flow.add_exit_state(At(count))
}

pub(super) fn run(runtime: &Runtime, flow: &Workflow<At>, way: Way) {
    let end = runtime.block_on(flow.orchestrate(At(0)));
    assert_eq!(end.is_ok(), way == Way::Forward);
}
