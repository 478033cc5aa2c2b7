//! The start of a node.

use super::{Decider, Decision, Evaluated, Kept, Move, Next};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Action, Case, Expr, Fail, Join, Map, MapBounds, Pick};
use crate::message::event::{NodeEvent, Opening};
use crate::message::run::{LimitReached, NodeOutcome};
use crate::task::{Code, Failure, codes};
use crate::workflow::machine::graph::BoundNode;
use crate::workflow::machine::node::{Ending, MapWork, Surroundings, Unfit, fit, map_opening, race_opening};
use crate::workflow::machine::rollback::to_compensate;

/// A choice among cases.
struct Choice<'a> {
    pick: Pick,
    cases: &'a [Case],
    otherwise: Option<&'a Name>,
}

impl Decider<'_> {
    /// The first move of a node that can start.
    pub(super) fn start(&self, node: BoundNode<'_>) -> Decision {
        let opened = |what| Move::Node(node.ix, NodeEvent::Opened { what });
        let next = match &node.definition.action {
            Action::Do(_) if node.definition.join.repeats() => opened(Opening::Rounds),
            Action::Do(_) => {
                return Ok(match self.sight(node).input(Payload::NULL) {
                    Ok(input) => self.begin(node, 0, input),
                    Err(unfit) => self.end(node, Ending::unfit(&unfit)).into(),
                });
            }
            Action::Fail(fail) => {
                let failed = |failure| Ending::Failed { failure, instance: None };
                self.end(node, self.failing(node, fail).map_or_else(|unfit| Ending::unfit(&unfit), failed))
            }
            Action::Pass | Action::Stop => {
                self.with_input(node, |output| self.end(node, Ending::With { took: Vec::new(), output }))
            }
            Action::Choose { pick, cases, otherwise } => {
                let choice = Choice { pick: *pick, cases, otherwise: otherwise.as_ref() };
                let before = self.run.evaluated.as_deref().filter(|evaluated| evaluated.node == node.ix);
                return Ok(match before {
                    Some(before) => {
                        let (cases, took) = (before.cases, before.took.clone());
                        self.choose(node, &choice, Evaluated { node: node.ix, item: before.item.clone(), cases, took })
                    }
                    None => match self.sight(node).input(Payload::NULL) {
                        Ok(item) => {
                            let none = Evaluated { node: node.ix, item, cases: 0, took: Vec::new() };
                            self.choose(node, &choice, none)
                        }
                        Err(unfit) => self.end(node, Ending::unfit(&unfit)).into(),
                    },
                });
            }
            Action::Map(map) => self.open_map(node, map),
            Action::Repeat(_) => opened(Opening::Repeat),
            Action::Delegate(_) => opened(Opening::Delegation),
            Action::Function(_) => opened(Opening::Function),
            Action::States(_) => opened(Opening::States),
            Action::Send(_) => opened(Opening::Send),
            // One rollback at a time: it is woken when that under way has ended.
            Action::Compensate { .. } if self.run.rollback.is_partial() => return Ok(Next::Wait),
            Action::Compensate { of } => {
                let nodes = self.run.plan().node_refs(&to_compensate(self.run, of));
                opened(Opening::Compensation { nodes })
            }
            Action::Race { options: offers } => match race_opening(offers, &self.sight(node)) {
                Ok(opening) => opened(opening),
                Err(ending) => self.end(node, ending),
            },
            Action::Wait { timer, .. } => opened(Opening::Wait { until: timer.map(|span| self.now + span) }),
        };
        Ok(next.into())
    }

    /// The failure of a node that always fails, caused by the failure of the first failed node before it.
    fn failing(&self, node: BoundNode<'_>, fail: &Fail) -> Result<Failure, Unfit> {
        let (sight, limits) = (self.sight(node), self.limits);
        let item = sight.input(Payload::NULL)?;
        let value = |expr: &Expr| fit(sight.eval(expr, item.clone()), limits);
        let (message, code, details) = (value(&fail.message)?, value(&fail.code)?, value(&fail.details)?);
        let text = |value: &Payload| value.value().as_str().map(str::to_owned);
        let mut failure = Failure::of(fail.kind, text(&message).unwrap_or_else(|| message.to_string()));
        let is_free = |code: &Code| code.is_valid() && !codes::is_barred_from_definitions(code.as_str());
        match text(&code).map(Code::from).filter(is_free) {
            _ if code.is_null() => {}
            Some(code) => failure = failure.with_code(code),
            None => failure = failure.with_code(codes::INVALID_VALUE),
        }
        failure = failure.with_details(details);
        let most = limits.sizes.payload_bytes;
        if failure.bytes() > most as usize {
            return Err(Unfit::Bytes { bytes: u32::try_from(failure.bytes()).unwrap_or(u32::MAX), limit: most });
        }
        let graph = &self.run.graph;
        let cause = graph.links_to(node.ix).find_map(|link| match graph.state(link.source)?.ended()? {
            NodeOutcome::Failed { failure, .. } => Some((**failure).clone()),
            NodeOutcome::Succeeded
            | NodeOutcome::Skipped
            | NodeOutcome::UpstreamFailed
            | NodeOutcome::Cancelled { .. } => None,
        });
        Ok(match cause {
            Some(cause) => failure.caused_by(cause, most, limits.sizes.depth()),
            None => failure,
        })
    }

    /// Continues with the input of the node. The node fails if the input is too large.
    pub(super) fn with_input(&self, node: BoundNode<'_>, next: impl FnOnce(Payload) -> Move) -> Move {
        match self.sight(node).input(Payload::NULL) {
            Ok(input) => next(input),
            Err(unfit) => self.end(node, Ending::unfit(&unfit)),
        }
    }

    /// Evaluates the cases that were not evaluated before, until the bound on the work of the call is reached.
    fn choose(&self, node: BoundNode<'_>, choice: &Choice<'_>, mut evaluated: Evaluated) -> Next {
        let sight = self.sight(node);
        for case in choice.cases.iter().skip(evaluated.cases) {
            self.meter.begin_evaluation(self.limits.evaluation());
            evaluated.cases += 1;
            let holds = sight.holds(&case.when, evaluated.item.clone());
            if self.meter.is_exhausted() {
                // The node is blocked instead.
                return Next::Wait;
            }
            if holds {
                evaluated.took.push(case.name.clone());
                if choice.pick == Pick::First {
                    break;
                }
            }
            if self.meter.is_spent() && evaluated.cases < choice.cases.len() {
                return Next::Keep(Kept::Cases(evaluated));
            }
        }
        let Evaluated { item, mut took, .. } = evaluated;
        if took.is_empty() {
            took.extend(choice.otherwise.cloned());
        }
        if took.is_empty() {
            return self
                .end(node, Ending::failed(codes::NO_CASE, "no case holds, and there is no default case"))
                .into();
        }
        self.end(node, Ending::With { took, output: item }).into()
    }

    /// The bounds of a map that come from data.
    fn bounds(&self, node: BoundNode<'_>, bounds: &Expr) -> Result<MapBounds, Ending> {
        let value = fit(self.sight(node).eval(bounds, Payload::NULL), self.limits)
            .map_err(|why| Ending::failed(why.code(), format!("the object of its bounds {why}")))?;
        MapBounds::read(&value)
            .map_err(|fault| Ending::failed(codes::INVALID_VALUE, format!("the bounds of its items {fault}")))
    }

    fn open_map(&self, node: BoundNode<'_>, map: &Map) -> Move {
        if let Some(what) = node.map_work().and_then(MapWork::again) {
            return Move::Node(node.ix, NodeEvent::Opened { what });
        }
        let list = match self.sight(node).eval(&map.over, Payload::NULL) {
            Ok(list) => list,
            Err(why) => {
                let why = Unfit::new(why, self.limits);
                return self.end(node, Ending::failed(why.code(), format!("its list {why}")));
            }
        };
        // If the node waited for all of its predecessors, its list is the same at every evaluation, except for updates
        // of variables from outside.
        let is_early = matches!(node.definition.join, Join::Count { .. } | Join::Trigger(_));
        let is_recorded = is_early || self.run.plan().definition.may_change(&map.over);
        let most = self.limits.runs.map_items;
        let bounds = match map.bounds.as_ref().map(|bounds| self.bounds(node, bounds)).transpose() {
            Ok(bounds) => bounds,
            Err(ending) => return self.end(node, ending),
        };
        match map_opening(&list, is_recorded, bounds) {
            None => self.end(node, Ending::failed(codes::INVALID_VALUE, "the value that it maps over is not a list")),
            Some(Opening::Map { items, .. }) if items > most => {
                let limit = LimitReached::Items { max: most };
                self.end(node, Ending::Limit { limit, partial: Payload::NULL })
            }
            Some(what) => Move::Node(node.ix, NodeEvent::Opened { what }),
        }
    }
}
