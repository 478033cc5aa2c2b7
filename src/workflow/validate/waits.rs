//! Checks of races, decisions, handlers, mutual exclusion and milestones.

use super::data::Site;
use super::{Checker, Fault, Location};
use crate::base::name::Name;
use crate::definition::{Action, ActionClass, Boundary, Decision, Node, RaceOption, WaitFor};
use crate::task::Failures;
use std::collections::BTreeSet;

/// The largest number of handlers of a node: they are stored as the bits of one word.
const MOST_HANDLERS: usize = 32;

impl<'d> Checker<'d, '_> {
    pub(super) fn race(&mut self, index: usize, offers: &'d [RaceOption]) {
        if offers.is_empty() {
            self.fault(Some(index), Fault::NoOffers);
        }
        let mut names: BTreeSet<&Name> = BTreeSet::new();
        let mut decisions = 0_u32;
        for offer in offers {
            self.name(Some(index), "an option of a race", &offer.name);
            let mut ways: Vec<&Name> = vec![&offer.name];
            match &offer.on {
                WaitFor::Signal { signal, matching } => {
                    self.name(Some(index), "the signal", signal);
                    self.condition(matching, &Site::of(index, Location::Case(offer.name.clone()), true));
                }
                WaitFor::When(condition) => {
                    self.condition(condition, &Site::of(index, Location::Case(offer.name.clone()), false));
                }
                WaitFor::After(_) => {}
                WaitFor::At(moment) => {
                    self.expression(moment, &Site::of(index, Location::Case(offer.name.clone()), false));
                }
                WaitFor::Decision(decision) => {
                    decisions = decisions.saturating_add(1);
                    self.decision(index, decision);
                    ways = decision.options.iter().collect();
                }
            }
            for way in ways {
                if !names.insert(way) {
                    self.fault(Some(index), Fault::DuplicateCase { case: way.clone() });
                }
            }
        }
        if decisions > 1 {
            self.fault(Some(index), Fault::SeveralDecisions);
        }
    }

    fn decision(&mut self, index: usize, decision: &'d Decision) {
        if decision.options.is_empty() {
            self.fault(Some(index), Fault::NoOptions);
        }
        for name in &decision.options {
            self.name(Some(index), "an option", name);
        }
        for role in decision.roles(u32::MAX) {
            self.name(Some(index), "a role", role);
        }
        if !decision.escalation.is_sorted_by_key(|step| step.after) {
            self.fault(Some(index), Fault::EscalationOrder);
        }
        for other in &decision.not_by {
            self.known(index, "a decision that it is kept apart from", other);
        }
    }

    /// Checks mutual exclusion and the milestone.
    pub(super) fn turns(&mut self, index: usize, node: &'d Node) {
        for name in &node.mutex {
            self.name(Some(index), "a mutual exclusion", name);
        }
        let Some(milestone) = &node.milestone else { return };
        for other in [&milestone.after, &milestone.until] {
            self.known(index, "its milestone", other);
            if *other == node.name {
                self.fault(Some(index), Fault::OwnMilestone);
            }
        }
    }

    /// Checks the handlers at the boundary of a node, and the nodes that it cancels.
    pub(super) fn boundary(&mut self, index: usize, node: &'d Node) {
        for other in &node.cancels {
            self.known(index, "what it cancels", other);
            if *other == node.name {
                self.fault(Some(index), Fault::CancelsItself);
            }
        }
        if node.handlers.is_empty() {
            return;
        }
        if node.action.class() == ActionClass::Immediate {
            self.fault(Some(index), Fault::HandlersWithoutWork);
        }
        if node.handlers.len() > MOST_HANDLERS {
            self.fault(Some(index), Fault::TooManyHandlers { count: node.handlers.len() });
        }
        let mut names: BTreeSet<&Name> = self.ways(index).unwrap_or_default().into_iter().collect();
        for handler in &node.handlers {
            self.name(Some(index), "a handler", &handler.name);
            if !names.insert(&handler.name) {
                self.fault(Some(index), Fault::DuplicateCase { case: handler.name.clone() });
            }
            match &handler.on {
                Boundary::Signal { signal, matching } => {
                    self.name(Some(index), "the signal", signal);
                    self.condition(matching, &Site::of(index, Location::Case(handler.name.clone()), true));
                }
                Boundary::When(condition) => {
                    self.condition(condition, &Site::of(index, Location::Case(handler.name.clone()), false));
                }
                Boundary::Error(_) | Boundary::Cancel if !handler.interrupts => {
                    self.fault(Some(index), Fault::EndsBeside { handler: handler.name.clone() });
                }
                Boundary::Error(failures) => self.failures(index, Some(failures)),
                Boundary::Cancel | Boundary::Timeout(_) => {}
            }
        }
    }

    /// Every code that is to match must be one.
    pub(super) fn failures(&mut self, index: usize, failures: Option<&Failures>) {
        if let Some(code) = failures.and_then(Failures::bad_code) {
            self.fault(Some(index), Fault::BadCode { code: code.to_string().into() });
        }
    }

    /// A node that is referred to must exist.
    pub(super) fn known(&mut self, index: usize, what: &'static str, other: &Name) {
        if !self.indexes.contains_key(other.as_str()) {
            let suggestion = self.suggest_node(other);
            self.fault(Some(index), Fault::UnknownOther { what, node: other.clone(), suggestion });
        }
    }

    /// The cases that links from the node can name, without handlers.
    pub(super) fn ways(&self, index: usize) -> Option<Vec<&'d Name>> {
        let action = &self.definition.nodes.get(index)?.action;
        if let Action::States(states) = action {
            let last = states.states.iter().filter(|state| state.next.iter().all(|way| way.on_failure.is_some()));
            return Some(last.map(|state| &state.name).collect());
        }
        let Action::Race { options: offers } = action else { return None };
        let ways = offers.iter().flat_map(|offer| match &offer.on {
            WaitFor::Decision(decision) => decision.options.iter().collect::<Vec<_>>(),
            WaitFor::Signal { .. } | WaitFor::After(_) | WaitFor::At(_) | WaitFor::When(_) => vec![&offer.name],
        });
        Some(ways.collect())
    }

    /// The cases and handlers that links from the node can name; none if there are none.
    pub(super) fn named_ways(&self, index: usize) -> Option<Vec<&'d Name>> {
        let node = self.definition.nodes.get(index)?;
        let instead = node.save.as_ref().and_then(|save| save.alternative.as_ref());
        let handlers = node.handlers.iter().map(|handler| &handler.name).chain(instead);
        match self.ways(index) {
            Some(ways) => Some(ways.into_iter().chain(handlers).collect()),
            None => Some(handlers.collect()).filter(|names: &Vec<_>| !names.is_empty()),
        }
    }
}
