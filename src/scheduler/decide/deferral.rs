//! Deferrals of long tasks while too much work waits.

use crate::message::event::TaskEvent;
use crate::scheduler::log::Tx;
use crate::scheduler::machine::Core;
use crate::scheduler::queue::Arrival;

/// After a submit: defers the longest tasks while more work is queued than the agents perform within the patience of the
/// discipline. A crash before the last of these events loses only the rest of the deferrals.
pub(super) fn defer(core: &mut Core, tx: &mut Tx<'_>) {
    // Without an agent, one slot is assumed: what is not too much for one is not for more, and no agent is counted. An agent
    // has a slot or more: only a longer queue needs their exact number.
    let (fleet, deferrals) = (core.reader.state.index().fleet(), core.reader.state.queues().deferrals());
    if deferrals.next(1).is_none() || deferrals.next(fleet.count_online()).is_none() {
        return;
    }
    let (capacity, visited) = fleet.online_capacity();
    tx.meter.visit(visited);
    while !tx.meter.is_spent() {
        let state = &core.reader.state;
        let next = state.queues().deferrals().next(capacity).and_then(|at| state.tasks().get(at));
        let Some(task) = next else { return };
        let Some(until) = state.queues().deferrals().until(&Arrival::of(task)) else { return };
        core.emit(TaskEvent::Deferred { until }.of(task.id()), tx);
    }
}
