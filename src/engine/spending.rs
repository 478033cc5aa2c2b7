//! Reading: what runs use up, and what is left of budgets.

use super::accounts::Account;
use super::book::Book;
use super::view::{NodeView, RunView};
use crate::base::id::RunId;
use crate::base::time::Time;
use crate::definition::Budget;
use crate::task::Spending;

/// How long a run took, and what it used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunMetrics {
    /// When it began.
    pub began: Time,
    /// When it was over.
    pub ended: Option<Time>,
    /// What its work has used up so far, that of runs within and of compensations included. Attempts at compensations are not
    /// counted, but what they cost.
    pub spent: Spending,
}

/// A budget as it stands. What is put aside, spent and free is what was granted, unless it is overdrawn.
///
/// ```
/// use counterpoint::definition::{Action, Budget, Definition, Node};
/// use counterpoint::{Command, Config, Engine, Outbox, RunId, RunSpec, Time};
///
/// let flow = Definition::new("ask")
///     .with_budget(Budget::default().with_attempts(10))
///     .with_node(Node::new("ask", Action::task("ask")));
/// let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
/// engine.handle(Time::ZERO, Command::define(flow), &mut out)?;
/// engine.handle(Time::ZERO, Command::start(RunSpec::new(RunId::new(1), "ask")), &mut out)?;
///
/// let balance = engine.run(RunId::new(1)).and_then(|run| run.balance()).expect("it has a budget");
/// assert_eq!((balance.reserved.attempts, balance.free().attempts), (3, Some(7)), "a task makes three attempts");
/// # Ok::<(), counterpoint::Rejected>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Balance {
    /// How much there was.
    pub granted: Budget,
    /// What is put aside for work that is under way, or promised to parts of it, and not used up yet.
    pub reserved: Spending,
    /// What is used up.
    pub spent: Spending,
}

impl Balance {
    /// What is left, of what is bounded; of time nothing is said.
    #[must_use]
    pub fn free(&self) -> Budget {
        let mut account = Account::new(self.granted);
        (account.reserved, account.spent) = (self.reserved, self.spent);
        let [(_, attempts, _), (_, cost, _), (_, tokens, _)] = account.free();
        let mut free = Budget::default();
        (free.attempts, free.cost, free.tokens) = (attempts, cost, tokens);
        free
    }
}

impl From<&Account> for Balance {
    fn from(account: &Account) -> Self {
        Self { granted: account.granted, reserved: account.reserved + account.promised, spent: account.spent }
    }
}

impl RunView<'_> {
    /// How long it took, and what it used up.
    #[must_use]
    pub fn metrics(&self) -> RunMetrics {
        let (run, book) = self.parts();
        RunMetrics { began: run.begun.at, ended: run.course().ended(), spent: book.spent(run.id()) }
    }

    /// Where its budget stands, if attempts, cost or tokens are bounded.
    #[must_use]
    pub fn balance(&self) -> Option<Balance> {
        let (run, book) = self.parts();
        book.accounts.get((run.id(), None, None)).map(Balance::from)
    }
}

impl NodeView<'_> {
    /// What it has used up so far, as [`RunMetrics::spent`].
    #[must_use]
    pub fn spent(&self) -> Spending {
        let (_, book, node) = self.parts();
        let children = node.state.instances().children();
        children.fold(node.state.spent(), |sum, child| sum + book.spent(child))
    }

    /// Where its budget stands, if attempts, cost or tokens are bounded.
    #[must_use]
    pub fn balance(&self) -> Option<Balance> {
        let (run, book, node) = self.parts();
        book.accounts.get((run.id(), Some(node.ix), None)).map(Balance::from)
    }
}

impl Book {
    /// What a run and those within it have used up.
    fn spent(&self, id: RunId) -> Spending {
        let (mut work, mut sum) = (vec![id], Spending::NOTHING);
        while let Some(run) = work.pop().and_then(|id| self.get(id)) {
            sum = sum + run.workforce().spent();
            work.extend(run.workforce().children());
        }
        sum
    }
}
