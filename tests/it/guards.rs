//! The guards at work: a storm of retries with and without them, and what breakers elsewhere get wrong.

use counterpoint::resilience::breaker::{self, Breaker, Outcome, Phase};
use counterpoint::resilience::budget::{self, Budget};
use counterpoint::resilience::delay;
use counterpoint::{Random, Retry, Time};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const SECONDS: usize = 300;
const OUTAGE: std::ops::Range<usize> = 20..30;
const TIMEOUT: Duration = Duration::from_secs(1);

/// One server with a queue, a hundred tasks a second; eighty a second come; a client gives up an attempt after a second
/// and may try again three times. For ten seconds the server does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting {
    retries: u32,
    budget: bool,
    /// Drops at pop what would be over within so long: none at all, what is over, what cannot be done in time.
    drop_at_pop: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Arrive,
    /// The client gives up this attempt.
    Timeout {
        task: usize,
        attempt: u32,
    },
    Send {
        task: usize,
    },
    Done,
}

#[derive(Default)]
struct Task {
    attempts: u32,
    over: bool,
}

struct Storm {
    setting: Setting,
    steps: BTreeMap<(Time, u64), Step>,
    serial: u64,
    tasks: Vec<Task>,
    queue: VecDeque<(usize, u32, Time)>,
    serving: Option<(usize, u32, Time)>,
    budget: Budget,
    sent: usize,
    good: Vec<u32>,
}

impl Storm {
    fn run(setting: Setting) -> Self {
        let mut storm = Self {
            setting,
            steps: BTreeMap::new(),
            serial: 0,
            tasks: Vec::new(),
            queue: VecDeque::new(),
            serving: None,
            budget: Budget::default(),
            sent: 0,
            good: vec![0; SECONDS + 1],
        };
        storm.at(Time::ZERO, Step::Arrive);
        while let Some(((now, _), step)) = storm.steps.pop_first() {
            if now > second(SECONDS) {
                break;
            }
            storm.step(now, step);
        }
        storm
    }

    fn at(&mut self, when: Time, step: Step) {
        self.serial += 1;
        self.steps.insert((when, self.serial), step);
    }

    fn random(&self) -> Random {
        Random::new(11, self.serial)
    }

    fn step(&mut self, now: Time, step: Step) {
        match step {
            Step::Arrive => {
                let next = now + self.random().between(Duration::ZERO, Duration::from_millis(25));
                self.at(next, Step::Arrive);
                self.tasks.push(Task::default());
                self.budget.earn(&budget_rules(), now);
                self.send(self.tasks.len() - 1, now);
            }
            Step::Send { task } => self.send(task, now),
            Step::Timeout { task, attempt } => self.give_up(task, attempt, now),
            Step::Done => {
                if let Some((task, attempt, _)) = self.serving.take()
                    && self.tasks[task].attempts == attempt
                    && !self.tasks[task].over
                {
                    self.tasks[task].over = true;
                    self.good[usize::try_from((now - Time::ZERO).as_secs()).unwrap()] += 1;
                }
            }
        }
        self.serve(now);
    }

    fn send(&mut self, task: usize, now: Time) {
        self.sent += 1;
        self.tasks[task].attempts += 1;
        let attempt = self.tasks[task].attempts;
        self.queue.push_back((task, attempt, now + TIMEOUT));
        self.at(now + TIMEOUT, Step::Timeout { task, attempt });
    }

    fn give_up(&mut self, task: usize, attempt: u32, now: Time) {
        if self.tasks[task].over || self.tasks[task].attempts != attempt {
            return;
        }
        let tries = attempt <= self.setting.retries;
        if !tries || (self.setting.budget && !self.budget.spend(&budget_rules(), now)) {
            self.tasks[task].over = true;
            return;
        }
        let retry = Retry::exponential(4, Duration::from_millis(100), Duration::from_secs(2));
        let wait = delay(&retry, attempt, None, &mut self.random());
        self.at(now + wait, Step::Send { task });
    }

    fn serve(&mut self, now: Time) {
        if self.serving.is_some() {
            return;
        }
        if let Some(margin) = self.setting.drop_at_pop {
            while self.queue.front().is_some_and(|(_, _, until)| *until <= now + margin) {
                self.queue.pop_front();
            }
        }
        if let Some(next) = self.queue.pop_front() {
            let took = self.random().between(Duration::from_millis(5), Duration::from_millis(15));
            let (stop, again) = (second(OUTAGE.start), second(OUTAGE.end));
            self.serving = Some(next);
            self.at(if now >= stop && now < again { again + took } else { now + took }, Step::Done);
        }
    }

    /// Seconds from the end of the outage until goodput over ten seconds stays near what is offered, for good.
    fn recovery(&self) -> Option<usize> {
        let calm = |from: usize| self.good[from..from + 10].iter().sum::<u32>() >= 700;
        (OUTAGE.end..SECONDS - 10).find(|from| (*from..SECONDS - 10).all(calm)).map(|from| from - OUTAGE.end)
    }

    fn sent_per_task(&self) -> f64 {
        self.sent as f64 / self.tasks.len() as f64
    }
}

fn second(number: usize) -> Time {
    Time::from_secs(number as u64)
}

fn budget_rules() -> budget::Rules {
    budget::Rules::new(budget::Config::default().with_permille(100)).unwrap()
}

#[test]
fn a_storm_of_retries_ends_only_with_guards() {
    let storm = |retries, budget, drop_at_pop| {
        let storm = Storm::run(Setting { retries, budget, drop_at_pop });
        (storm.recovery(), storm.sent_per_task(), storm)
    };
    let in_time = Some(Duration::from_millis(15));
    let within = |found: Option<usize>, seconds: std::ops::RangeInclusive<usize>| {
        found.is_some_and(|found| seconds.contains(&found))
    };

    let (recovery, sent, naive) = storm(3, false, None);
    assert_eq!(recovery, None);
    let last: u32 = naive.good[SECONDS - 20..].iter().sum();
    assert!(last < 20 && sent > 3.3, "four and a half minutes later next to nothing succeeds: {last}, {sent}");

    let (recovery, sent, _) = storm(3, true, None);
    assert!(
        within(recovery, 20..=150) && sent < 1.15,
        "a budget bounds the load, and the queue drains: {recovery:?}, {sent}"
    );

    let (recovery, _, _) = storm(0, false, None);
    assert!(within(recovery, 20..=80), "so does doing without retries: {recovery:?}");

    let (recovery, sent, _) = storm(3, false, in_time);
    assert!(
        within(recovery, 0..=3) && sent < 1.3,
        "without what is too late the queue is short at once: {recovery:?}, {sent}"
    );

    let (recovery, sent, _) = storm(3, true, in_time);
    assert!(within(recovery, 0..=3) && sent < 1.1, "both: {recovery:?}, {sent}");

    // A queue in order of arrival that drops only what is over already serves what is about to be over.
    let (recovery, _, _) = storm(3, false, Some(Duration::ZERO));
    assert_eq!(recovery, None);
    let (recovery, _, _) = storm(3, true, Some(Duration::ZERO));
    assert!(within(recovery, 0..=20), "a budget makes up for it: {recovery:?}");
}

const BAD: Outcome = Outcome::Failure(Duration::from_millis(5));
const GOOD: Outcome = Outcome::Success(Duration::from_millis(5));

fn opened(rules: &breaker::Rules, now: Time) -> (Breaker, Time) {
    let mut breaker = Breaker::default();
    let mut random = Random::new(3, 3);
    while breaker.phase() == Phase::Closed {
        let ticket = breaker.admit(rules, now).expect("it is closed");
        breaker.record(rules, ticket, BAD, now, &mut random);
    }
    let until = breaker.admit(rules, now).expect_err("it is open").until;
    (breaker, until)
}

#[test]
fn half_open_admits_no_more_than_its_probes() {
    for probes in [1_u32, 3, 10] {
        let rules = breaker::Rules::new(breaker::Config::default().with_probes(probes)).unwrap();
        let (mut breaker, until) = opened(&rules, Time::from_secs(1));
        let admitted = (0..1_000).filter(|_| breaker.admit(&rules, until).is_ok()).count();
        assert_eq!(admitted, probes as usize);
        assert_eq!(breaker.phase(), Phase::HalfOpen);
    }
}

#[test]
fn a_success_from_before_the_opening_closes_nothing() {
    let rules = breaker::Rules::new(breaker::Config::default().with_close_after(1)).unwrap();
    let mut breaker = Breaker::default();
    let mut random = Random::new(3, 3);
    let now = Time::from_secs(1);
    let slow: Vec<_> = (0..50).map(|_| breaker.admit(&rules, now).expect("it is closed")).collect();
    for _ in 0..5 {
        let ticket = breaker.admit(&rules, now).expect("it is closed");
        breaker.record(&rules, ticket, BAD, now, &mut random);
    }
    let until = breaker.admit(&rules, now).expect_err("it is open").until;
    let probe = breaker.admit(&rules, until).expect("a probe");
    for ticket in slow {
        assert_eq!(breaker.record(&rules, ticket, GOOD, until, &mut random), None);
        assert_eq!(breaker.phase(), Phase::HalfOpen);
    }
    assert_eq!(breaker.late(), 50);
    breaker.record(&rules, probe, GOOD, until, &mut random);
    assert_eq!(breaker.phase(), Phase::Closed);
}

#[test]
fn no_delay_is_beyond_its_cap() {
    // One known library adds its jitter on top: asked for ten seconds at most, it waits up to twenty.
    let cap = Duration::from_secs(10);
    for jitter in
        [counterpoint::task::Jitter::Full, counterpoint::task::Jitter::Equal, counterpoint::task::Jitter::Decorrelated]
    {
        let retry = Retry::exponential(50, Duration::from_millis(100), cap).with_jitter(jitter);
        assert!((1..50).all(|failed| delay(&retry, failed, None, &mut Random::new(5, failed.into())) <= cap));
    }
}
