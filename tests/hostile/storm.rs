//! The storm: cases are equal in every process, and cover all commands.

use counterpoint::sim::storm::{Case, Coverage, Storm, Tally};
use std::collections::BTreeSet;
use std::process::Command;

const CHILD: &str = "COUNTERPOINT_DIGEST";

fn played(seeds: core::ops::Range<u64>) -> Tally {
    let (storm, mut tally) = (Storm::default(), Tally::default());
    for seed in seeds {
        match storm.play(&Case::new(seed)) {
            Ok(one) => tally.add(&one),
            Err(failed) => panic!("{failed}"),
        }
    }
    assert_eq!((tally.lost, tally.twice), (0, 0));
    tally
}

/// Two other processes, which have other addresses and other keys of hash maps, make the same journals, byte for byte.
#[test]
fn cases_have_equal_journals_in_every_process() {
    let digest = format!("digest {:016x}", played(0..16).journals.digest);
    if std::env::var_os(CHILD).is_some() {
        println!("{digest}");
        return;
    }
    for _ in 0..2 {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["storm::cases_have_equal_journals_in_every_process", "--exact", "--nocapture"]).env(CHILD, "1");
        let said = String::from_utf8(child.output().unwrap().stdout).unwrap();
        assert!(said.contains(&digest), "{digest} is not in {said}");
    }
}

/// A few seeds send every command, and most of them in most states; `fault_storm --coverage` asserts on all pairs.
#[test]
fn a_few_seeds_send_every_command() {
    let coverage = played(0..120).coverage;
    let sent: BTreeSet<&str> = coverage.cells().map(|(command, ..)| command).collect();
    let all: BTreeSet<&str> = Coverage::reachable().map(|(command, _)| command).collect();
    // An attempt is given back only after a preemption, which a few seeds may not have.
    let never: Vec<&str> = all.difference(&sent).copied().filter(|command| *command != "yield").collect();
    assert!(never.is_empty(), "commands that are never sent: {never:?}");
    let (missing, all) = (coverage.missing().count(), Coverage::reachable().count());
    assert!(missing * 3 < all, "{missing} of {all} pairs of command and state are missing");
    let known: BTreeSet<(&str, &str)> = Coverage::reachable().collect();
    for (command, state, _) in coverage.cells() {
        assert!(known.contains(&(command, state)), "{command} occurs in state {state}, which was believed unreachable");
    }
}
