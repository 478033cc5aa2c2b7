//! Budgets: what is put aside before work begins, and what it used up.

use super::book::{Book, Folded};
use crate::base::id::{NodeIx, RunId};
use crate::definition::Budget;
use crate::message::run::{LimitReached, Measure};
use crate::task::{Owner, Phase, Spending, Usage};
use crate::workflow::machine::{Claim, Share, SpentBefore};
use std::collections::{BTreeMap, BTreeSet};

/// Greater than every index of a node.
const LAST: NodeIx = NodeIx::new(u32::MAX);

/// Whose account: a run's, that of one of its nodes, or that of a part of a node's work.
pub(super) type Holder = (RunId, Option<NodeIx>, Option<u32>);

/// The accounts of all budgets. They follow from what runs say of their work, so a snapshot does not hold them.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    open: BTreeMap<Holder, Account>,
    /// Runs that have an account, or a run around them has.
    under: BTreeSet<RunId>,
    /// Nodes that wait until something comes back to an account. Found again after a restore.
    parked: BTreeSet<(Holder, RunId, NodeIx)>,
}

/// One budget and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) granted: Budget,
    pub(super) reserved: Spending,
    pub(super) spent: Spending,
    /// What is promised to parts, and neither put aside nor spent by them.
    pub(super) promised: Spending,
    /// Who has promised it: the account of which it is a share.
    within: Option<Holder>,
}

/// Whether work may begin.
pub(super) enum Affordable {
    /// It is under no budget.
    Free,
    /// With this put aside.
    With(Spending),
    /// Something may come back to this account.
    Later(Holder),
    Never(LimitReached),
}

impl Account {
    pub(super) const fn new(granted: Budget) -> Self {
        let none = Spending::NOTHING;
        Self { granted, reserved: none, spent: none, promised: none, within: None }
    }

    /// What is neither put aside nor spent, of what is bounded.
    pub(super) fn free(&self) -> [(Measure, Option<u64>, u64); 3] {
        let put_aside = self.reserved + self.promised;
        let taken = put_aside + self.spent;
        let of = |granted: Option<u64>, taken: u64| granted.map(|granted| granted.saturating_sub(taken));
        [
            (Measure::Attempts, of(self.granted.attempts, taken.attempts), put_aside.attempts),
            (Measure::Cost, of(self.granted.cost, taken.cost), put_aside.cost),
            (Measure::Tokens, of(self.granted.tokens, taken.tokens), put_aside.tokens),
        ]
    }

    /// What is kept for it by the account of which it is a share: what it has not used of what it was granted; of what it may
    /// use without a bound of its own, what it has promised in turn.
    fn promise(&self) -> Spending {
        let taken = self.reserved + self.spent;
        let of = |granted: Option<u64>, taken: u64, promised: u64| {
            granted.map_or(promised, |granted| granted.saturating_sub(taken))
        };
        Spending {
            attempts: of(self.granted.attempts, taken.attempts, self.promised.attempts),
            cost: of(self.granted.cost, taken.cost, self.promised.cost),
            tokens: of(self.granted.tokens, taken.tokens, self.promised.tokens),
        }
    }

    /// The account as it looks to a share of it: what is kept for the share is there.
    fn seen_from(mut self, share: Option<&(Holder, Self)>, own: Holder) -> Self {
        if let Some((_, share)) = share.filter(|(_, share)| share.within == Some(own)) {
            self.promised = self.promised - share.promise();
        }
        self
    }

    /// How many attempts there is enough for; or what there is not enough of for one, and whether some of it may come back.
    fn attempts(&self, estimate: Usage) -> Result<u64, (Measure, bool)> {
        let mut most = u64::MAX;
        for (measure, free, reserved) in self.free() {
            let Some(free) = free else { continue };
            let each = match measure {
                Measure::Attempts => 1,
                Measure::Cost => estimate.cost,
                Measure::Tokens => estimate.tokens,
                Measure::Time => 0,
            };
            // Of what costs nothing that is known of, there must be something left all the same.
            let enough = free.checked_div(each).unwrap_or(if free == 0 { 0 } else { u64::MAX });
            if enough == 0 {
                return Err((measure, reserved > 0));
            }
            most = most.min(enough);
        }
        Ok(most)
    }
}

impl Accounts {
    pub(super) fn get(&self, holder: Holder) -> Option<&Account> {
        self.open.get(&holder)
    }

    fn shift(&mut self, holder: Holder, before: Claim, after: Claim) -> bool {
        if !self.open.contains_key(&holder) {
            return false;
        }
        self.change(holder, |account| {
            account.reserved = account.reserved - before.reserved + after.reserved;
            account.spent = account.spent - before.spent + after.spent;
        });
        true
    }

    /// Changes an account, and with it what others keep for it.
    fn change(&mut self, holder: Holder, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.open.get_mut(&holder) else { return };
        let before = account.promise();
        change(account);
        let (after, within) = (account.promise(), account.within);
        self.tell(within, before, after);
    }

    /// What is kept for a share has changed.
    fn tell(&mut self, mut next: Option<Holder>, mut before: Spending, mut after: Spending) {
        while let Some(account) = next.filter(|_| before != after).and_then(|holder| self.open.get_mut(&holder)) {
            let known = account.promise();
            account.promised = account.promised - before + after;
            (before, after, next) = (known, account.promise(), account.within);
        }
    }
}

impl Book {
    /// A run has begun: its budgets are there.
    pub(super) fn open_accounts(&mut self, id: RunId) {
        let Some(run) = self.get(id) else { return };
        let own = run.budget().filter(Budget::counts).map(|budget| ((id, None, None), budget));
        let nodes = run.graph().nodes();
        let nodes =
            nodes.filter_map(|node| Some(((id, Some(node.ix), None), node.definition.budget.filter(Budget::counts)?)));
        let open: Vec<(Holder, Budget)> = own.into_iter().chain(nodes).collect();
        let around = run.owner.is_some_and(|owner| self.accounts.under.contains(&owner.run));
        if around || !open.is_empty() {
            self.accounts.under.insert(id);
        }
        self.accounts.open.extend(open.into_iter().map(|(holder, budget)| (holder, Account::new(budget))));
        let nodes: Vec<NodeIx> = self.get(id).into_iter().flat_map(|run| run.graph().delegating()).collect();
        nodes.into_iter().for_each(|node| self.open_shares(id, node));
    }

    /// Parts of a node's work have been promised shares.
    pub(super) fn open_shares(&mut self, id: RunId, node: NodeIx) {
        let shares = self.get(id).and_then(|run| run.graph().node(node)).map(|node| node.shares()).unwrap_or_default();
        for Share { part, within, budget } in shares.into_iter().filter(|share| share.budget.counts()) {
            let holder = (id, Some(node), Some(part));
            if self.accounts.open.contains_key(&holder) {
                continue;
            }
            self.accounts.under.insert(id);
            let above = within.into_iter().map(|part| (id, Some(node), Some(part)));
            let mut around = above.chain(self.around(id, node));
            let within = around.find(|holder| self.accounts.open.contains_key(holder));
            let account = Account { within, ..Account::new(budget) };
            self.accounts.open.insert(holder, account);
            self.accounts.tell(within, Spending::NOTHING, account.promise());
        }
    }

    /// A part has ended: what it has not used of its share is free again.
    pub(super) fn close_share(&mut self, id: RunId, node: NodeIx, part: u32) {
        if let Some(account) = self.accounts.open.remove(&(id, Some(node), Some(part))) {
            self.accounts.tell(account.within, account.promise(), Spending::NOTHING);
            self.around(id, node).into_iter().chain(account.within).for_each(|holder| self.unpark(holder));
        }
    }

    /// A node has ended, and with it all parts of its work.
    pub(super) fn close_shares(&mut self, id: RunId, node: NodeIx) {
        let (first, last) = ((id, Some(node), Some(0)), (id, Some(node), Some(u32::MAX)));
        let mut held: Vec<u32> = self.accounts.open.range(first..=last).filter_map(|one| one.0.2).collect();
        // What is promised within a share goes before it.
        while let Some(part) = held.pop() {
            self.close_share(id, node, part);
        }
    }

    /// Nodes are done anew: their parts are gone.
    pub(super) fn audit_shares(&mut self, id: RunId) {
        let (first, last) = ((id, None, None), (id, Some(LAST), Some(u32::MAX)));
        if self.accounts.open.range(first..=last).any(|(holder, _)| holder.2.is_some()) {
            self.audit_accounts();
        }
    }

    /// The accounts of a node, its run and the runs around that, whether they are there or not.
    fn around(&self, id: RunId, node: NodeIx) -> Vec<Holder> {
        let (mut around, mut next) = (Vec::new(), Some((id, node)));
        while let Some((run, node)) = next {
            around.extend([(run, Some(node), None), (run, None, None)]);
            next = self.get(run).and_then(|run| run.owner).map(|owner| (owner.run, owner.node));
        }
        around
    }

    /// What there is not enough of to promise so much more to parts of a piece of work.
    pub(super) fn lacks(&self, owner: Owner, asked: Spending) -> Option<Measure> {
        let mut share: Option<(Holder, Account)> = None;
        for holder in self.holders(owner) {
            let account = *self.accounts.get(holder)?;
            let seen = account.seen_from(share.as_ref(), holder);
            for (measure, free, _) in seen.free() {
                let asked = match measure {
                    Measure::Attempts => asked.attempts,
                    Measure::Cost => asked.cost,
                    Measure::Tokens => asked.tokens,
                    Measure::Time => 0,
                };
                if free.is_some_and(|free| free < asked) {
                    return Some(measure);
                }
            }
            share = Some((holder, account));
        }
        None
    }

    pub(super) fn close_accounts(&mut self, id: RunId) {
        if self.accounts.under.remove(&id) {
            let held: Vec<Holder> = self
                .accounts
                .open
                .range((id, None, None)..=(id, Some(LAST), Some(u32::MAX)))
                .map(|one| *one.0)
                .collect();
            for holder in held {
                self.accounts.open.remove(&holder);
            }
        }
    }

    /// The accounts that a piece of work is under, the nearest first.
    fn holders(&self, owner: Owner) -> Vec<Holder> {
        let mut holders = Vec::new();
        let mut next = Some(owner).filter(|owner| self.accounts.under.contains(&owner.run));
        while let Some(owner) = next {
            let run = self.get(owner.run);
            let node = run.and_then(|run| run.graph().node(owner.node));
            let shares = node.map(|node| node.shares_of(owner.item)).unwrap_or_default();
            let shares = shares.into_iter().map(|part| (owner.run, Some(owner.node), Some(part)));
            let here = [(owner.run, Some(owner.node), None), (owner.run, None, None)];
            holders.extend(shares.chain(here).filter(|holder| self.accounts.open.contains_key(holder)));
            next = run.and_then(|run| run.owner);
        }
        holders
    }

    /// The accounts that a run is under, and one of its nodes, for what was spent by instances that are not there any more.
    fn holders_before(&self, id: RunId, node: Option<NodeIx>) -> Vec<Holder> {
        if !self.accounts.under.contains(&id) {
            return Vec::new();
        }
        let here = [node.map(|node| (id, Some(node), None)), Some((id, None, None))];
        let here = here.into_iter().flatten().filter(|holder| self.accounts.open.contains_key(holder));
        let parent = self.get(id).and_then(|run| run.owner);
        here.chain(parent.into_iter().flat_map(|owner| self.holders(owner))).collect()
    }

    /// Something of a piece of work has changed: what it takes of budgets does, too.
    pub(super) fn charge(&mut self, owner: Owner, change: impl FnOnce(&mut Self) -> Folded) -> Folded {
        if !self.accounts.under.contains(&owner.run) {
            return change(self);
        }
        let before = self.claim(owner);
        change(self)?;
        self.settle_accounts(owner, before);
        Ok(())
    }

    fn claim(&self, owner: Owner) -> Claim {
        self.get(owner.run).map(|run| run.workforce().claim(owner)).unwrap_or_default()
    }

    /// Brings accounts to where a piece of work stands now.
    fn settle_accounts(&mut self, owner: Owner, before: Claim) {
        let after = self.claim(owner);
        if before == after {
            return;
        }
        for holder in self.holders(owner) {
            self.accounts.shift(holder, before, after);
            self.unpark(holder);
        }
    }

    /// Looks again at the nodes that wait for something to come back to an account.
    fn unpark(&mut self, holder: Holder) {
        let first = (holder, RunId::new(0), NodeIx::new(0));
        let woken: Vec<_> =
            self.accounts.parked.range(first..).take_while(|(held, ..)| *held == holder).copied().collect();
        for parked @ (_, run, node) in woken {
            self.accounts.parked.remove(&parked);
            if let Some(waiting) = self.get_mut(run) {
                waiting.wake(node);
                self.agenda.insert(run);
            }
        }
    }

    pub(super) fn park(&mut self, holder: Holder, owner: Owner) {
        self.accounts.parked.insert((holder, owner.run, owner.node));
        if let Some(run) = self.get_mut(owner.run) {
            run.park(owner.node);
        }
    }

    /// Whether a task may begin that is expected to use up so much with each attempt, of which it may make so many.
    pub(super) fn afford(&self, owner: Owner, estimate: Usage, attempts: u64) -> Affordable {
        let holders = if owner.phase == Phase::Do { self.holders(owner) } else { Vec::new() };
        if holders.is_empty() {
            return Affordable::Free;
        }
        let mut most = attempts.max(1);
        let mut later = None;
        let mut share: Option<(Holder, Account)> = None;
        for holder in holders {
            let Some(account) = self.accounts.get(holder).copied() else { continue };
            let seen = account.seen_from(share.as_ref(), holder);
            share = Some((holder, account));
            match seen.attempts(estimate) {
                Ok(enough) => most = most.min(enough),
                Err((_, true)) => later = later.or(Some(holder)),
                Err((measure, false)) => {
                    return Affordable::Never(LimitReached::Budget { measure });
                }
            }
        }
        match later {
            Some(holder) => Affordable::Later(holder),
            None => Affordable::With(Spending {
                attempts: most,
                cost: estimate.cost.saturating_mul(most),
                tokens: estimate.tokens.saturating_mul(most),
            }),
        }
    }

    /// All accounts anew, from what runs say.
    pub(super) fn reopen_accounts(&mut self) {
        let mut ids: Vec<RunId> = self.runs.iter().map(|(_, run)| run.id()).collect();
        // Who is around has the smaller id, or one of the host's.
        ids.sort_unstable();
        self.accounts = Accounts::default();
        for id in &ids {
            self.open_accounts(*id);
        }
        for id in ids {
            let before: Vec<SpentBefore> =
                self.get(id).map(|run| run.workforce().spent_before().collect()).unwrap_or_default();
            for SpentBefore { node, spent } in before {
                let after = Claim { spent, ..Claim::default() };
                for holder in self.holders_before(id, node) {
                    self.accounts.shift(holder, Claim::default(), after);
                }
            }
            let tasks: Vec<Owner> = self.get(id).map(|run| run.workforce().tasks().collect()).unwrap_or_default();
            for owner in tasks {
                self.settle_accounts(owner, Claim::default());
            }
        }
    }

    /// An operator has changed a run: budgets may be other ones, and nodes other ones' nodes.
    pub(super) fn audit_accounts(&mut self) {
        for (_, run, node) in core::mem::take(&mut self.accounts.parked) {
            if let Some(waiting) = self.get_mut(run) {
                waiting.wake(node);
                self.agenda.insert(run);
            }
        }
        self.reopen_accounts();
    }

    /// What all accounts say must be what runs say.
    pub(super) fn check_accounts(&self) -> Result<(), String> {
        let mut sums: BTreeMap<Holder, Claim> = BTreeMap::new();
        for (_, run) in self.runs.iter() {
            let before = run.workforce().spent_before().map(|SpentBefore { node, spent }| {
                (self.holders_before(run.id(), node), Claim { spent, ..Claim::default() })
            });
            let tasks = run.workforce().tasks().map(|owner| (self.holders(owner), run.workforce().claim(owner)));
            for (holders, one) in tasks.chain(before) {
                for holder in holders {
                    let sum = sums.entry(holder).or_default();
                    *sum = Claim { reserved: sum.reserved + one.reserved, spent: sum.spent + one.spent };
                }
            }
        }
        for (holder, account) in &self.accounts.open {
            let sum = sums.get(holder).copied().unwrap_or_default();
            if (sum.reserved, sum.spent) != (account.reserved, account.spent) {
                return Err(format!("the account of {holder:?} says {account:?}, its work {sum:?}"));
            }
            let shares = self.accounts.open.values().filter(|share| share.within == Some(*holder));
            let promised = shares.fold(Spending::NOTHING, |sum, share| sum + share.promise());
            if promised != account.promised {
                return Err(format!("the account of {holder:?} keeps {:?}, not {promised:?}", account.promised));
            }
        }
        Ok(())
    }
}
