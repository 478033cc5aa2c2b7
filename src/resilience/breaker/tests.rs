//! Every state with every event, and what must hold after any sequence of them.

use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);
const OK: Outcome = Outcome::Success(MS);
const BAD: Outcome = Outcome::Failure(MS);

fn rules() -> Rules {
    Rules::new(Config::default().with_consecutive(2).with_probes(2).with_close_after(2).with_jitter_permille(0))
        .unwrap()
}

fn random() -> Random {
    Random::new(7, 7)
}

/// A breaker in each phase at second 100, with a current ticket (if the phase gives any) and one of the phase before.
fn in_phase(phase: Phase) -> (Breaker, Option<Ticket>, Ticket) {
    let (rules, mut breaker, now) = (rules(), Breaker::default(), Time::from_secs(100));
    let old = breaker.admit(&rules, now).unwrap();
    match phase {
        Phase::Open => {
            breaker.hold(now + Duration::from_secs(10));
            (breaker, None, old)
        }
        Phase::HalfOpen => {
            breaker.hold(now);
            let probe = breaker.admit(&rules, now).unwrap();
            (breaker, Some(probe), old)
        }
        Phase::Closed => {
            breaker.reset(now);
            let ticket = breaker.admit(&rules, now).unwrap();
            (breaker, Some(ticket), old)
        }
    }
}

#[test]
fn every_phase_with_every_event() {
    use Phase::{Closed, HalfOpen, Open};
    let (rules, now) = (rules(), Time::from_secs(100));
    let later = Time::from_secs(1_000);
    // Phase; after admit now, admit later, one success, two, one failure, two, release, hold, reset.
    let table = [
        (Closed, [Closed, Closed, Closed, Closed, Closed, Open, Closed, Open, Closed]),
        (Open, [Open, HalfOpen, Open, Open, Open, Open, Open, Open, Closed]),
        (HalfOpen, [HalfOpen, HalfOpen, HalfOpen, Closed, Open, Open, HalfOpen, Open, Closed]),
    ];
    for (from, expected) in table {
        for (event, to) in expected.into_iter().enumerate() {
            let (mut breaker, current, old) = in_phase(from);
            let tell = |breaker: &mut Breaker, outcome: Outcome, times: usize| {
                for ticket in current.into_iter().chain(breaker.admit(&rules, now).ok()).take(times) {
                    breaker.record(&rules, ticket, outcome, now, &mut random());
                }
            };
            match event {
                0 => drop(breaker.admit(&rules, now)),
                1 => drop(breaker.admit(&rules, later)),
                2 => tell(&mut breaker, OK, 1),
                3 => tell(&mut breaker, OK, 2),
                4 => tell(&mut breaker, BAD, 1),
                5 => tell(&mut breaker, BAD, 2),
                6 => current.into_iter().for_each(|ticket| breaker.release(ticket)),
                7 => drop(breaker.hold(later)),
                _ => drop(breaker.reset(now)),
            }
            assert_eq!(breaker.phase(), to, "{from:?}, event {event}");
            // Words of the life before never move anything.
            let late = breaker.late();
            for outcome in [OK, BAD, BAD, BAD] {
                assert_eq!(breaker.record(&rules, old, outcome, now, &mut random()), None);
            }
            breaker.release(old);
            assert_eq!(breaker.phase(), to, "{from:?}, event {event}, late words");
            assert_eq!(breaker.late(), late + 4);
        }
    }
}

#[test]
fn it_opens_by_share_and_by_slowness() {
    let shared = Config::default().with_consecutive(0).with_min_calls(10).with_slow_after(MS * 100);
    for (config, outcome, why) in [
        (shared.clone().with_failure_permille(500), BAD, Trip::Failures),
        (shared.with_failure_permille(0).with_slow_permille(500), Outcome::Success(MS * 100), Trip::Slow),
    ] {
        let rules = Rules::new(config).unwrap();
        let mut breaker = Breaker::default();
        for call in 0_u64..10 {
            let now = Time::from_millis(call);
            let ticket = breaker.admit(&rules, now).unwrap();
            let shift = breaker.record(&rules, ticket, if call < 5 { OK } else { outcome }, now, &mut random());
            match shift {
                Some(Shift::Opened { why: found, .. }) => assert_eq!((call, found), (9, why)),
                other => assert!(call < 9 && other.is_none()),
            }
        }
    }
}

#[test]
fn it_stays_open_longer_each_time_and_forgives() {
    let rules = Rules::new(Config::default().with_consecutive(1).with_jitter_permille(0)).unwrap();
    let mut breaker = Breaker::default();
    let mut now = Time::from_secs(1_000);
    for times in 1..=100 {
        let ticket = breaker.admit(&rules, now).unwrap();
        let Some(Shift::Opened { until, .. }) = breaker.record(&rules, ticket, BAD, now, &mut random()) else {
            panic!("it opens")
        };
        assert_eq!(until - now, Duration::from_secs(5 * times).min(Duration::from_secs(300)));
        now = until;
    }
    breaker.hold(now);
    for _ in 0..3 {
        let ticket = breaker.admit(&rules, now).unwrap();
        breaker.record(&rules, ticket, OK, now, &mut random());
    }
    assert_eq!((breaker.phase(), breaker.openings()), (Phase::Closed, 100));
    now = now + Duration::from_secs(60 * 95);
    let ticket = breaker.admit(&rules, now).unwrap();
    breaker.record(&rules, ticket, BAD, now, &mut random());
    assert_eq!(breaker.openings(), 6);
}

#[test]
fn a_lost_probe_blocks_nothing() {
    let (rules, now) = (rules(), Time::from_secs(1));
    let mut breaker = Breaker::default();
    breaker.hold(now);
    let lost = [breaker.admit(&rules, now).unwrap(), breaker.admit(&rules, now).unwrap()];
    let refused = breaker.admit(&rules, now).unwrap_err();
    assert_eq!(breaker.next_wakeup(&rules, now), Some(refused.until));
    assert!(breaker.admit(&rules, refused.until).is_ok());
    for ticket in lost {
        assert_eq!(breaker.record(&rules, ticket, OK, refused.until, &mut random()), None, "its lease ran out");
    }
    assert_eq!(breaker.phase(), Phase::HalfOpen);
}

#[test]
fn senseless_settings_are_refused() {
    for config in [
        Config::default().with_consecutive(0).with_failure_permille(0),
        Config::default().with_failure_permille(1_001),
        Config::default().with_probes(0),
        Config::default().with_window(Duration::from_nanos(9)),
        Config::default().with_open_cap(Duration::ZERO),
    ] {
        let json = serde_json::to_string(&config).unwrap();
        assert!(Rules::new(config).is_err());
        assert!(serde_json::from_str::<Rules>(&json).is_err());
    }
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_promises(ops in prop::collection::vec((0_u8..6, 0_u64..4_000, any::<prop::sample::Index>()), 1..300), seed: u64) {
        let rules = Rules::new(Config::default().with_consecutive(3).with_min_calls(5).with_probes(2).with_close_after(2)).unwrap();
        let (mut breaker, mut now, mut tickets) = (Breaker::default(), Time::ZERO, Vec::new());
        for (step, (op, wait, which)) in ops.into_iter().enumerate() {
            now = now + Duration::from_millis(wait);
            let mut random = Random::new(seed, step as u64);
            let before = breaker.clone();
            match op {
                0..=2 => {
                    let given = breaker.admit(&rules, now);
                    prop_assert!(given.is_ok() || before.phase() != Phase::Closed);
                    if let Err(refused) = given {
                        prop_assert!(refused.until > now);
                        prop_assert_eq!(before.next_wakeup(&rules, now), Some(refused.until));
                    }
                    tickets.extend(given);
                }
                3 | 4 if !tickets.is_empty() => {
                    // Some tickets are told twice: they are not taken out.
                    let ticket = tickets[which.index(tickets.len())];
                    let shift = breaker.record(&rules, ticket, if op == 3 { OK } else { BAD }, now, &mut random);
                    if ticket.generation != before.generation {
                        prop_assert_eq!(shift, None);
                        prop_assert_eq!(breaker.phase(), before.phase());
                    }
                    if let Some(Shift::Opened { until, .. }) = shift {
                        prop_assert!(until - now <= rules.config().open_cap);
                    }
                    prop_assert_eq!(shift.is_some(), breaker.generation() == before.generation + 1);
                }
                5 if !tickets.is_empty() => breaker.release(tickets[which.index(tickets.len())]),
                _ => {}
            }
            if let State::HalfOpen { probes, .. } = &breaker.state {
                prop_assert!(live(probes, now) <= 2);
            }
            let text = serde_json::to_string(&breaker).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Breaker>(&text).unwrap(), &breaker);
        }
    }
}
