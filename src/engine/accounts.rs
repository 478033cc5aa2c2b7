//! Budgets: amounts that are reserved before work begins, and amounts that it has spent.

use super::book::{Book, Folded, Inconsistency};
use super::sum::{Overdrawn, Sum};
use crate::base::id::{NodeIx, RunId, by_creation};
use crate::definition::Budget;
use crate::message::run::{LimitReached, Measure};
use crate::task::{Owner, Phase, Spending, Usage};
use crate::workflow::machine::{Claim, Share, SpentBefore};
use std::collections::{BTreeMap, BTreeSet};

/// Greater than the index of any node.
const LAST: NodeIx = NodeIx::new(u32::MAX);

/// The holder of an account: a run, a node of it, or a delegated part of a node's work.
pub(super) type Holder = (RunId, Option<NodeIx>, Option<u32>);

/// The accounts of all budgets. They are computed from the states of runs, so a snapshot does not contain them.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    open: BTreeMap<Holder, Account>,
    /// Runs that have an account or have an ancestor with one.
    under: BTreeSet<RunId>,
    /// Nodes that wait until an account gets a reservation back. Recomputed after a restore.
    parked: BTreeSet<(Holder, RunId, NodeIx)>,
}

/// One budget and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) granted: Budget,
    pub(super) reserved: Sum,
    pub(super) spent: Sum,
    /// The amounts promised to delegated parts, which these have neither reserved nor spent.
    pub(super) promised: Sum,
    /// The account of which this one is a share.
    parent: Option<Holder>,
}

/// Whether an instance of work may begin.
pub(super) enum Affordable {
    /// It may begin: no budget applies.
    Free,
    /// It may begin with this reservation.
    With(Spending),
    /// It must wait until this account gets a reservation back.
    Later(Holder),
    Never(LimitReached),
}

impl From<Overdrawn> for Inconsistency {
    fn from(_: Overdrawn) -> Self {
        "an account is to give back more than it holds".into()
    }
}

impl Account {
    pub(super) const fn new(granted: Budget) -> Self {
        let none = Sum::NOTHING;
        Self { granted, reserved: none, spent: none, promised: none, parent: None }
    }

    /// Each measure with its bound.
    const fn bounds(&self) -> [(Measure, Option<u64>); 3] {
        let Budget { attempts, cost, tokens, .. } = self.granted;
        [(Measure::Attempts, attempts), (Measure::Cost, cost), (Measure::Tokens, tokens)]
    }

    /// The amount of a bounded measure that is neither reserved, promised nor spent.
    fn free(&self, measure: Measure, granted: u64) -> u64 {
        let taken = [self.reserved, self.promised, self.spent].map(|sum| sum.of(measure));
        let free = taken.into_iter().fold(u128::from(granted), u128::saturating_sub);
        u64::try_from(free).unwrap_or(granted)
    }

    /// The amounts that the parent account holds for this share: the unused rest of each bounded measure, and of an
    /// unbounded one the amount that this share has promised in turn.
    fn promise(&self) -> Sum {
        let of = |measure: Measure, granted: Option<u64>| {
            let taken = [self.reserved, self.spent].map(|sum| sum.of(measure));
            let rest = |granted: u64| taken.into_iter().fold(u128::from(granted), u128::saturating_sub);
            granted.map_or_else(|| self.promised.of(measure), rest)
        };
        Sum {
            attempts: of(Measure::Attempts, self.granted.attempts),
            cost: of(Measure::Cost, self.granted.cost),
            tokens: of(Measure::Tokens, self.granted.tokens),
        }
    }

    /// The account as available to a share of it: without the promise to that share.
    fn seen_from(mut self, share: Option<&(Holder, Self)>, own: Holder) -> Self {
        if let Some((_, share)) = share.filter(|(_, share)| share.parent == Some(own)) {
            // `check_accounts` compares the promises with the shares.
            self.promised = self.promised.minus(share.promise()).unwrap_or_default();
        }
        self
    }

    /// The number of attempts that the free amounts allow. The error is the measure that does not suffice for one
    /// attempt, and whether some of it may come back.
    fn attempts(&self, estimate: Usage) -> Result<u64, (Measure, bool)> {
        let mut most = u64::MAX;
        let each = Sum::from(Spending::attempt(estimate));
        for (measure, granted) in self.bounds() {
            let Some(granted) = granted else { continue };
            let free = self.free(measure, granted);
            // A measure with an estimate of zero must not be exhausted either.
            let enough = u64::try_from(each.of(measure)).ok().and_then(|each| free.checked_div(each));
            let enough = enough.unwrap_or(if free == 0 { 0 } else { u64::MAX });
            if enough == 0 {
                let may_come_back = self.reserved.of(measure) > 0 || self.promised.of(measure) > 0;
                return Err((measure, may_come_back));
            }
            most = most.min(enough);
        }
        Ok(most)
    }

    /// The free amounts of the bounded measures, without time.
    pub(super) fn unused(&self) -> Budget {
        let of = |measure, granted: Option<u64>| granted.map(|granted| self.free(measure, granted));
        let Budget { attempts, cost, tokens, .. } = self.granted;
        Budget {
            attempts: of(Measure::Attempts, attempts),
            cost: of(Measure::Cost, cost),
            tokens: of(Measure::Tokens, tokens),
            time: None,
        }
    }
}

impl Accounts {
    pub(super) fn get(&self, holder: Holder) -> Option<&Account> {
        self.open.get(&holder)
    }

    /// Replaces the claim of an instance in the sums of an account, if that is open.
    fn shift(&mut self, holder: Holder, before: Claim, after: Claim) -> Result<(), Overdrawn> {
        self.change(holder, |account| {
            account.reserved = account.reserved.replaced(before.reserved, after.reserved)?;
            account.spent = account.spent.replaced(before.spent, after.spent)?;
            Ok(())
        })
    }

    /// Changes an account and the promises of its ancestors.
    fn change(
        &mut self,
        holder: Holder,
        change: impl FnOnce(&mut Account) -> Result<(), Overdrawn>,
    ) -> Result<(), Overdrawn> {
        let Some(account) = self.open.get_mut(&holder) else { return Ok(()) };
        let before = account.promise();
        change(account)?;
        let (after, parent) = (account.promise(), account.parent);
        self.propagate(parent, before, after)
    }

    /// Propagates the changed promise of a share to its ancestors.
    fn propagate(&mut self, mut next: Option<Holder>, mut before: Sum, mut after: Sum) -> Result<(), Overdrawn> {
        while let Some(account) = next.filter(|_| before != after).and_then(|holder| self.open.get_mut(&holder)) {
            let known = account.promise();
            account.promised = account.promised.replaced(before, after)?;
            (before, after, next) = (known, account.promise(), account.parent);
        }
        Ok(())
    }
}

impl Book {
    /// Opens the accounts of a run that has begun.
    pub(super) fn open_accounts(&mut self, id: RunId) -> Folded {
        let Some(run) = self.runs.get(id) else { return Ok(()) };
        let own = run.budget().filter(Budget::counts).map(|budget| ((id, None, None), budget));
        let nodes = run.graph().nodes();
        let nodes =
            nodes.filter_map(|node| Some(((id, Some(node.ix), None), node.definition.budget.filter(Budget::counts)?)));
        let open: Vec<(Holder, Budget)> = own.into_iter().chain(nodes).collect();
        let has_account = run.owner.is_some_and(|owner| self.accounts.under.contains(&owner.run));
        if has_account || !open.is_empty() {
            self.accounts.under.insert(id);
        }
        self.accounts.open.extend(open.into_iter().map(|(holder, budget)| (holder, Account::new(budget))));
        let nodes: Vec<NodeIx> = self.runs.get(id).into_iter().flat_map(|run| run.graph().delegating()).collect();
        nodes.into_iter().try_for_each(|node| self.open_shares(id, node))
    }

    /// Opens the accounts of parts that were promised shares of a node's budget.
    pub(super) fn open_shares(&mut self, id: RunId, node: NodeIx) -> Folded {
        let shares =
            self.runs.get(id).and_then(|run| run.graph().node(node)).map(|node| node.shares()).unwrap_or_default();
        for Share { part, within, budget } in shares.into_iter().filter(|share| share.budget.counts()) {
            let holder = (id, Some(node), Some(part));
            if self.accounts.open.contains_key(&holder) {
                continue;
            }
            self.accounts.under.insert(id);
            let above = within.into_iter().map(|part| (id, Some(node), Some(part)));
            let mut enclosing = above.chain(self.enclosing(id, node));
            let parent = enclosing.find(|holder| self.accounts.open.contains_key(holder));
            let account = Account { parent, ..Account::new(budget) };
            self.accounts.open.insert(holder, account);
            self.accounts.propagate(parent, Sum::NOTHING, account.promise())?;
        }
        Ok(())
    }

    /// Closes the account of a part that has ended: the unused rest of its share is free again.
    pub(super) fn close_share(&mut self, id: RunId, node: NodeIx, part: u32) -> Folded {
        if let Some(account) = self.accounts.open.remove(&(id, Some(node), Some(part))) {
            self.accounts.propagate(account.parent, account.promise(), Sum::NOTHING)?;
            self.enclosing(id, node).into_iter().chain(account.parent).for_each(|holder| self.unpark(holder));
        }
        Ok(())
    }

    /// Closes the accounts of all parts of a node that has ended.
    pub(super) fn close_shares(&mut self, id: RunId, node: NodeIx) -> Folded {
        if self.accounts.open.is_empty() {
            return Ok(());
        }
        let (first, last) = ((id, Some(node), Some(0)), (id, Some(node), Some(u32::MAX)));
        let mut held: Vec<u32> = self.accounts.open.range(first..=last).filter_map(|one| one.0.2).collect();
        // Shares of a share are closed before it.
        while let Some(part) = held.pop() {
            self.close_share(id, node, part)?;
        }
        Ok(())
    }

    /// Recomputes the accounts if nodes with delegated parts were reset.
    pub(super) fn audit_shares(&mut self, id: RunId) -> Folded {
        let (first, last) = ((id, None, None), (id, Some(LAST), Some(u32::MAX)));
        if self.accounts.open.range(first..=last).any(|(holder, _)| holder.2.is_some()) {
            return self.audit_accounts();
        }
        Ok(())
    }

    /// The potential accounts of a node, its run, and the ancestors of the run.
    fn enclosing(&self, id: RunId, node: NodeIx) -> Vec<Holder> {
        let (mut holders, mut next) = (Vec::new(), Some((id, node)));
        while let Some((run, node)) = next {
            holders.extend([(run, Some(node), None), (run, None, None)]);
            next = self.runs.get(run).and_then(|run| run.owner).map(|owner| (owner.run, owner.node));
        }
        holders
    }

    /// The first measure that does not suffice to promise this amount to parts of an instance of work.
    pub(super) fn shortage(&self, owner: Owner, asked: Sum) -> Option<Measure> {
        let mut share: Option<(Holder, Account)> = None;
        for holder in self.holders(owner) {
            let account = *self.accounts.get(holder)?;
            let seen = account.seen_from(share.as_ref(), holder);
            let is_short = |(measure, granted): (Measure, Option<u64>)| {
                let free = granted.map(|granted| seen.free(measure, granted));
                free.is_some_and(|free| u128::from(free) < asked.of(measure)).then_some(measure)
            };
            if let Some(measure) = seen.bounds().into_iter().find_map(is_short) {
                return Some(measure);
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

    /// The accounts that apply to an instance of work, the nearest first.
    fn holders(&self, owner: Owner) -> Vec<Holder> {
        let mut holders = Vec::new();
        let mut next = Some(owner).filter(|owner| self.accounts.under.contains(&owner.run));
        while let Some(owner) = next {
            let run = self.runs.get(owner.run);
            let node = run.and_then(|run| run.graph().node(owner.node));
            let shares = node.map(|node| node.shares_of(owner.item)).unwrap_or_default();
            let shares = shares.into_iter().map(|part| (owner.run, Some(owner.node), Some(part)));
            let here = [(owner.run, Some(owner.node), None), (owner.run, None, None)];
            holders.extend(shares.chain(here).filter(|holder| self.accounts.open.contains_key(holder)));
            next = run.and_then(|run| run.owner);
        }
        holders
    }

    /// The accounts that apply to a run and one of its nodes, for amounts that were spent by instances that no longer
    /// exist.
    fn holders_before(&self, id: RunId, node: Option<NodeIx>) -> Vec<Holder> {
        if !self.accounts.under.contains(&id) {
            return Vec::new();
        }
        let here = [node.map(|node| (id, Some(node), None)), Some((id, None, None))];
        let here = here.into_iter().flatten().filter(|holder| self.accounts.open.contains_key(holder));
        let parent = self.runs.get(id).and_then(|run| run.owner);
        here.chain(parent.into_iter().flat_map(|owner| self.holders(owner))).collect()
    }

    /// Changes an instance of work, and updates the accounts that apply to it.
    pub(super) fn charge(&mut self, owner: Owner, change: impl FnOnce(&mut Self) -> Folded) -> Folded {
        if !self.accounts.under.contains(&owner.run) {
            return change(self);
        }
        let before = self.claim(owner);
        change(self)?;
        self.settle_accounts(owner, before)
    }

    fn claim(&self, owner: Owner) -> Claim {
        self.runs.get(owner.run).map(|run| run.workforce().claim(owner)).unwrap_or_default()
    }

    /// Updates the accounts that apply to an instance of work to its current claim.
    fn settle_accounts(&mut self, owner: Owner, before: Claim) -> Folded {
        let after = self.claim(owner);
        if before == after {
            return Ok(());
        }
        for holder in self.holders(owner) {
            self.accounts.shift(holder, before, after)?;
            self.unpark(holder);
        }
        Ok(())
    }

    /// Wakes the nodes that wait for a reservation to come back to an account.
    fn unpark(&mut self, holder: Holder) {
        let first = (holder, RunId::new(0), NodeIx::new(0));
        let woken: Vec<_> =
            self.accounts.parked.range(first..).take_while(|(held, ..)| *held == holder).copied().collect();
        for parked @ (_, run, node) in woken {
            self.accounts.parked.remove(&parked);
            self.runs.wake(run, [node]);
        }
    }

    pub(super) fn park(&mut self, holder: Holder, owner: Owner) {
        self.accounts.parked.insert((holder, owner.run, owner.node));
        if let Some(run) = self.runs.get_mut(owner.run) {
            run.park(owner.node);
        }
    }

    /// Whether the budgets allow a task with this estimated usage per attempt and this number of attempts.
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
                // Within the free amount of every budget that bounds the measure; more than that is as much as can be
                // written.
                cost: estimate.cost.saturating_mul(most),
                tokens: estimate.tokens.saturating_mul(most),
            }),
        }
    }

    /// Recomputes all accounts from the states of runs.
    pub(super) fn reopen_accounts(&mut self) -> Folded {
        let mut ids: Vec<RunId> = self.runs.iter().map(|run| run.id()).collect();
        // Parent runs come before their child runs.
        ids.sort_unstable_by_key(|id| by_creation(*id));
        self.accounts = Accounts::default();
        for id in &ids {
            self.open_accounts(*id)?;
        }
        for id in ids {
            let before: Vec<SpentBefore> =
                self.runs.get(id).map(|run| run.workforce().spent_before().collect()).unwrap_or_default();
            for SpentBefore { node, spent } in before {
                let after = Claim { spent, ..Claim::default() };
                for holder in self.holders_before(id, node) {
                    self.accounts.shift(holder, Claim::default(), after)?;
                }
            }
            let tasks: Vec<Owner> = self.runs.get(id).map(|run| run.workforce().tasks().collect()).unwrap_or_default();
            for owner in tasks {
                self.settle_accounts(owner, Claim::default())?;
            }
        }
        Ok(())
    }

    /// Recomputes all accounts after an operator has changed a run: its budgets and the parents of its instances may
    /// have changed.
    pub(super) fn audit_accounts(&mut self) -> Folded {
        for (_, run, node) in core::mem::take(&mut self.accounts.parked) {
            self.runs.wake(run, [node]);
        }
        self.reopen_accounts()
    }

    /// Compares the accounts with those computed from the states of runs.
    pub(super) fn check_accounts(&self) -> Result<(), String> {
        let overdrawn = |_: Overdrawn| "the amounts of an account cannot be added up".to_owned();
        let mut sums: BTreeMap<Holder, (Sum, Sum)> = BTreeMap::new();
        for run in self.runs.iter() {
            let before = run.workforce().spent_before().map(|SpentBefore { node, spent }| {
                (self.holders_before(run.id(), node), Claim { spent, ..Claim::default() })
            });
            let tasks = run.workforce().tasks().map(|owner| (self.holders(owner), run.workforce().claim(owner)));
            for (holders, one) in tasks.chain(before) {
                for holder in holders {
                    let (reserved, spent) = sums.entry(holder).or_default();
                    *reserved = reserved.plus(one.reserved).map_err(overdrawn)?;
                    *spent = spent.plus(one.spent).map_err(overdrawn)?;
                }
            }
        }
        for (holder, account) in &self.accounts.open {
            let sum = sums.get(holder).copied().unwrap_or_default();
            if sum != (account.reserved, account.spent) {
                return Err(format!("the account of {holder:?} is {account:?}, but its work claims {sum:?}"));
            }
            let shares = self.accounts.open.values().filter(|share| share.parent == Some(*holder));
            let promised = shares.map(Account::promise).try_fold(Sum::NOTHING, Sum::plus).map_err(overdrawn)?;
            if promised != account.promised {
                return Err(format!(
                    "the account of {holder:?} promises {:?}, but its shares add up to {promised:?}",
                    account.promised
                ));
            }
        }
        Ok(())
    }
}
