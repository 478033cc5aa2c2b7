//! What a journal may say about budgets: an independent book-keeping.

use super::Ruling;
use counterpoint::definition::{Action, Body, Budget, Definition, Map, Repeat};
use counterpoint::message::{LimitReached, Measure};
use counterpoint::task::{NodeIx, Owner, Phase, Spending, Usage};
use counterpoint::{AttemptId, RunId, TaskId, TaskSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Ledger {
    runs: BTreeMap<RunId, Account>,
    tasks: BTreeMap<TaskId, Bill>,
}

/// What a run was started from, with what it may use up, and who it works for.
type Account = (Arc<Definition>, Option<Budget>, Option<Owner>);

struct Bill {
    owner: Owner,
    reserved: Option<Spending>,
    attempts: u64,
    used: BTreeMap<AttemptId, Usage>,
    over: bool,
}

const MEASURES: [Measure; 3] = [Measure::Attempts, Measure::Cost, Measure::Tokens];

fn of(spending: Spending, measure: Measure) -> u64 {
    match measure {
        Measure::Attempts => spending.attempts,
        Measure::Cost => spending.cost,
        Measure::Tokens => spending.tokens,
        other => panic!("the ledger knows no {other}"),
    }
}

fn granted(budget: &Budget, measure: Measure) -> Option<u64> {
    match measure {
        Measure::Attempts => budget.attempts,
        Measure::Cost => budget.cost,
        Measure::Tokens => budget.tokens,
        other => panic!("the ledger knows no {other}"),
    }
}

impl Bill {
    fn spent(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Attempts => self.attempts,
            Measure::Cost => self.used.values().map(|usage| usage.cost).sum(),
            _ => self.used.values().map(|usage| usage.tokens).sum(),
        }
    }

    fn held(&self, measure: Measure) -> u64 {
        let reserved = self.reserved.filter(|_| !self.over).map_or(0, |reserved| of(reserved, measure));
        reserved.saturating_sub(self.spent(measure))
    }
}

impl Ledger {
    pub(super) fn started(
        &mut self,
        run: RunId,
        definition: &Arc<Definition>,
        given: Option<Budget>,
        owner: Option<Owner>,
    ) {
        self.runs.insert(run, (Arc::clone(definition), given, owner));
    }

    /// A run follows another definition; what nodes have spent that are no more stays with the run.
    pub(super) fn moved(&mut self, run: RunId, definition: &Arc<Definition>, from: &[Option<u32>]) {
        let image = |was: NodeIx| from.iter().position(|place| *place == Some(was.get()));
        let place = |owner: &mut Owner| {
            if owner.run == run {
                let image = image(owner.node).map_or(u32::MAX, |place| u32::try_from(place).unwrap());
                owner.node = NodeIx::new(image);
            }
        };
        self.runs.get_mut(&run).unwrap().0 = Arc::clone(definition);
        self.runs.values_mut().filter_map(|(_, _, owner)| owner.as_mut()).for_each(place);
        self.tasks.values_mut().for_each(|bill| place(&mut bill.owner));
    }

    /// The budgets over a piece of work, each with what is held and spent of it, for one measure.
    fn accounts(&self, at: (RunId, NodeIx), measure: Measure) -> Vec<(u64, u64, u64)> {
        let mut accounts = Vec::new();
        let mut next = Some(at);
        while let Some((run, place)) = next {
            let (definition, given, around) = &self.runs[&run];
            let node = definition.nodes.get(place.index()).and_then(|node| node.budget);
            let whole: Vec<Budget> = definition.budget.into_iter().chain(*given).collect();
            let whole = whole.iter().filter_map(|budget| granted(budget, measure)).min();
            let node = node.and_then(|budget| granted(&budget, measure));
            for (most, only) in [(node, Some(place)), (whole, None)] {
                let Some(most) = most else { continue };
                let within = self.tasks.values().filter(|bill| self.is_within(bill.owner, run, only));
                let (held, spent) =
                    within.fold((0, 0), |(held, spent), bill| (held + bill.held(measure), spent + bill.spent(measure)));
                accounts.push((most, held, spent));
            }
            next = around.map(|owner| (owner.run, owner.node));
        }
        accounts
    }

    fn is_within(&self, owner: Owner, run: RunId, node: Option<NodeIx>) -> bool {
        let mut next = Some(owner);
        while let Some(at) = next {
            if at.run == run {
                return node.is_none_or(|node| node == at.node);
            }
            next = self.runs[&at.run].2;
        }
        false
    }

    pub(super) fn submitted(&mut self, spec: &TaskSpec, owner: Owner) -> Ruling {
        let reserved = spec.reserved.as_deref().copied();
        let bounded = MEASURES.iter().any(|measure| !self.accounts((owner.run, owner.node), *measure).is_empty());
        if owner.phase != Phase::Do {
            ensure!(reserved.is_none(), "something is put aside for what is never held back");
        } else {
            ensure!(bounded == reserved.is_some(), "whether something is put aside is told wrongly");
        }
        if let Some(reserved) = reserved {
            ensure!(reserved.attempts > 0, "nothing is put aside for an attempt");
            ensure!(u64::from(spec.policy.retry().attempts) <= reserved.attempts, "more attempts than were put aside");
            for measure in MEASURES {
                for (most, held, spent) in self.accounts((owner.run, owner.node), measure) {
                    let free = most.saturating_sub(held + spent);
                    ensure!(of(reserved, measure) <= free, "{measure}: only {free} of {most} is free");
                    ensure!(free > 0, "work begins although no {measure} is left");
                }
            }
        }
        let (attempts, used) = (0, BTreeMap::new());
        self.tasks.insert(spec.id, Bill { owner, reserved, attempts, used, over: false });
        Ok(())
    }

    pub(super) fn attempted(&mut self, task: TaskId, begun: bool) {
        if let Some(bill) = self.tasks.get_mut(&task).filter(|bill| bill.owner.phase == Phase::Do) {
            bill.attempts = if begun { bill.attempts + 1 } else { bill.attempts - 1 };
        }
    }

    pub(super) fn used(&mut self, attempt: AttemptId, usage: Usage) {
        if let Some(bill) = self.tasks.get_mut(&attempt.task()) {
            bill.used.insert(attempt, usage);
        }
    }

    pub(super) fn ended(&mut self, task: TaskId) {
        if let Some(bill) = self.tasks.get_mut(&task) {
            bill.over = true;
        }
    }

    /// A node is out of budget: nothing of it is held that could come back, and there is not enough for one attempt.
    pub(super) fn exhausted(&self, run: RunId, node: u32, limit: LimitReached) -> Ruling {
        let LimitReached::Budget { measure } = limit else { return Err("it is no budget".to_owned()) };
        if measure == Measure::Time {
            return Ok(());
        }
        let place = node;
        let node = &self.runs[&run].0.nodes[node as usize];
        let estimate = match &node.action {
            Action::Do(body) | Action::Map(Map { body, .. }) | Action::Repeat(Repeat { body, .. }) => match body {
                Body::Task(work) => Some(work.estimate),
                _ => None,
            },
            _ => None,
        };
        let least = estimate.map_or(1, |usage| of(Spending::attempt(usage), measure).max(1));
        let short = |&(most, held, spent): &(u64, u64, u64)| held == 0 && most.saturating_sub(spent) < least;
        // What a state is expected to use up this does not know.
        let known = estimate.is_some() && !matches!(node.action, Action::States(_));
        ensure!(
            !known || self.accounts((run, NodeIx::new(place)), measure).iter().any(short),
            "there is enough {measure}"
        );
        Ok(())
    }

    /// When all is over, nothing is held.
    pub(super) fn is_even(&self) -> Ruling {
        ensure!(self.tasks.values().all(|bill| bill.over), "something is put aside for nothing");
        Ok(())
    }
}
