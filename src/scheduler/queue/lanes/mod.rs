//! The queues of all requirement classes: a lane for each, with sub-queues by tenant and kind.

mod check;
mod heads;
mod search;
mod sub_queue;

use super::fair::Share;
use crate::base::id::Seq;
use crate::base::structure::{Arena, Bits, IdMap, Slot, next_in};
use crate::scheduler::inconsistent::{Applied, InconsistentEvent};
use crate::scheduler::index::Room;
use crate::scheduler::ix::{AccountIx, ClassIx, KindIx, TaskIx, TenantIx};
use crate::task::Tier;
use core::time::Duration;
use heads::{Head, Heads};
use sub_queue::{Node, SubQueue, SubQueueIx};
pub(crate) use sub_queue::{SubQueueKey, Turn};

/// A position in the order of one sub-queue: the smallest is served first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rank {
    pub(crate) key: u64,
    pub(crate) seq: Seq,
}

impl Rank {
    const FIRST: Self = Self { key: 0, seq: Seq::ZERO };
}

/// One value for the tasks of the critical tier and one for all others.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByUrgency<T> {
    pub(crate) urgent: T,
    pub(crate) rest: T,
}

impl<T> ByUrgency<T> {
    pub(crate) const fn of(&self, urgent: bool) -> &T {
        if urgent { &self.urgent } else { &self.rest }
    }

    const fn of_mut(&mut self, urgent: bool) -> &mut T {
        if urgent { &mut self.urgent } else { &mut self.rest }
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = &T> {
        [&self.urgent, &self.rest].into_iter()
    }
}

/// One half of the queue of a class: that of the critical tier, or that of all others.
#[derive(Debug, Clone, Default)]
struct Lane {
    /// The sub-queues whose tasks may begin.
    heads: Heads,
    /// The sub-queue of the last push. Consecutive pushes usually go to the same sub-queue.
    recent: Option<SubQueueIx>,
    /// All its sub-queues.
    sub_queues: Vec<SubQueueIx>,
}

/// The first task of a lane and its rank.
#[derive(Debug, Clone, Copy)]
struct Front {
    rank: Rank,
    task: TaskIx,
}

impl Default for Front {
    fn default() -> Self {
        Self { rank: Rank::FIRST, task: TaskIx(Slot::new(u32::MAX)) }
    }
}

/// A task that is about to enter its sub-queue.
#[derive(Debug, Clone, Copy)]
struct Newcomer {
    key: SubQueueKey,
    tier: Tier,
    rank: Rank,
    task: TaskIx,
}

/// The sub-queues of one tenant or kind.
#[derive(Debug, Clone, Default)]
struct Group {
    sub_queues: Vec<SubQueueIx>,
    closed: bool,
    /// The number of tasks of a sub-queue that make a batch.
    least: u32,
    queued: usize,
    share: Share,
}

/// All lanes. Positions of tasks are stored by task index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes {
    lanes: ByUrgency<Vec<Lane>>,
    nodes: Vec<Node>,
    sub_queues: Arena<SubQueue>,
    index: IdMap<SubQueueKey, SubQueueIx>,
    tenants: Vec<Group>,
    kinds: Vec<Group>,
    by_tier: [usize; 4],
    /// The lanes in which a task may begin.
    ready: ByUrgency<Bits>,
    /// The first task of each lane that is ready, by rank. Meaningless under fair sharing.
    fronts: ByUrgency<Vec<Front>>,
    /// Sub-queues that have become empty and may be dropped.
    idle: Vec<SubQueueIx>,
    /// A new task, for which an agent is looked for before it enters its sub-queue.
    newcomer: Option<Newcomer>,
    /// Whether any gate was ever closed or any kind is batched.
    restricted: bool,
    /// Whether tenants share by weight; otherwise only ranks determine the order.
    fair: bool,
    /// The virtual time: the tag of the task that began last.
    virtual_time: u128,
}

/// The number of empty sub-queues that are kept for further tasks.
const IDLE: usize = 256;

impl Lanes {
    pub(crate) fn new(fair: bool) -> Self {
        Self { fair, ..Self::default() }
    }

    /// The new task that has not entered its sub-queue.
    #[inline]
    pub(crate) fn newcomer(&self) -> Option<TaskIx> {
        self.newcomer.map(|newcomer| newcomer.task)
    }

    /// The new task enters its sub-queue.
    #[cold]
    pub(crate) fn admit_newcomer(&mut self) -> Applied {
        let Some(Newcomer { key, tier, rank, task }) = self.newcomer.take() else { return Ok(()) };
        self.push(key, tier, rank, task)
    }

    /// Whether a new task would be the only one of its class that may begin. It is then no other task's turn.
    #[inline]
    fn is_alone(&self, class: ClassIx) -> bool {
        let is_ready = |urgent| self.ready.of(urgent).contains(class.index());
        !self.fair && !self.restricted && !is_ready(false) && !is_ready(true)
    }

    /// Receives a task. If it is new and no other task of its class may begin, it enters its sub-queue only with
    /// [`admit_newcomer`](Self::admit_newcomer), or is removed before: entering and leaving a sub-queue takes 900 instructions.
    #[inline]
    pub(crate) fn receive(&mut self, key: SubQueueKey, rank: (Tier, Rank), task: TaskIx, is_new: bool) -> Applied {
        let (tier, rank) = rank;
        if is_new && self.is_alone(key.class) {
            self.newcomer = Some(Newcomer { key, tier, rank, task });
            return Ok(());
        }
        self.push(key, tier, rank, task)
    }

    #[inline]
    pub(crate) fn push(&mut self, key: SubQueueKey, tier: Tier, rank: Rank, task: TaskIx) -> Applied {
        let at = self.sub_queue_for(key);
        if task.index() >= self.nodes.len() {
            self.nodes.resize(task.index() + 1, Node::AWAY);
        }
        let virtual_time = self.virtual_time;
        let tenant = self.tenant_mut(key.accounts.tenant);
        if tenant.queued == 0 {
            tenant.share.arrive(virtual_time);
        }
        tenant.queued += 1;
        self.kind_mut(key.accounts.kind).queued += 1;
        if let Some(count) = self.by_tier.get_mut(tier.index()) {
            *count += 1;
        }
        let sub_queue = self.sub_queues.get_mut(at.0).ok_or(NO_SUB_QUEUE)?;
        sub_queue.push(&mut self.nodes, at, tier, rank, task)?;
        if sub_queue.listed.is_none_or(|turn| turn.rank > rank) {
            self.refresh(at)?;
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, task: TaskIx) -> Applied {
        if self.newcomer.take_if(|newcomer| newcomer.task == task).is_some() {
            return Ok(());
        }
        let node = self.nodes.get(task.index()).copied().unwrap_or(Node::AWAY);
        let at = node.sub_queue().ok_or(NOT_QUEUED)?;
        let sub_queue = self.sub_queues.get_mut(at.0).ok_or(NO_SUB_QUEUE)?;
        sub_queue.remove(&mut self.nodes, task)?;
        let (key, first) = (sub_queue.key, sub_queue.listed.is_some_and(|turn| turn.rank == node.rank));
        // The next task has not waited as long.
        sub_queue.lingered &= !first;
        if sub_queue.len == 0 && !sub_queue.idle {
            sub_queue.idle = true;
            self.idle.push(at);
        }
        self.tenant_mut(key.accounts.tenant).queued -= 1;
        let kind = self.kind_mut(key.accounts.kind);
        kind.queued -= 1;
        let batched = kind.least > 1;
        if let Some(count) = self.by_tier.get_mut(node.tier.index()) {
            *count -= 1;
        }
        if first || batched {
            self.refresh(at)?;
        }
        if self.idle.len() > IDLE { self.sweep() } else { Ok(()) }
    }

    /// The first task of a lane that may begin in this room.
    pub(crate) fn head(&mut self, class: ClassIx, room: Room) -> Applied<Option<(Turn, TaskIx)>> {
        let urgent = self.first_of(class, true)?;
        let rest = if room == Room::Open { self.first_of(class, false)? } else { None };
        let first = match (urgent, rest) {
            (Some(urgent), Some(rest)) => {
                if rest.turn < urgent.turn {
                    rest
                } else {
                    urgent
                }
            }
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return Ok(None),
        };
        Ok(Some((first.turn, first.task)))
    }

    /// The first task over several lanes that may begin in this room, with its class.
    pub(crate) fn first_among(
        &mut self,
        room: Room,
        classes: &Bits,
        passes: impl Fn(ClassIx) -> bool,
    ) -> Applied<Option<(ClassIx, TaskIx)>> {
        let halves: &[bool] = if room == Room::Open { &[true, false] } else { &[true] };
        if self.fair {
            return self.first_among_shares(halves, classes, passes);
        }
        let mut first: Option<(Front, ClassIx)> = None;
        for &urgent in halves {
            let fronts = self.fronts.of(urgent);
            classes.each_common(self.ready.of(urgent), |at| {
                if let Some(front) = fronts.get(at)
                    && first.is_none_or(|(best, _)| front.rank < best.rank)
                    && let Some(class) = ClassIx::at(at)
                    && passes(class)
                {
                    first = Some((*front, class));
                }
            });
        }
        Ok(first.map(|(front, class)| (class, front.task)))
    }

    /// The same under fair sharing.
    fn first_among_shares(
        &mut self,
        halves: &[bool],
        classes: &Bits,
        passes: impl Fn(ClassIx) -> bool,
    ) -> Applied<Option<(ClassIx, TaskIx)>> {
        let mut first: Option<(Turn, ClassIx, TaskIx)> = None;
        for &urgent in halves {
            let mut from = 0;
            while let Some(at) = next_in([classes, self.ready.of(urgent)], from) {
                from = at + 1;
                if let Some(class) = ClassIx::at(at)
                    && passes(class)
                    && let Some(head) = self.first_of(class, urgent)?
                    && first.is_none_or(|(best, ..)| head.turn < best)
                {
                    first = Some((head.turn, class, head.task));
                }
            }
        }
        Ok(first.map(|(_, class, task)| (class, task)))
    }

    /// The first sub-queue of one half of a lane.
    #[inline]
    fn first_of(&mut self, class: ClassIx, urgent: bool) -> Applied<Option<Head>> {
        let first = self.lanes.of(urgent).get(class.index()).and_then(|lane| lane.heads.first()).copied();
        if self.fair && first.is_some() { self.first_by_share(class, urgent) } else { Ok(first) }
    }

    /// The same under fair sharing. Tags are updated lazily: the tag of a waiting tenant only grows, or is corrected at
    /// once, so a sub-queue that comes first with an outdated tag is moved to its position and the next one is tried.
    #[cold]
    fn first_by_share(&mut self, class: ClassIx, urgent: bool) -> Applied<Option<Head>> {
        loop {
            let heads = self.lanes.of(urgent).get(class.index()).map(|lane| &lane.heads);
            let Some(head) = heads.and_then(Heads::first).copied() else { return Ok(None) };
            let key = self.sub_queues.get(head.at.0).ok_or(NO_SUB_QUEUE)?.key;
            if head.turn.tag == self.order_tag(key.accounts.tenant) {
                return Ok(Some(head));
            }
            self.refresh(head.at)?;
        }
    }

    /// Whether the tasks of a sub-queue may begin.
    pub(crate) fn may_begin(&self, key: &SubQueueKey) -> bool {
        self.find(key).is_some_and(|sub_queue| sub_queue.listed.is_some())
    }

    /// The lanes in which tasks may begin.
    pub(crate) const fn ready(&self) -> &ByUrgency<Bits> {
        &self.ready
    }

    /// The number of waiting tasks by tier.
    pub(crate) const fn by_tier(&self) -> [usize; 4] {
        self.by_tier
    }

    /// The number of waiting tasks of a tenant or a kind.
    pub(crate) fn queued_of(&self, account: AccountIx) -> usize {
        let group = match account {
            AccountIx::Tenant(tenant) => self.tenants.get(tenant.0.index()),
            AccountIx::Kind(kind) => self.kinds.get(kind.0.index()),
        };
        group.map_or(0, |group| group.queued)
    }

    /// The tasks of a tenant, by rank.
    pub(crate) fn tasks_of(&self, tenant: TenantIx) -> Vec<TaskIx> {
        let sub_queues = self.tenants.get(tenant.0.index()).into_iter().flat_map(|group| &group.sub_queues);
        let sub_queues = sub_queues.filter_map(|at| self.sub_queues.get(at.0));
        let mut tasks: Vec<(Rank, TaskIx)> = sub_queues.flat_map(|sub_queue| sub_queue.tasks(&self.nodes)).collect();
        tasks.sort_unstable();
        tasks.into_iter().map(|(_, task)| task).collect()
    }

    /// The sub-queue in which a task waits, and its rank.
    pub(crate) fn position_of(&self, task: TaskIx) -> Option<(SubQueueKey, Rank)> {
        let node = self.nodes.get(task.index())?;
        Some((self.sub_queues.get(node.sub_queue()?.0)?.key, node.rank))
    }

    /// Opens or closes the gate of a tenant or a kind. Returns the lanes in which a task has become able to begin.
    pub(crate) fn gate(&mut self, account: AccountIx, open: bool) -> Applied<Vec<ClassIx>> {
        let group = self.group_mut(account);
        if group.closed != open {
            return Ok(Vec::new());
        }
        group.closed = !open;
        self.restricted |= !open;
        let group = self.group_mut(account);
        let sub_queues = group.sub_queues.clone();
        self.refresh_all(&sub_queues)
    }

    fn refresh_all(&mut self, sub_queues: &[SubQueueIx]) -> Applied<Vec<ClassIx>> {
        let mut opened = Vec::new();
        for &at in sub_queues {
            let was = self.sub_queues.get(at.0).is_some_and(|sub_queue| sub_queue.listed.is_some());
            self.refresh(at)?;
            match self.sub_queues.get(at.0) {
                Some(sub_queue) if sub_queue.listed.is_some() && !was => opened.push(sub_queue.key.class),
                _ => {}
            }
        }
        opened.sort_unstable();
        opened.dedup();
        Ok(opened)
    }

    /// Adds a tenant without service. An earlier tenant may have had its index.
    pub(crate) fn add_tenant(&mut self, tenant: TenantIx, weight: u32) {
        let group = self.tenant_mut(tenant);
        (group.closed, group.share) = (false, Share { tag: 0, weight });
    }

    /// Adds a kind with an open gate, of which `least` tasks make a batch. An earlier kind may have had its index.
    pub(crate) fn add_kind(&mut self, kind: KindIx, least: u32) {
        self.restricted |= least > 1;
        let group = self.kind_mut(kind);
        (group.closed, group.least) = (false, least);
    }

    /// Opens the sub-queues of a kind in which the linger of the first task has elapsed. Returns the lanes in which a
    /// task has become able to begin.
    pub(crate) fn end_linger(
        &mut self,
        kind: KindIx,
        mut has_elapsed: impl FnMut(TaskIx) -> bool,
    ) -> Applied<Vec<ClassIx>> {
        let sub_queues = self.kind_mut(kind).sub_queues.clone();
        for at in &sub_queues {
            let sub_queue = self.sub_queues.get_mut(at.0).ok_or(NO_SUB_QUEUE)?;
            if sub_queue.listed.is_none()
                && let Some((_, first)) = sub_queue.head()
            {
                sub_queue.lingered = has_elapsed(first);
            }
        }
        self.refresh_all(&sub_queues)
    }

    /// The first task of a sub-queue, if the gates of its tenant and kind are open.
    pub(crate) fn head_of(&self, key: &SubQueueKey) -> Option<TaskIx> {
        let (_, task) = self.find(key)?.head().filter(|_| self.is_open(key))?;
        Some(task)
    }

    /// The first task of a sub-queue, if that has too few tasks for a batch.
    pub(crate) fn first_lingering(&self, key: &SubQueueKey) -> Option<TaskIx> {
        if self.kinds.get(key.accounts.kind.0.index()).is_none_or(|kind| kind.least <= 1) {
            return None;
        }
        let sub_queue = self.find(key)?;
        let (_, task) = sub_queue.head()?;
        (!self.is_enough(sub_queue)).then_some(task)
    }

    fn find(&self, key: &SubQueueKey) -> Option<&SubQueue> {
        self.sub_queues.get(self.index.get(key)?.0)
    }

    fn is_open(&self, key: &SubQueueKey) -> bool {
        let closed = |groups: &[Group], at: Slot| groups.get(at.index()).is_some_and(|group| group.closed);
        !closed(&self.tenants, key.accounts.tenant.0) && !closed(&self.kinds, key.accounts.kind.0)
    }

    /// Whether a sub-queue has enough tasks for a batch, or its first task has lingered.
    fn is_enough(&self, sub_queue: &SubQueue) -> bool {
        let kind = self.kinds.get(sub_queue.key.accounts.kind.0.index());
        sub_queue.lingered || kind.is_none_or(|kind| sub_queue.len >= kind.least)
    }

    /// Charges a tenant the expected duration of an attempt that begins.
    pub(crate) fn charge(&mut self, tenant: TenantIx, service: Duration) -> Applied {
        if self.fair {
            let share = &mut self.tenant_mut(tenant).share;
            let tag = share.tag;
            share.charge(service).ok_or(TOO_LATE)?;
            self.virtual_time = self.virtual_time.max(tag);
        }
        Ok(())
    }

    /// Replaces the charge of an attempt that has ended by its actual duration.
    pub(crate) fn settle(&mut self, tenant: TenantIx, charged: Duration, took: Duration) -> Applied {
        if !self.fair || charged == took {
            return Ok(());
        }
        let group = self.tenant_mut(tenant);
        let before = group.share.tag;
        group.share.settle(charged, took).ok_or(TOO_LATE)?;
        if group.share.tag < before {
            for at in group.sub_queues.clone() {
                self.refresh(at)?;
            }
        }
        Ok(())
    }

    /// The service that a tenant has received, in virtual time. Snapshots store it and the virtual time.
    pub(crate) fn tag(&self, tenant: TenantIx) -> u128 {
        self.tenants.get(tenant.0.index()).map_or(0, |tenant| tenant.share.tag)
    }

    pub(crate) const fn virtual_time(&self) -> u128 {
        self.virtual_time
    }

    pub(crate) fn put_tag(&mut self, tenant: TenantIx, tag: u128) {
        self.tenant_mut(tenant).share.tag = tag;
    }

    pub(crate) const fn put_virtual_time(&mut self, time: u128) {
        self.virtual_time = time;
    }

    /// The tag by which the tenant's sub-queues are ordered.
    fn order_tag(&self, tenant: TenantIx) -> u128 {
        if self.fair { self.tag(tenant) } else { 0 }
    }

    fn group_mut(&mut self, account: AccountIx) -> &mut Group {
        match account {
            AccountIx::Tenant(tenant) => self.tenant_mut(tenant),
            AccountIx::Kind(kind) => self.kind_mut(kind),
        }
    }

    fn tenant_mut(&mut self, tenant: TenantIx) -> &mut Group {
        at_or_new(&mut self.tenants, tenant.0.index())
    }

    fn kind_mut(&mut self, kind: KindIx) -> &mut Group {
        at_or_new(&mut self.kinds, kind.0.index())
    }

    fn lane_mut(&mut self, key: &SubQueueKey) -> &mut Lane {
        at_or_new(self.lanes.of_mut(key.urgent), key.class.index())
    }

    fn sub_queue_for(&mut self, key: SubQueueKey) -> SubQueueIx {
        let recent = self.lane_mut(&key).recent;
        let is_at = |at: &SubQueueIx| self.sub_queues.get(at.0).is_some_and(|sub_queue| sub_queue.key == key);
        if let Some(at) = recent.filter(is_at) {
            return at;
        }
        let at = match self.index.get(&key) {
            Some(&at) => at,
            None => self.add_sub_queue(key),
        };
        self.lane_mut(&key).recent = Some(at);
        at
    }

    fn add_sub_queue(&mut self, key: SubQueueKey) -> SubQueueIx {
        let at = SubQueueIx(self.sub_queues.insert(SubQueue::new(key)));
        self.index.insert(key, at);
        key.accounts.each().into_iter().for_each(|account| self.group_mut(account).sub_queues.push(at));
        self.lane_mut(&key).sub_queues.push(at);
        at
    }

    /// Moves the sub-queue to its position among the heads of its lane.
    fn refresh(&mut self, at: SubQueueIx) -> Applied {
        let is_held = self.restricted && !self.sub_queues.get(at.0).is_some_and(|sub_queue| self.may_list(sub_queue));
        let sub_queue = self.sub_queues.get_mut(at.0).ok_or(NO_SUB_QUEUE)?;
        let head = if is_held { None } else { sub_queue.head() };
        let (key, old) = (sub_queue.key, sub_queue.listed);
        let tenant = if self.fair { self.tenants.get(key.accounts.tenant.0.index()) } else { None };
        let tag = tenant.map_or(0, |tenant| tenant.share.tag);
        let new = head.map(|(rank, task)| Head { turn: Turn { tag, rank }, at, task });
        let turn = new.map(|head| head.turn);
        if old == turn {
            return Ok(());
        }
        sub_queue.listed = turn;
        let heads = &mut at_or_new(self.lanes.of_mut(key.urgent), key.class.index()).heads;
        heads.replace(at, old, new)?;
        let first = heads.first();
        if let Some(Head { turn, task, .. }) = first {
            *at_or_new(self.fronts.of_mut(key.urgent), key.class.index()) = Front { rank: turn.rank, task: *task };
        }
        if old.is_none() || turn.is_none() {
            self.ready.of_mut(key.urgent).put(key.class.index(), first.is_some());
        }
        Ok(())
    }

    /// Whether no gate and no batch keeps the tasks of a sub-queue back.
    fn may_list(&self, sub_queue: &SubQueue) -> bool {
        self.is_open(&sub_queue.key) && self.is_enough(sub_queue)
    }

    /// Drops the sub-queues that are still empty.
    fn sweep(&mut self) -> Applied {
        for at in core::mem::take(&mut self.idle) {
            let sub_queue = self.sub_queues.get_mut(at.0).ok_or(NO_SUB_QUEUE)?;
            sub_queue.idle = false;
            if sub_queue.len > 0 {
                continue;
            }
            let key = sub_queue.key;
            self.sub_queues.remove(at.0);
            self.index.remove(&key);
            for account in key.accounts.each() {
                self.group_mut(account).sub_queues.retain(|other| *other != at);
            }
            let lane = self.lane_mut(&key);
            lane.sub_queues.retain(|other| *other != at);
            if lane.recent == Some(at) {
                lane.recent = None;
            }
        }
        Ok(())
    }
}

const NO_SUB_QUEUE: InconsistentEvent = InconsistentEvent("there is no sub-queue at this index");
const TOO_LATE: InconsistentEvent = InconsistentEvent("the service of a tenant cannot be counted any more");
const NOT_QUEUED: InconsistentEvent = InconsistentEvent("a task that leaves its queue is not queued");

/// The element at this index. The vector grows to it if necessary.
#[inline]
fn at_or_new<T: Default>(all: &mut Vec<T>, at: usize) -> &mut T {
    if at >= all.len() {
        grow(all, at);
    }
    #[expect(clippy::indexing_slicing, reason = "the line above made room for it")]
    &mut all[at]
}

#[cold]
fn grow<T: Default>(all: &mut Vec<T>, at: usize) {
    all.resize_with(at + 1, T::default);
}

#[cfg(test)]
mod tests;
