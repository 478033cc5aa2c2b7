//! The table of commands by the states of their subjects and by the faults that had struck shortly before.

use counterpoint::sim::Fault;
use counterpoint::sim::storm::Coverage;
use std::fmt::Write as _;

pub(crate) fn of(coverage: &Coverage) -> String {
    let mut text = String::from(
        "| command | state | calls | accepted | faults close to it | without |\n|---|---|---|---|---|---|\n",
    );
    let (mut pairs, mut triples, mut holes) = (0_usize, 0_usize, 0_usize);
    for (command, state) in Coverage::reachable() {
        let Some(cell) = coverage.get(command, state) else {
            let _ = writeln!(text, "| {command} | {state} | **0** | | | |");
            holes += Fault::ALL.len();
            continue;
        };
        let missing = Fault::ALL.iter().filter(|fault| !cell.faults.contains_key(fault));
        let missing: Vec<&str> = missing.map(|fault| fault.name()).collect();
        (pairs, triples, holes) = (pairs + 1, triples + cell.faults.len(), holes + missing.len());
        let (calls, accepted, faults) = (cell.calls, cell.accepted, cell.faults.len());
        let _ = writeln!(
            text,
            "| {command} | {state} | {calls} | {accepted} | {faults} of {} | {} |",
            Fault::ALL.len(),
            missing.join(", ")
        );
    }
    let (reachable, expected) = (Coverage::reachable().count(), triples + holes);
    let _ =
        writeln!(text, "\n{pairs} of {reachable} pairs of command and state, {triples} of {expected} with each fault");
    let _ = writeln!(text, "\n| unreachable command | state | reason |\n|---|---|---|");
    for (command, state, reason) in Coverage::unreachable() {
        let _ = writeln!(text, "| {command} | {state} | {reason} |");
    }
    let known = |pair: (&str, &str)| Coverage::reachable().any(|known| known == pair);
    for (command, state, cell) in coverage.cells().filter(|(command, state, _)| !known((command, state))) {
        let _ =
            writeln!(text, "\n{command} in state {state} was believed unreachable, but occurred {} times", cell.calls);
    }
    text
}
