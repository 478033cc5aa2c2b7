//! The waiting lines of all requirement classes.

use super::fair::Share;
use super::strand::{NOWHERE, Node, Strand, StrandKey, Turn};
use crate::id::Seq;
use crate::structure::{Arena, Bits, IdMap, Slot};
use core::time::Duration;
use std::collections::BTreeSet;

/// A place in the order of one strand: smaller goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rank {
    pub(crate) key: u64,
    pub(crate) seq: Seq,
}

impl Rank {
    pub(super) const FIRST: Self = Self { key: 0, seq: Seq::ZERO };
}

/// Whom a look at a lane is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sight {
    /// An agent whose room is kept for the first tier.
    Urgent,
    /// An agent that takes anything.
    All,
}

/// The waiting line of one class.
#[derive(Debug, Clone, Default)]
struct Lane {
    /// The strands that may go, by their first tasks: those of the first tier, and the others.
    heads: [BTreeSet<(Turn, u32)>; 2],
    /// The strand that was last added to: almost always the next one, too.
    recent: Option<u32>,
}

/// A tenant or a kind, as far as lines are concerned.
#[derive(Debug, Clone, Default)]
struct Party {
    strands: Vec<u32>,
    closed: bool,
    /// So many tasks of a strand wait for each other.
    least: u32,
    queued: usize,
    share: Share,
}

/// All lanes. Where each task stands is kept under the index of the task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    nodes: Vec<Node>,
    strands: Arena<Strand>,
    index: IdMap<StrandKey, u32>,
    tenants: Vec<Party>,
    kinds: Vec<Party>,
    by_tier: [usize; 4],
    /// The lanes in which a task of the first tier may go, and those in which another may.
    ready: [Bits; 2],
    /// Strands that have been empty.
    idle: Vec<u32>,
    /// Whether tenants share by weight; else only ranks count.
    fair: bool,
    /// The virtual time: the tag of what was last begun.
    virtual_time: u64,
}

/// So many strands may stay empty because tasks may come again.
const IDLE: usize = 256;

impl Lanes {
    pub(crate) fn new(fair: bool) -> Self {
        Self { fair, ..Self::default() }
    }

    pub(crate) fn push(&mut self, key: StrandKey, tier: usize, rank: Rank, task: Slot) {
        let id = self.strand_for(key);
        if task.index() >= self.nodes.len() {
            self.nodes.resize(task.index() + 1, Node::AWAY);
        }
        let virtual_time = self.virtual_time;
        let tenant = party(&mut self.tenants, key.tenant);
        if tenant.queued == 0 {
            tenant.share.arrive(virtual_time);
        }
        tenant.queued += 1;
        party(&mut self.kinds, key.kind).queued += 1;
        if let Some(count) = self.by_tier.get_mut(tier) {
            *count += 1;
        }
        let Some(strand) = self.strands.get_mut(Slot::new(id)) else { return };
        strand.push(&mut self.nodes, id, u8::try_from(tier).unwrap_or(u8::MAX), rank, task);
        if strand.listed.is_none_or(|turn| turn.rank > rank) {
            self.refresh(id);
        }
    }

    pub(crate) fn remove(&mut self, task: Slot) {
        let Some(&Node { rank, strand: id, tier, .. }) = self.nodes.get(task.index()) else { return };
        let Some(strand) = self.strands.get_mut(Slot::new(id)) else { return };
        strand.remove(&mut self.nodes, task);
        let (key, first) = (strand.key, strand.listed.is_some_and(|turn| turn.rank == rank));
        // Whoever comes next has not waited as long.
        strand.ripe &= !first;
        if strand.len == 0 && !strand.idle {
            strand.idle = true;
            self.idle.push(id);
        }
        party(&mut self.tenants, key.tenant).queued -= 1;
        let kind = party(&mut self.kinds, key.kind);
        kind.queued -= 1;
        let batched = kind.least > 1;
        if let Some(count) = self.by_tier.get_mut(usize::from(tier)) {
            *count -= 1;
        }
        if first || batched {
            self.refresh(id);
        }
        if self.idle.len() > IDLE {
            self.sweep();
        }
    }

    /// The task that is next in a lane, of those that may go.
    pub(crate) fn head(&mut self, lane: usize, sight: Sight) -> Option<(Turn, Slot)> {
        let urgent = self.first_of(lane, 0);
        let rest = if sight == Sight::All { self.first_of(lane, 1) } else { None };
        let (turn, id) = urgent.into_iter().chain(rest).min()?;
        let (_, task) = self.strands.get(Slot::new(id))?.head(&self.nodes)?;
        Some((turn, task))
    }

    /// The first strand of a half of a lane. What tenants have had only grows while they wait, or is set right at once: a
    /// strand that comes first with a tag that is behind is put where it belongs, and then the next is looked at.
    fn first_of(&mut self, lane: usize, half: usize) -> Option<(Turn, u32)> {
        loop {
            let heads = self.lanes.get(lane)?.heads.get(half)?;
            let &(turn, id) = heads.first()?;
            let key = self.strands.get(Slot::new(id))?.key;
            if turn.tag == self.tag_of(key.tenant) {
                return Some((turn, id));
            }
            self.refresh(id);
        }
    }

    /// The first task of a lane that may go and passes; those of the first tier before all others.
    pub(crate) fn first_where(&self, lane: usize, mut pass: impl FnMut(Slot) -> bool) -> Option<Slot> {
        for heads in &self.lanes.get(lane)?.heads {
            let mut best: Option<(Turn, Slot)> = None;
            for (turn, id) in heads {
                if best.is_some_and(|(first, _)| first < *turn) {
                    break;
                }
                let strand = self.strands.get(Slot::new(*id))?;
                let found = strand.first_where(&self.nodes, &mut pass);
                let found = found.map(|(rank, task)| (Turn { tag: turn.tag, rank }, task));
                best = best.into_iter().chain(found).min();
            }
            if let Some((_, task)) = best {
                return Some(task);
            }
        }
        None
    }

    /// How many tasks of a lane that may go stand before this rank, counted up to `most`. Where tenants share, those of
    /// other tenants count by their ranks, too.
    pub(crate) fn count_ahead(&self, lane: usize, rank: Rank, most: usize) -> usize {
        let heads = self.lanes.get(lane).map(|lane| &lane.heads).into_iter().flatten();
        let strands = heads.flatten().filter_map(|(_, id)| self.strands.get(Slot::new(*id)));
        let mut count = 0;
        for strand in strands {
            count += strand.count_ahead(&self.nodes, rank, most.saturating_sub(count));
        }
        count
    }

    /// Whether no gate is closed to the strand.
    pub(crate) fn may_go(&self, key: &StrandKey) -> bool {
        let id = self.index.get(key);
        id.and_then(|id| self.strands.get(Slot::new(*id))).is_some_and(|strand| strand.listed.is_some())
    }

    /// The lanes in which a task of the first tier may go, and those in which another may.
    pub(crate) const fn ready(&self) -> &[Bits; 2] {
        &self.ready
    }

    /// How many wait, by tier.
    pub(crate) const fn by_tier(&self) -> [usize; 4] {
        self.by_tier
    }

    /// How many tasks of a tenant wait, and of a kind.
    pub(crate) fn queued_of_tenant(&self, tenant: u32) -> usize {
        self.tenants.get(tenant as usize).map_or(0, |tenant| tenant.queued)
    }

    pub(crate) fn queued_of_kind(&self, kind: u32) -> usize {
        self.kinds.get(kind as usize).map_or(0, |kind| kind.queued)
    }

    /// In which lane and at which rank a task stands.
    pub(crate) fn place_of(&self, task: Slot) -> Option<(StrandKey, Rank)> {
        let node = self.nodes.get(task.index())?;
        Some((self.strands.get(Slot::new(node.strand))?.key, node.rank))
    }

    /// Opens or closes the strands of a tenant. The answer is the lanes in which something may go that could not.
    pub(crate) fn gate_tenant(&mut self, tenant: u32, open: bool) -> Vec<u32> {
        let party = party(&mut self.tenants, tenant);
        if party.closed != open {
            return Vec::new();
        }
        party.closed = !open;
        let strands = party.strands.clone();
        self.regate(&strands)
    }

    /// Opens or closes the strands of a kind. The answer is the lanes in which something may go that could not.
    pub(crate) fn gate_kind(&mut self, kind: u32, open: bool) -> Vec<u32> {
        let party = party(&mut self.kinds, kind);
        if party.closed != open {
            return Vec::new();
        }
        party.closed = !open;
        let strands = party.strands.clone();
        self.regate(&strands)
    }

    fn regate(&mut self, strands: &[u32]) -> Vec<u32> {
        let mut opened = Vec::new();
        for &id in strands {
            let was = self.strands.get(Slot::new(id)).is_some_and(|strand| strand.listed.is_some());
            self.refresh(id);
            match self.strands.get(Slot::new(id)) {
                Some(strand) if strand.listed.is_some() && !was => opened.push(strand.key.lane),
                _ => {}
            }
        }
        opened.sort_unstable();
        opened.dedup();
        opened
    }

    /// A tenant that is new has had nothing, whoever stood at its place before.
    pub(crate) fn begin_tenant(&mut self, tenant: u32, weight: u32) {
        let party = party(&mut self.tenants, tenant);
        party.closed = false;
        party.share = Share { tag: 0, weight };
    }

    /// Nothing is closed to a kind that is new, whichever stood at its place before.
    pub(crate) fn begin_kind(&mut self, kind: u32, least: u32) {
        let party = party(&mut self.kinds, kind);
        (party.closed, party.least) = (false, least);
    }

    /// Lets the strands of a kind go whose first task has waited for company long enough. The answer is the lanes in
    /// which something may go that could not.
    pub(crate) fn ripen(&mut self, kind: u32, mut is_ripe: impl FnMut(Slot) -> bool) -> Vec<u32> {
        let strands = party(&mut self.kinds, kind).strands.clone();
        for id in &strands {
            let Some(strand) = self.strands.get_mut(Slot::new(*id)) else { continue };
            if strand.listed.is_none()
                && let Some((_, first)) = strand.head(&self.nodes)
            {
                strand.ripe = is_ripe(first);
            }
        }
        self.regate(&strands)
    }

    /// The first task of a strand, if neither its tenant nor its kind is closed.
    pub(crate) fn head_of_strand(&self, key: &StrandKey) -> Option<Slot> {
        let strand = self.strands.get(Slot::new(*self.index.get(key)?))?;
        let (_, task) = strand.head(&self.nodes).filter(|_| self.is_open(key))?;
        Some(task)
    }

    /// The first task of a strand that waits for company.
    pub(crate) fn first_alone(&self, key: &StrandKey) -> Option<Slot> {
        if self.kinds.get(key.kind as usize).is_none_or(|kind| kind.least <= 1) {
            return None;
        }
        let strand = self.strands.get(Slot::new(*self.index.get(key)?))?;
        let (_, task) = strand.head(&self.nodes)?;
        (!self.is_enough(strand)).then_some(task)
    }

    fn is_open(&self, key: &StrandKey) -> bool {
        let closed = |parties: &[Party], at: u32| parties.get(at as usize).is_some_and(|party| party.closed);
        !closed(&self.tenants, key.tenant) && !closed(&self.kinds, key.kind)
    }

    /// Whether enough tasks of a strand wait together.
    fn is_enough(&self, strand: &Strand) -> bool {
        strand.ripe || self.kinds.get(strand.key.kind as usize).is_none_or(|kind| strand.len >= kind.least)
    }

    /// A task of the tenant begins, and will take about so long.
    pub(crate) fn charge(&mut self, tenant: u32, service: Duration) {
        if self.fair {
            let share = &mut party(&mut self.tenants, tenant).share;
            self.virtual_time = self.virtual_time.max(share.tag);
            share.charge(service);
        }
    }

    /// A task of the tenant that was charged so much took so long.
    pub(crate) fn settle(&mut self, tenant: u32, charged: Duration, was: Duration) {
        if !self.fair || charged == was {
            return;
        }
        let party = party(&mut self.tenants, tenant);
        let before = party.share.tag;
        party.share.settle(charged, was);
        if party.share.tag < before {
            for id in party.strands.clone() {
                self.refresh(id);
            }
        }
    }

    /// What a tenant has had, and the virtual time: what a snapshot must hold.
    pub(crate) fn tag(&self, tenant: u32) -> u64 {
        self.tenants.get(tenant as usize).map_or(0, |tenant| tenant.share.tag)
    }

    pub(crate) const fn virtual_time(&self) -> u64 {
        self.virtual_time
    }

    pub(crate) fn put_tag(&mut self, tenant: u32, tag: u64) {
        party(&mut self.tenants, tenant).share.tag = tag;
    }

    pub(crate) const fn put_virtual_time(&mut self, time: u64) {
        self.virtual_time = time;
    }

    /// The tag by which the tenant's strands are ordered.
    fn tag_of(&self, tenant: u32) -> u64 {
        if self.fair { self.tag(tenant) } else { 0 }
    }

    fn strand_for(&mut self, key: StrandKey) -> u32 {
        let at = key.lane as usize;
        if at >= self.lanes.len() {
            self.lanes.resize_with(at + 1, Lane::default);
        }
        let recent = self.lanes.get(at).and_then(|lane| lane.recent);
        if let Some(id) = recent
            && self.strands.get(Slot::new(id)).is_some_and(|strand| strand.key == key)
        {
            return id;
        }
        let id = match self.index.get(&key) {
            Some(&id) => id,
            None => self.begin_strand(key),
        };
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.recent = Some(id);
        }
        id
    }

    fn begin_strand(&mut self, key: StrandKey) -> u32 {
        let id = self.strands.insert(Strand::new(key)).get();
        self.index.insert(key, id);
        party(&mut self.tenants, key.tenant).strands.push(id);
        party(&mut self.kinds, key.kind).strands.push(id);
        id
    }

    /// Puts the strand where it belongs among the heads of its lane.
    fn refresh(&mut self, id: u32) {
        let Some(strand) = self.strands.get(Slot::new(id)) else { return };
        let (key, old) = (strand.key, strand.listed);
        let open = self.is_open(&key) && self.is_enough(strand);
        let head = if open { strand.head(&self.nodes) } else { None };
        let new = head.map(|(rank, _)| Turn { tag: self.tag_of(key.tenant), rank });
        if old == new {
            return;
        }
        let half = usize::from(!key.urgent);
        let Some(heads) = self.lanes.get_mut(key.lane as usize).and_then(|lane| lane.heads.get_mut(half)) else {
            return;
        };
        if let Some(turn) = old {
            heads.remove(&(turn, id));
        }
        if let Some(turn) = new {
            heads.insert((turn, id));
        }
        if let Some(ready) = self.ready.get_mut(half) {
            ready.put(key.lane as usize, !heads.is_empty());
        }
        if let Some(strand) = self.strands.get_mut(Slot::new(id)) {
            strand.listed = new;
        }
    }

    /// Forgets the strands that have stayed empty.
    fn sweep(&mut self) {
        for id in core::mem::take(&mut self.idle) {
            let Some(strand) = self.strands.get_mut(Slot::new(id)) else { continue };
            strand.idle = false;
            if strand.len > 0 {
                continue;
            }
            let key = strand.key;
            self.strands.remove(Slot::new(id));
            self.index.remove(&key);
            party(&mut self.tenants, key.tenant).strands.retain(|other| *other != id);
            party(&mut self.kinds, key.kind).strands.retain(|other| *other != id);
            if let Some(lane) = self.lanes.get_mut(key.lane as usize)
                && lane.recent == Some(id)
            {
                lane.recent = None;
            }
        }
    }

    /// Whether heads and ready lanes are what looking at every strand gives.
    pub(crate) fn is_sound(&self) -> bool {
        let mut heads = 0;
        for (at, strand) in self.strands.iter() {
            let open = self.is_open(&strand.key) && self.is_enough(strand);
            let head = if open { strand.head(&self.nodes).map(|(rank, _)| rank) } else { None };
            if strand.listed.map(|turn| turn.rank) != head {
                return false;
            }
            let Some(turn) = strand.listed else { continue };
            heads += 1;
            let half = usize::from(!strand.key.urgent);
            let lane = self.lanes.get(strand.key.lane as usize);
            let listed = lane.and_then(|lane| lane.heads.get(half)).is_some_and(|all| all.contains(&(turn, at.get())));
            let ready = self.ready.get(half).is_some_and(|ready| ready.contains(strand.key.lane as usize));
            // A tag may be behind what the tenant has had since; it is never ahead.
            if !listed || !ready || turn.tag > self.tag_of(strand.key.tenant) {
                return false;
            }
        }
        let listed: usize = self.lanes.iter().flat_map(|lane| &lane.heads).map(BTreeSet::len).sum();
        listed == heads
            && self.nodes.iter().filter(|node| node.strand != NOWHERE).count() == self.by_tier.iter().sum::<usize>()
    }
}

fn party(parties: &mut Vec<Party>, at: u32) -> &mut Party {
    let at = at as usize;
    if at >= parties.len() {
        parties.resize_with(at + 1, Party::default);
    }
    #[expect(clippy::indexing_slicing, reason = "the line above made room for it")]
    &mut parties[at]
}

#[cfg(test)]
mod tests;
