//! The values that the expressions of a run can read.

use super::Run;
use super::graph::Wanted;
use super::node::{Instances, KeptSignal, NodeWork, Surroundings, Unfit, fit};
use super::signals::Signals;
use super::variables::{NoUpdate, Within};
use crate::base::id::NodeIx;
use crate::base::limits::Limits;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::{Condition, Expr, Meta, NoValue, Scope};
use crate::message::run::{NodeOutcome, NodeStatus};
use crate::workflow::context::Reader;
use serde_json::json;

/// The view of a run from one of its nodes during a call.
#[derive(Clone, Copy)]
pub(super) struct NodeSight<'a> {
    pub(super) run: &'a Run,
    pub(super) node: NodeIx,
    pub(super) now: Time,
    pub(super) limits: &'a Limits,
    pub(super) meter: &'a Meter,
}

impl<'a> NodeSight<'a> {
    fn values(&self) -> Values<'a> {
        self.run.values(self.limits, self.meter)
    }
}

impl Surroundings for NodeSight<'_> {
    fn now(&self) -> Time {
        self.now
    }

    fn limits(&self) -> &Limits {
        self.limits
    }

    fn meter(&self) -> &Meter {
        self.meter
    }

    fn eval(&self, expr: &Expr, item: Payload) -> Result<Payload, NoValue> {
        expr.eval(&self.values().scope(Some(self.node), item))
    }

    fn holds(&self, condition: &Condition, item: Payload) -> bool {
        condition.holds(&self.values().scope(Some(self.node), item))
    }

    fn input(&self, item: Payload) -> Result<Payload, Unfit> {
        let made = match self.run.plan().node(self.node) {
            Some((definition, _)) => {
                let scope = RunScope { is_input: true, ..self.values().scope(Some(self.node), item) };
                definition.input.eval(&scope)
            }
            None => Ok(Payload::NULL),
        };
        fit(made, self.limits)
    }

    fn input_or_item(&self, item: Payload) -> Result<Payload, Unfit> {
        self.meter.spend_copy(item.bytes());
        let is_plain = self.run.plan().node(self.node).is_some_and(|(node, _)| node.input == Expr::default());
        if is_plain { fit(Ok(item), self.limits) } else { self.input(item) }
    }

    fn signal(&self, name: &Name, matching: &Condition) -> Option<KeptSignal> {
        let wanted = Wanted { node: self.node, signal: name, matching };
        self.values().matching_signal(wanted, &self.run.signals, self.now)
    }
}

/// The values that the expressions of a run can read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    run: &'a Run,
    limits: &'a Limits,
    meter: &'a Meter,
}

impl<'a> Values<'a> {
    pub(super) const fn new(run: &'a Run, limits: &'a Limits, meter: &'a Meter) -> Self {
        Self { run, limits, meter }
    }

    /// The scope of a reader's expressions.
    fn scope(self, reader: Reader, item: Payload) -> RunScope<'a> {
        RunScope {
            run: self.run,
            reader,
            item,
            is_input: false,
            most: self.limits.sizes.payload_bytes,
            meter: self.meter,
        }
    }

    /// The oldest of these signals that matches what a node of this run waits for.
    pub(crate) fn matching_signal(self, wanted: Wanted<'_>, signals: &Signals, now: Time) -> Option<KeptSignal> {
        signals.fresh(wanted.signal, now).find(|kept| self.matches(wanted, &kept.payload))
    }

    /// Whether a signal with this payload matches what a node waits for.
    pub(crate) fn matches(self, wanted: Wanted<'_>, payload: &Payload) -> bool {
        *wanted.matching == Condition::True || wanted.matching.holds(&self.scope(Some(wanted.node), payload.clone()))
    }

    /// Whether a variable accepts an update.
    pub(crate) fn may_update(self, name: &Name, value: &Payload) -> Result<(), NoUpdate> {
        let holds = |condition: &Condition| condition.holds(&self.scope(None, value.clone()));
        self.run.variables.may_update(self.run.plan(), name, value, self.limits.sizes.payload_bytes, holds)
    }

    /// The output of the run if it ended now.
    pub(super) fn output(self) -> Result<Payload, Unfit> {
        fit(self.run.plan().definition.output.eval(&self.scope(None, Payload::NULL)), self.limits)
    }

    /// The output of the run if it ended now; null if that is too large.
    pub(crate) fn output_so_far(self) -> Payload {
        self.output().unwrap_or_default()
    }

    /// The value of a variable for the output of the run; none if there is no such variable.
    pub(crate) fn variable_so_far(self, name: &str) -> Option<Payload> {
        self.run.plan().context.index_of(name)?;
        let most = self.limits.sizes.payload_bytes;
        let value = self.run.variables.value(&self.run.graph, None, name, Within { most, meter: self.meter });
        Some(value.unwrap_or_default())
    }
}

impl Run {
    /// The value of an expression of a node, of at most this many bytes.
    pub(super) fn eval_within(&self, node: NodeIx, expr: &Expr, most: u32) -> Result<Payload, NoValue> {
        /// More than any decision may spend, so that a forged journal cannot make its reader evaluate for ever.
        const MOST_UNITS: u32 = 1 << 28;
        let meter = Meter::unbounded();
        meter.begin_evaluation(MOST_UNITS);
        expr.eval(&RunScope {
            run: self,
            reader: Some(node),
            item: Payload::NULL,
            is_input: false,
            most,
            meter: &meter,
        })
    }
}

/// The view of a run from the expressions of one reader.
struct RunScope<'a> {
    run: &'a Run,
    reader: Reader,
    item: Payload,
    /// Whether the input of the node is evaluated, which may read how often the node was executed. Other expressions may be
    /// evaluated again later, with the same value.
    is_input: bool,
    most: u32,
    meter: &'a Meter,
}

impl RunScope<'_> {
    /// Whether the node does its work once.
    fn does_a_task(&self) -> bool {
        let state = self.reader.and_then(|node| self.run.graph.state(node));
        state.is_some_and(|state| matches!(state.work(), NodeWork::Task))
    }

    /// A count of the instances of the node whose input is evaluated.
    fn count(&self, count: impl FnOnce(&Instances) -> u64) -> Payload {
        let state = self.reader.filter(|_| self.is_input).and_then(|node| self.run.graph.state(node));
        state.map_or(Payload::NULL, |state| Payload::new(count(state.instances()).into()))
    }
}

impl Scope for RunScope<'_> {
    fn input(&self) -> Payload {
        let input = &self.run.spec.input;
        let Some(completed) = self.run.plan().definition.completed(input) else { return input.clone() };
        self.meter.spend_copy(completed.bytes());
        completed
    }

    fn node(&self, name: &str) -> Payload {
        let state = self.run.plan().index_of(name).and_then(|ix| self.run.graph.state(ix));
        state.map(|state| state.output().clone()).unwrap_or_default()
    }

    fn end(&self, name: &str) -> Result<Payload, NoValue> {
        let node = self.run.plan().index_of(name).and_then(|ix| self.run.graph.node(ix));
        let Some((node, outcome)) = node.and_then(|node| Some((node, node.state.ended()?))) else {
            return Ok(Payload::NULL);
        };
        let attempts = node.attempts();
        let status = NodeStatus::from(outcome);
        let NodeOutcome::Failed { failure, .. } = outcome else {
            return Ok(Payload::new(json!({ "status": status, "attempts": attempts })));
        };
        if !self.meter.copy(failure.bytes()) {
            return Err(NoValue::TooWide { bytes: self.most });
        }
        Ok(Payload::new(json!({ "status": status, "attempts": attempts, "failure": failure })))
    }

    fn item(&self) -> Payload {
        self.item.clone()
    }

    fn variable(&self, name: &str) -> Result<Payload, NoValue> {
        self.run.variables.value(&self.run.graph, self.reader, name, Within { most: self.most, meter: self.meter })
    }

    fn meta(&self, meta: Meta) -> Payload {
        let (run, spec) = (self.run, &self.run.spec);
        let text = |name: &Name| Payload::new(name.as_str().into());
        match meta {
            Meta::RunId => Payload::new(spec.id.to_string().into()),
            Meta::RunKey => spec.business_key.as_ref().map_or(Payload::NULL, text),
            Meta::RunName => text(&run.plan().definition.name),
            Meta::RunVersion => Payload::new(run.plan().definition.version.into()),
            Meta::RunStarted => Payload::new(run.begun.at.as_nanos().into()),
            Meta::NodeName => {
                self.reader.and_then(|node| run.plan().node(node)).map_or(Payload::NULL, |(node, _)| text(&node.name))
            }
            Meta::Attempt if !self.does_a_task() => Payload::NULL,
            Meta::Attempt => self.count(|instances| u64::from(instances.attempts()).saturating_add(1)),
            Meta::Index => self.count(|instances| instances.len().into()),
        }
    }

    fn predicate(&self, predicate: &str, of: &Payload) -> bool {
        self.run.plan().functions.asks(predicate, of)
    }

    fn max_bytes(&self) -> u32 {
        self.most
    }

    fn meter(&self) -> &Meter {
        self.meter
    }
}
