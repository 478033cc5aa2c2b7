//! Coverage: which commands a simulation has sent in which states of their subjects, and which faults had struck shortly
//! before.

mod states;

use super::fault::{Fault, Strike};
use crate::engine::Engine;
use crate::message::command::Command;
use std::collections::{BTreeMap, VecDeque};

/// Faults of so many calls before a call count as close to it.
const CLOSE: usize = 64;

/// The calls of the engine by command and state of its subject, each with the faults that had struck within the 64 calls
/// before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    cells: BTreeMap<(&'static str, &'static str), Cell>,
}

/// The calls with one command in one state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Cell {
    /// The number of calls.
    pub calls: u64,
    /// The number of calls that the engine accepted.
    pub accepted: u64,
    /// For each fault that had struck shortly before, the number of calls.
    pub faults: BTreeMap<Fault, u64>,
}

impl Coverage {
    /// The calls with this command in this state.
    #[must_use]
    pub fn get(&self, command: &str, state: &str) -> Option<&Cell> {
        self.cells.iter().find(|((of, at), _)| *of == command && *at == state).map(|(_, cell)| cell)
    }

    /// The pairs of command and state with their calls, in alphabetical order.
    pub fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str, &Cell)> {
        self.cells.iter().map(|((command, state), cell)| (*command, *state, cell))
    }

    /// The pairs of command and state that can occur, in the order of the commands' families.
    pub fn reachable() -> impl Iterator<Item = (&'static str, &'static str)> {
        states::pairs()
            .filter(|pair| !states::UNREACHABLE.iter().any(|(command, state, _)| (*command, *state) == *pair))
    }

    /// The pairs of command and state that cannot occur in a storm, each with the reason.
    #[must_use]
    pub const fn unreachable() -> &'static [(&'static str, &'static str, &'static str)] {
        states::UNREACHABLE
    }

    /// The reachable pairs of command and state without a call.
    pub fn missing(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        Self::reachable().filter(|pair| !self.cells.contains_key(pair))
    }

    /// Adds the calls of another simulation.
    pub fn add(&mut self, other: &Self) {
        for (pair, more) in &other.cells {
            let cell = self.cells.entry(*pair).or_default();
            cell.calls += more.calls;
            cell.accepted += more.accepted;
            more.faults.iter().for_each(|(fault, calls)| *cell.faults.entry(*fault).or_insert(0) += calls);
        }
    }
}

/// Records the coverage of one simulation.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) coverage: Coverage,
    /// The numbers of strikes before the last calls.
    strikes: VecDeque<usize>,
}

impl Recorder {
    /// The command and the state of its subject, before the call.
    pub(super) fn place(engine: &Engine, command: Option<&Command>) -> (&'static str, &'static str) {
        states::place(engine, command)
    }

    /// Records a call, with all strikes so far.
    pub(super) fn note(&mut self, place: (&'static str, &'static str), accepted: bool, strikes: &[Strike]) {
        let cell = self.coverage.cells.entry(place).or_default();
        cell.calls += 1;
        cell.accepted += u64::from(accepted);
        self.strikes.push_back(strikes.len());
        if self.strikes.len() > CLOSE {
            self.strikes.pop_front();
        }
        let close = strikes.get(self.strikes.front().copied().unwrap_or(0)..).unwrap_or_default();
        let mut close: Vec<Fault> = close.iter().map(|strike| strike.fault).collect();
        close.sort_unstable();
        close.dedup();
        close.into_iter().for_each(|fault| *cell.faults.entry(fault).or_insert(0) += 1);
    }
}
