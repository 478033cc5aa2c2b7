//! Bounds, single flight, expiry, and which one goes.

use super::*;
use proptest::prelude::*;

fn put(cache: &mut Cache<u32, u32>, rules: &Rules, key: u32, bytes: u64, now: Time) {
    if let Look::Lead(flight) = cache.look(rules, &key, now) {
        cache.fill(rules, &key, flight, key, bytes, Validity::Long, now, &mut Random::new(1, key.into()));
    }
}

#[test]
fn sieve_as_in_the_paper() {
    // NSDI 2024, figure 3: A to G in the queue (G newest), of which A, B and G were hit; H evicts C, then I evicts D.
    let rules = Rules::new(Config::default().with_entries(7)).unwrap();
    let (mut cache, now) = (Cache::default(), Time::ZERO);
    (0..7).for_each(|key| put(&mut cache, &rules, key, 1, now));
    for key in [0, 1, 6] {
        assert_eq!(cache.look(&rules, &key, now), Look::Hit(&key));
    }
    put(&mut cache, &rules, 7, 1, now);
    assert_eq!(cache.peek(&2, now), None);
    // A is hit again, and stays where it is.
    assert_eq!(cache.look(&rules, &0, now), Look::Hit(&0));
    put(&mut cache, &rules, 8, 1, now);
    assert_eq!(cache.peek(&3, now), None);
    assert_eq!((cache.len(), cache.counts().evicted), (7, 2));
    assert!([0, 1, 4, 5, 6, 7, 8].iter().all(|key| cache.peek(key, now).is_some()));
}

#[test]
fn a_scan_does_not_wash_out_what_is_used() {
    let rules = Rules::new(Config::default().with_entries(100)).unwrap();
    let (mut cache, now) = (Cache::default(), Time::ZERO);
    for round in 0..1_000 {
        (0..50).for_each(|key| put(&mut cache, &rules, key, 1, now));
        (0..20).for_each(|one| put(&mut cache, &rules, 1_000 + round * 20 + one, 1, now));
    }
    assert!(cache.counts().hits > 49_900, "{:?}", cache.counts());
}

#[test]
fn one_leads_and_a_lost_leader_is_followed() {
    let rules = Rules::new(Config::default().with_flights(2)).unwrap();
    let (mut cache, mut random): (Cache<&str, u8>, _) = (Cache::default(), Random::new(1, 1));
    let Look::Lead(first) = cache.look(&rules, &"a", Time::ZERO) else { panic!("nobody asks") };
    assert_eq!(cache.look(&rules, &"a", Time::from_secs(59)), Look::Join(first));
    let Look::Lead(second) = cache.look(&rules, &"a", Time::from_secs(60)) else { panic!("the lease ran out") };
    let now = Time::from_secs(61);
    assert!(!cache.fill(&rules, &"a", first, 1, 1, Validity::Long, now, &mut random), "a late word");
    assert!(!cache.abandon(&"a", first));
    assert!(cache.fill(&rules, &"a", second, 2, 1, Validity::Short, now, &mut random));
    assert_eq!(cache.look(&rules, &"a", now), Look::Hit(&2));
    assert!(
        matches!(cache.look(&rules, &"a", now + Duration::from_millis(5_500)), Look::Lead(_)),
        "a failure is forgotten soon"
    );
    assert!(matches!(cache.look(&rules, &"b", now), Look::Lead(_)));
    assert_eq!(cache.look(&rules, &"c", now), Look::Alone);
    cache.forget(&"b");
    assert!(matches!(cache.look(&rules, &"c", now), Look::Lead(_)));
}

#[test]
fn expiry_times_are_spread() {
    let rules = Rules::default();
    let mut cache = Cache::default();
    (0..1_000).for_each(|key| put(&mut cache, &rules, key, 1, Time::ZERO));
    assert!(cache.next_wakeup().unwrap() >= Time::from_secs(270));
    cache.sweep(Time::from_secs(300), usize::MAX);
    assert!((400..600).contains(&cache.len()), "{}", cache.len());
    cache.sweep(Time::from_secs(331), usize::MAX);
    assert!(cache.is_empty() && cache.bytes() == 0 && cache.next_wakeup().is_none());
}

proptest! {
    #[test]
    fn bounds_and_books_hold(ops in prop::collection::vec((0_u8..10, 0_u32..30, 0_u64..40, 0_u64..60), 1..300)) {
        let rules = Rules::new(Config::default().with_entries(10).with_bytes(100)).unwrap();
        let (mut cache, mut now) = (Cache::<u32, u32>::default(), Time::ZERO);
        for (op, key, bytes, wait) in ops {
            now = now + Duration::from_secs(wait);
            match op {
                0 => cache.forget(&key),
                1 => cache.sweep(now, 3),
                _ => put(&mut cache, &rules, key, bytes, now),
            }
            prop_assert!(cache.len() <= 10 && cache.bytes() <= 100);
            prop_assert_eq!(cache.len(), cache.index.len());
            prop_assert_eq!(cache.len(), cache.ends.len());
            prop_assert_eq!(cache.bytes(), cache.kept.values().map(|kept| kept.bytes).sum::<u64>());
            prop_assert!(cache.flights.is_empty() || op > 1);
            let text = serde_json::to_string(&cache).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Cache<u32, u32>>(&text).unwrap(), &cache);
        }
    }
}
