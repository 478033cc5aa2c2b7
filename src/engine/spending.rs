//! Views of the spending of runs and the balances of budgets.

use super::accounts::Account;
use super::runs::Runs;
use super::view::{NodeView, RunView};
use crate::base::id::RunId;
use crate::base::time::Time;
use crate::definition::Budget;
use crate::task::Spending;

/// The duration and the spending of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunMetrics {
    /// When it began.
    pub began: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// The spending so far, including that of child runs and compensations. Of compensations, the cost counts but not
    /// the number of attempts.
    pub spent: Spending,
}

/// The balance of a budget. Reserved, spent and free amounts add up to the granted ones, unless the budget is
/// overdrawn.
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
    /// The granted amounts.
    pub granted: Budget,
    /// The amounts that are reserved for work under way or promised to its parts, and not spent yet.
    pub reserved: Spending,
    /// The spent amounts.
    pub spent: Spending,
}

impl Balance {
    /// The free amounts of the bounded measures, without time.
    #[must_use]
    pub fn free(&self) -> Budget {
        let mut account = Account::new(self.granted);
        (account.reserved, account.spent) = (self.reserved.into(), self.spent.into());
        account.unused()
    }
}

impl From<&Account> for Balance {
    fn from(account: &Account) -> Self {
        let reserved = account.reserved.report() + account.promised.report();
        Self { granted: account.granted, reserved, spent: account.spent.report() }
    }
}

impl RunView<'_> {
    /// Its duration and its spending.
    #[must_use]
    pub fn metrics(&self) -> RunMetrics {
        let (run, book) = self.parts();
        RunMetrics { began: run.begun.at, ended: run.course().ended(), spent: book.runs.spent(run.id()) }
    }

    /// The balance of its budget, if that bounds attempts, cost or tokens.
    #[must_use]
    pub fn balance(&self) -> Option<Balance> {
        let (run, book) = self.parts();
        book.accounts.get((run.id(), None, None)).map(Balance::from)
    }
}

impl NodeView<'_> {
    /// Its spending so far, counted as in [`RunMetrics::spent`].
    #[must_use]
    pub fn spent(&self) -> Spending {
        let (_, book, node) = self.parts();
        let children = node.state.instances().children();
        children.fold(node.state.spent(), |sum, child| sum + book.runs.spent(child))
    }

    /// The balance of its budget, if that bounds attempts, cost or tokens.
    #[must_use]
    pub fn balance(&self) -> Option<Balance> {
        let (run, book, node) = self.parts();
        book.accounts.get((run.id(), Some(node.ix), None)).map(Balance::from)
    }
}

impl Runs {
    /// The spending of a run and its descendants.
    fn spent(&self, id: RunId) -> Spending {
        let (mut work, mut sum) = (vec![id], Spending::NOTHING);
        while let Some(run) = work.pop().and_then(|id| self.get(id)) {
            sum = sum + run.workforce().spent();
            work.extend(run.workforce().children());
        }
        sum
    }
}
