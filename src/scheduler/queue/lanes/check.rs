//! The invariants of lanes. The check visits every sub-queue and every position.

use super::heads::Head;
use super::sub_queue::SubQueueIx;
use super::{Front, Lanes};

impl Lanes {
    /// Compares heads and ready lanes with those computed from every sub-queue.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(task) = self.newcomer() {
            return Err(format!("the new task at {task:?} has not entered its sub-queue"));
        }
        let (mut heads, mut queued) = (0, 0);
        for (slot, sub_queue) in self.sub_queues.iter() {
            let key = sub_queue.key;
            queued += sub_queue.len as usize;
            let may_list = self.may_list(sub_queue);
            let head = if may_list { sub_queue.head().map(|(rank, _)| rank) } else { None };
            if sub_queue.listed.map(|turn| turn.rank) != head {
                return Err(format!("the sub-queue {key:?} is listed at {:?}, not {head:?}", sub_queue.listed));
            }
            let Some(turn) = sub_queue.listed else {
                if sub_queue.len > 0 && !may_list && !self.restricted {
                    return Err(format!("the sub-queue {key:?} is kept back although there are no restrictions"));
                }
                continue;
            };
            heads += 1;
            let lane = self.lanes.of(key.urgent).get(key.class.index());
            let at = SubQueueIx(slot);
            let listed = lane.is_some_and(|lane| lane.heads.contains(turn, at));
            let ready = self.ready.of(key.urgent).contains(key.class.index());
            // A listed tag may be lower than that of the tenant, but not higher.
            if !listed || !ready || turn.tag > self.order_tag(key.accounts.tenant) {
                return Err(format!(
                    "the sub-queue {key:?} is not among the heads of its lane, or the lane is not ready"
                ));
            }
        }
        for (fronts, (lanes, ready)) in self.fronts.each().zip(self.lanes.each().zip(self.ready.each())) {
            let firsts = ready.iter().map(|at| (lanes.get(at).and_then(|lane| lane.heads.first()), fronts.get(at)));
            let agree = |(head, front): (Option<&Head>, Option<&Front>)| {
                head.map(|head| (head.turn.rank, head.task)) == front.map(|front| (front.rank, front.task))
            };
            if !firsts.into_iter().all(agree) {
                return Err("the front of a lane is not its first task".into());
            }
        }
        let lanes = || self.lanes.each().flatten();
        if !lanes().all(|lane| lane.heads.is_sound()) {
            return Err("the first head of a lane is not its least one".into());
        }
        if !self.sub_queues.iter().all(|(_, sub_queue)| sub_queue.is_sound(&self.nodes)) {
            return Err("the rank of a list is not that of its first task".into());
        }
        let listed: usize = lanes().map(|lane| lane.heads.len()).sum();
        let nodes = self.nodes.iter().filter(|node| node.sub_queue().is_some()).count();
        let by_tier = self.by_tier.iter().sum::<usize>();
        if (listed, nodes, by_tier) != (heads, queued, queued) {
            return Err(format!(
                "{queued} tasks and {heads} heads, but {listed} heads are listed, {nodes} tasks have a position and {by_tier} are counted by tier"
            ));
        }
        Ok(())
    }
}
