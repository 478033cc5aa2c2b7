//! Tests of the study, on small input.

use crate::instance::{self, Instance};
use crate::world::{Case, Policy, first_plan};
use crate::{chart, mean, study, table};

fn few() -> Vec<Instance> {
    instance::drawn(2)
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let report = || {
        let cells = study(&few()[..1], 1);
        let picture = chart::draw(&cells);
        assert_eq!(charts::faults(&picture, 8), [""; 0]);
        table(&cells) + &picture
    };
    assert_eq!(report(), report());
}

#[test]
fn a_repaired_plan_is_shorter_than_the_plan_as_it_was_when_agents_fail() {
    let case = Case { variation: 1.0, failing: true };
    let spans = |policy: Policy| {
        let few = few();
        let runs = few.iter().flat_map(|instance| {
            (1..=2).map(move |seed| policy.run(instance, &first_plan(instance, seed), case, seed).makespan)
        });
        mean(&runs.collect::<Vec<_>>())
    };
    let [fixed, repaired, known] = [Policy::Fixed, Policy::Repaired, Policy::Clairvoyant].map(spans);
    assert!(repaired < fixed, "{repaired} {fixed}");
    assert!(known < repaired, "{known} {repaired}");
}

#[test]
fn a_plan_that_meets_no_surprise_is_performed_as_it_was_made() {
    let case = Case { variation: 0.0, failing: false };
    for instance in few() {
        let plan = first_plan(&instance, 1);
        let fixed = Policy::Fixed.run(&instance, &plan, case, 1);
        let known = Policy::Clairvoyant.run(&instance, &plan, case, 1);
        assert!((fixed.makespan / known.makespan - 1.0).abs() < 1e-3, "{fixed:?} {known:?}");
        assert!((fixed.cost / known.cost - 1.0).abs() < 1e-3);
    }
}
