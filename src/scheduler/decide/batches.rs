//! Assignment of batches.

use super::dispatch::Dispatch;
use crate::base::id::Incarnation;
use crate::message::event::TaskEvent;
use crate::scheduler::index::Room;
use crate::scheduler::ix::AccountIx;
use crate::scheduler::queue::{Account, SubQueueKey};
use crate::scheduler::reader::Reader;

impl Dispatch<'_, '_> {
    /// Assigns more tasks of a sub-queue to the agent that was assigned its first one, and bundles the dispatches into
    /// one effect.
    pub(super) fn fill_batch(&mut self, first: usize, key: SubQueueKey, to: Incarnation) {
        let account = self.core.reader.state.queues().account(AccountIx::Kind(key.accounts.kind));
        let Some(batch) = account.and_then(Account::batch) else { return };
        for _ in 1..batch.most {
            if !self.core.reader.has_room_for(&key, to) {
                break;
            }
            let state = &self.core.reader.state;
            let Some(task) = state.queues().head_of(&key).and_then(|at| state.tasks().get(at)) else { break };
            match task.bound() {
                Some((at, bound)) if at <= self.tx.now => {
                    let id = task.id();
                    self.expire(id, bound);
                }
                _ => {
                    let attempt = task.next_attempt();
                    self.core.emit(TaskEvent::Assigned { attempt: attempt.number(), to }.of(attempt.task()), self.tx);
                }
            }
        }
        self.tx.out.bundle(first, to);
    }
}

impl Reader {
    /// Whether the agent has room and resources for a task of this sub-queue.
    pub(super) fn has_room_for(&self, key: &SubQueueKey, to: Incarnation) -> bool {
        let index = self.state.index();
        let Some(agent) = index.fleet().current(to) else { return false };
        let room = if key.urgent { Room::Reserved } else { Room::Open };
        let member = index.fleet().get(agent);
        index.fleet().with_room(room).contains(agent.index())
            && member.is_some_and(|member| index.has_resources(key.class, member))
    }
}
