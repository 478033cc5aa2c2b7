//! Storms: seeds that once failed, some that never did, and the proof that a storm finds what is wrong.

use counterpoint::Config;
use counterpoint::routing::{Custom, RoundRobin};
use counterpoint::scheduler::Discipline;
use counterpoint::sim::Fault;
use counterpoint::sim::storm::{Case, Storm, Tally};
use std::collections::BTreeSet;

/// Each line of the list is a case that has failed once; what stands behind it says why.
#[test]
fn what_once_failed_fails_no_more() {
    let list = include_str!("../../regressions/seeds.txt");
    let storm = Storm::default();
    let thirty = storm.clone().with_jobs(30);
    let mut played = 0;
    for line in
        list.lines().map(|line| line.split("//").next().unwrap_or_default().trim()).filter(|line| !line.is_empty())
    {
        // What was found in worlds of one size stays what it was.
        let (storm, line) = line.strip_prefix("thirty:").map_or((&storm, line), |line| (&thirty, line.trim()));
        let case: Case = line.parse().unwrap();
        if let Err(failed) = storm.play(&case) {
            panic!("{failed}");
        }
        played += 1;
    }
    assert!(played > 0, "the list was read");
}

#[test]
fn nothing_is_lost_and_nothing_done_twice() {
    let (storm, mut tally) = (Storm::default(), Tally::default());
    for seed in 0..u64::from(crate::cases(80)) {
        match storm.play(&Case::new(seed)) {
            Ok(one) => tally.add(&one),
            Err(failed) => panic!("{}", storm.shrink(*failed, 300)),
        }
    }
    assert_eq!((tally.lost, tally.twice), (0, 0));
    assert!(tally.hosts.crashes > 20 && tally.hosts.verified > 50 && tally.tasks > 200, "{tally:?}");
    // Sometimes each must strike, or the storm says little.
    let struck: BTreeSet<Fault> = tally.faults.keys().copied().collect();
    let missing: Vec<_> = Fault::ALL.iter().filter(|fault| !struck.contains(fault)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_case_is_the_same_each_time() {
    let storm = Storm::default().with_jobs(20);
    assert_eq!(storm.play(&Case::new(4)).unwrap(), storm.play(&Case::new(4)).unwrap());
}

/// A configuration of one's own is tried like the others.
#[test]
fn a_storm_tries_other_configurations() {
    let storm = Storm::default().with_jobs(15).with_config(|seed| {
        Config::default().with_seed(seed).with_discipline(Discipline::Strict).with_strategy(RoundRobin::default())
    });
    for seed in 0..4 {
        storm.play(&Case::new(seed)).unwrap();
    }
}

/// A seed whose case is played in a few seconds.
const SHORT: u64 = 32;

/// A strategy that starves a kind is found, and the case made smaller.
#[test]
fn what_is_stuck_is_found_and_made_smaller() {
    let storm = Storm::default().with_jobs(6).with_config(|seed| {
        let lazy = Custom::new("forgets a kind", |task, among, _| {
            if task.kind.as_str() == "k1" { None } else { among.iter().map(|agent| agent.id()).next() }
        });
        Config::default().with_seed(seed).with_strategy(lazy)
    });
    // A case that is stuck is played until it must have ended, which takes long for most seeds.
    let failed = (SHORT..SHORT + 12).find_map(|seed| storm.play(&Case::new(seed)).err()).expect("one is stuck");
    assert!(failed.why.contains("not ended by"), "{failed}");
    // Each try of a world that is stuck is played until it must have ended: a few are enough to see it shrink.
    let smallest = storm.shrink(*failed.clone(), 6);
    assert!(smallest.case.without.len() > 3, "{smallest}");
    let again = storm.play(&smallest.case.to_string().parse().unwrap()).unwrap_err();
    assert_eq!(again.why, smallest.why);
}
