//! Checks of state machines.

use super::data::Site;
use super::{Checker, Fault, Location};
use crate::base::name::Name;
use crate::definition::{Body, States};
use std::collections::{BTreeMap, BTreeSet};

impl<'d> Checker<'d, '_> {
    pub(super) fn states(&mut self, index: usize, states: &'d States) {
        if states.max_steps == 0 {
            self.fault(Some(index), Fault::NoRounds);
        }
        if states.states.len() > self.limits.runs.nodes as usize {
            return self.fault(Some(index), Fault::TooManyNodes { limit: self.limits.runs.nodes });
        }
        let mut indexes: BTreeMap<&Name, usize> = BTreeMap::new();
        for (at, state) in states.states.iter().enumerate() {
            self.name(Some(index), "a state", &state.name);
            if indexes.insert(&state.name, at).is_some() {
                self.fault(Some(index), Fault::DuplicateState { state: state.name.clone() });
            }
            for data in [Some(&state.input), state.output.as_ref()].into_iter().flatten() {
                self.expression(data, &Site::of(index, Location::State(state.name.clone()), true));
            }
            if let Some(Body::Call(call)) = &state.body {
                self.call(index, call);
            }
            if let Some(Body::Task(work)) = &state.body {
                self.main_work(index, work);
            }
            if let Some(retry) = &state.retry {
                if !matches!(state.body, Some(Body::Flow(_) | Body::Call(_))) {
                    self.fault(Some(index), Fault::RetryOfOther);
                }
                self.rules(index, retry);
            }
            match (&state.undo, &state.body) {
                (Some(undo), Some(_)) => self.side_work(index, "compensation", undo),
                (Some(_), None) => self.fault(Some(index), Fault::UndoWithoutWork),
                (None, _) => {}
            }
        }
        let mut known = |to: &Name| {
            if !indexes.contains_key(to) {
                let suggestion = self.suggest(to, states.states.iter().map(|state| &state.name));
                self.fault(Some(index), Fault::UnknownState { state: to.clone(), suggestion });
            }
        };
        known(&states.start);
        states.states.iter().flat_map(|state| &state.next).for_each(|way| known(&way.to));
        for state in &states.states {
            for way in &state.next {
                let site = Site::of(index, Location::State(state.name.clone()), true);
                self.condition(&way.when, &site);
                way.output.iter().for_each(|output| self.expression(output, &site));
                self.failures(index, way.on_failure.as_ref());
            }
        }
        self.ends(index, states, &indexes);
    }

    /// Every state must be reachable from the initial one, and a final state must be reachable from every state.
    fn ends(&mut self, index: usize, states: &States, indexes: &BTreeMap<&Name, usize>) {
        let ways = |at: usize| {
            let next = states.states.get(at).map(|state| &state.next[..]).unwrap_or_default();
            next.iter().filter_map(|way| indexes.get(&way.to).copied())
        };
        let Some(&start) = indexes.get(&states.start) else { return };
        let mut entered = BTreeSet::from([start]);
        let mut work = vec![start];
        while let Some(at) = work.pop() {
            work.extend(ways(at).filter(|to| entered.insert(*to)));
        }
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); states.states.len()];
        for at in 0..states.states.len() {
            for to in ways(at) {
                if let Some(before) = before.get_mut(to) {
                    before.push(at);
                }
            }
        }
        // A state without a transition for success is final.
        let is_final = |at: &usize| {
            states.states.get(*at).is_some_and(|state| state.next.iter().all(|way| way.on_failure.is_some()))
        };
        let mut leads: BTreeSet<usize> = (0..states.states.len()).filter(is_final).collect();
        let mut work: Vec<usize> = leads.iter().copied().collect();
        while let Some(at) = work.pop() {
            let before = before.get(at).map(|before| &before[..]).unwrap_or_default();
            work.extend(before.iter().copied().filter(|from| leads.insert(*from)));
        }
        for (at, state) in states.states.iter().enumerate() {
            let state = state.name.clone();
            if !entered.contains(&at) {
                self.fault(Some(index), Fault::StateNeverEntered { state });
            } else if !leads.contains(&at) {
                self.fault(Some(index), Fault::StateWithoutEnd { state });
            }
        }
    }
}
