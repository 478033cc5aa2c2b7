use crate::judged;
use crate::shop::{Scene, Shop};
use crate::tally::Tally;
use crate::world::Planted;
use std::collections::BTreeMap;

/// Plays a scene with the engine's own checks, and expects the books to balance.
fn balances(scene: Scene) -> (Shop, Tally) {
    let (shop, tally, wrong) = judged(Scene { check: true, ..scene.clone() }).unwrap_or_else(|error| {
        panic!("{scene:?}: {error}");
    });
    assert!(wrong.is_empty(), "{scene:?}: {wrong:#?}");
    (shop, tally)
}

fn endings(tally: &Tally) -> BTreeMap<u64, String> {
    tally.tales.iter().map(|(order, tale)| (*order, tale.ending())).collect()
}

/// Without what hangs on which of several steps came first: whether there was something to undo yet.
fn classes(tally: &Tally) -> BTreeMap<u64, String> {
    let class = |ending: String| ending.split_once(": ").map_or_else(|| ending.clone(), |(_, why)| why.to_owned());
    endings(tally).into_iter().map(|(order, ending)| (order, class(ending))).collect()
}

#[test]
fn twenty_seeds_balance() {
    for seed in 1..=20 {
        balances(Scene::new(seed, 60));
    }
}

#[test]
fn twenty_seeds_balance_through_crashes() {
    for seed in 1..=20 {
        for facts in [7, 40, 211] {
            let scene = Scene { crash: Some(facts), again: true, ..Scene::new(seed, 12) };
            assert!(balances(scene).0.refused.crashes > 0);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let [one, other] = [(); 2].map(|()| balances(Scene::new(3, 40)).0);
    assert_eq!(one.journal, other.journal);
}

/// A day of three orders in which one is compensated and something is unknown of it, and all the same every outcome follows
/// from the order alone.
fn small_day() -> (Scene, Tally) {
    for seed in 0.. {
        let scene = Scene { regrets: false, deaths: false, ..Scene::new(seed, 3) };
        let (_, tally) = balances(scene.clone());
        let telling =
            tally.tales.values().any(|tale| tale.ending().starts_with("compensated: card") && tale.unknown > 0);
        let shipped = tally.tales.values().any(|tale| tale.ending() == "shipped");
        if telling && shipped && tally.tales.values().map(|tale| tale.unknown).sum::<u64>() > 1 {
            return (scene, tally);
        }
    }
    unreachable!()
}

#[test]
fn a_crash_at_every_event_changes_no_outcome() {
    let (scene, quiet) = small_day();
    assert!(quiet.facts > 60);
    for facts in 1..=quiet.facts as u64 {
        let (_, tally) = balances(Scene { crash: Some(facts), ..scene.clone() });
        assert_eq!(classes(&tally), classes(&quiet), "{scene:?} after {facts} facts");
    }
}

#[test]
fn a_crash_at_every_event_of_a_rough_day_leaves_balanced_books() {
    for seed in [2, 5, 8] {
        let (_, quiet) = balances(Scene::new(seed, 4));
        for facts in 1..=quiet.facts as u64 {
            balances(Scene { crash: Some(facts), ..Scene::new(seed, 4) });
        }
    }
}

#[test]
fn the_proof_notices_mistakes_of_the_world() {
    let mistakes = [
        (Planted::RefundForgotten, "refunded 0"),
        (Planted::Oversold, "oversold"),
        (Planted::RepeatsUnnoticed, "2 times"),
        (Planted::LateAccepted, "charged 1, shipped 0, refunded 0"),
    ];
    for (planted, sign) in mistakes {
        let found = (1..=20).any(|seed| {
            let (_, _, wrong) = judged(Scene { planted, ..Scene::new(seed, 100) }).unwrap();
            wrong.iter().any(|line| line.contains(sign))
        });
        assert!(found, "{planted:?} is not detected");
    }
}

#[test]
fn all_sorts_of_things_happen() {
    let (shop, tally) = balances(Scene { crash: Some(900), again: true, ..Scene::new(1, 250) });
    let sum = |what: fn(&crate::tally::Tale) -> u64| tally.tales.values().map(what).sum::<u64>();
    assert!(sum(|tale| tale.retries) > 0 && sum(|tale| tale.failovers) > 0 && sum(|tale| tale.unknown) > 0);
    assert!(sum(|tale| tale.undone) > 0 && shop.refused.stale_attempts > 0 && tally.agents_lost > 0);
    let endings: Vec<String> = endings(&tally).into_values().collect();
    for ending in
        ["compensated: card declined", "compensated: looks like fraud", "compensated: out of stock", "shipped"]
    {
        assert!(endings.iter().any(|other| other == ending), "nothing was {ending}");
    }
}

#[test]
fn on_threads_the_books_balance_too() {
    let (_, wrong) = crate::threads::play(1, 40).unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
