//! A storm of retries, in virtual time: clients that give up and ask again keep an outage going after it is over, unless
//! the scheduler leaves undone what would come too late.

use crate::kit::{Host, agent, host, ms, task};
use counterpoint::{Command, Config, Effect, Payload, Random, TaskId, Time};
use std::collections::BTreeMap;
use std::time::Duration;

const SECONDS: usize = 90;
const OUTAGE: std::ops::Range<u64> = 20..30;
const PATIENCE: Duration = Duration::from_secs(1);

enum Step {
    /// A client asks, for the so manieth time.
    Ask(u32),
    GiveUp(TaskId, u32),
    Done(counterpoint::AttemptId),
}

/// A hundred tasks a second can be done, eighty are asked for, and a client that has had no answer after a second asks
/// again, three times. For ten seconds the only agent does nothing.
struct Storm {
    host: Host,
    steps: BTreeMap<(Time, u64), Step>,
    serial: u64,
    asked: BTreeMap<TaskId, Time>,
    good: Vec<u32>,
}

impl Storm {
    fn run(config: Config) -> Self {
        let mut host = host(config);
        host.join(agent(1));
        let good = vec![0; SECONDS + 1];
        let mut storm = Self { host, steps: BTreeMap::new(), serial: 0, asked: BTreeMap::new(), good };
        storm.at(Time::ZERO, Step::Ask(0));
        while let Some(((now, _), step)) = storm.steps.pop_first() {
            if now > Time::from_secs(SECONDS as u64) {
                break;
            }
            storm.host.now = now;
            storm.step(now, step);
        }
        storm
    }

    fn at(&mut self, when: Time, step: Step) {
        self.serial += 1;
        self.steps.insert((when, self.serial), step);
    }

    fn between(&self, low: u64, high: u64) -> Duration {
        Random::new(5, self.serial).between(ms(low), ms(high))
    }

    fn step(&mut self, now: Time, step: Step) {
        match step {
            Step::Ask(times) => {
                if times == 0 {
                    let next = now + self.between(0, 25);
                    self.at(next, Step::Ask(0));
                }
                let id = TaskId::new(self.serial);
                self.asked.insert(id, now);
                self.at(now + PATIENCE, Step::GiveUp(id, times));
                let spec = task(id.get()).with_deadline(now + PATIENCE).with_estimate(ms(15));
                self.say(Command::submit(spec));
            }
            Step::GiveUp(id, times) => {
                if self.asked.remove(&id).is_some() && times < 3 {
                    let again = now + self.between(0, 200);
                    self.at(again, Step::Ask(times + 1));
                }
            }
            Step::Done(attempt) => {
                if self.asked.remove(&attempt.task()).is_some() {
                    self.good[usize::try_from((now - Time::ZERO).as_secs()).unwrap()] += 1;
                }
                let (current, by) = self.host.running(attempt.task().get());
                self.say(Command::complete(by, current, Payload::NULL));
            }
        }
    }

    fn say(&mut self, command: Command) {
        let mut out = counterpoint::Outbox::default();
        self.host.scheduler.handle(self.host.now, command, &mut out).unwrap();
        for effect in out.effects() {
            if let Effect::Dispatch { attempt, .. } = effect {
                let done = self.host.now + self.between(5, 15);
                let back = Time::from_secs(OUTAGE.end);
                let out = (Time::from_secs(OUTAGE.start)..back).contains(&done);
                self.at(if out { back + self.between(5, 15) } else { done }, Step::Done(*attempt));
            }
        }
    }

    /// Seconds from the end of the outage until nearly all that is asked for is answered, for good.
    fn recovery(&self) -> Option<usize> {
        let from = usize::try_from(OUTAGE.end).unwrap();
        let calm = |at: usize| self.good[at..at + 5].iter().sum::<u32>() >= 350;
        (from..SECONDS - 5).find(|at| (*at..SECONDS - 5).all(calm)).map(|at| at - from)
    }
}

#[test]
fn a_storm_of_retries_ends_when_what_is_too_late_is_left_undone() {
    let naive = Storm::run(Config::default());
    let last: u32 = naive.good[SECONDS - 20..SECONDS].iter().sum();
    assert_eq!(naive.recovery(), None, "and {last} answers in the last twenty seconds");
    let guarded = Storm::run(Config::default().with_infeasible_dropped(true));
    assert!(guarded.recovery().is_some_and(|seconds| seconds <= 3), "{:?}: {:?}", guarded.recovery(), guarded.good);
}
