//! Draws schedules and the commands that concern them, in a quarter of the cases. They have a stream of their own, so that they
//! move no other draw.

use super::{Draw, ms};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::command::Command;
use crate::message::schedule::ScheduleCommand;
use crate::schedule::{Calendar, Overlap, Rule, ScheduleSpec, Timing};
use crate::sim::job::Job;
use crate::sim::storm::case::Case;
use crate::sim::storm::flows;
use core::time::Duration;
use serde_json::json;
use std::sync::Arc;

/// The number of the first command about a schedule, beyond those of all other commands.
const FIRST: u32 = 100_000;
/// The most runs that the schedules of a case start.
const RUNS: u32 = 80;
const IDS: [&str; 3] = ["s0", "s1", "s2"];

/// The number of the commands about schedules of a case.
fn count(random: &mut Random) -> u32 {
    if random.below(4) == 0 { u32::try_from(4 + random.below(14)).unwrap_or(4) } else { 0 }
}

fn stream(case: &Case) -> Random {
    Random::new(case.seed, 0x7363_6865_6475_6c65)
}

/// The numbers of these commands.
pub(in crate::sim::storm) fn numbers(case: &Case) -> impl Iterator<Item = u32> {
    let count = count(&mut stream(case));
    (0..count).map(|number| FIRST + number)
}

impl Draw {
    /// The commands of a case, and a bound on the number of runs that they cause.
    pub(super) fn schedules(&self, case: &Case) -> (Vec<Job>, u32) {
        let random = stream(case);
        let mut draw = Schedules { random, span: self.span, specs: Vec::new() };
        let mut moments: Vec<u64> =
            (0..count(&mut draw.random)).map(|_| draw.below(draw.span.saturating_mul(1_000))).collect();
        moments.sort_unstable();
        let runs = if moments.is_empty() { 0 } else { RUNS };
        let mut jobs = Vec::new();
        for (number, at) in (FIRST..).zip(moments) {
            let at = Time::from_millis(at);
            let command = draw.command(at, number);
            if !case.jobs.contains(&number) {
                jobs.push(Job::command(at, command));
            }
        }
        (jobs, runs)
    }
}

struct Schedules {
    random: Random,
    /// The seconds within which they fire.
    span: u64,
    specs: Vec<Arc<ScheduleSpec>>,
}

impl Schedules {
    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(usize::try_from(bound).unwrap_or(usize::MAX)) as u64
    }

    fn one_of<T: Clone>(&mut self, values: &[T], otherwise: T) -> T {
        values.get(self.random.below(values.len())).cloned().unwrap_or(otherwise)
    }

    fn command(&mut self, at: Time, number: u32) -> Command {
        let schedule = Name::from(self.one_of(&IDS, "s0"));
        let reason = Name::from("look");
        match self.below(16) {
            _ if self.specs.is_empty() => self.create(at, schedule),
            0..4 => self.create(at, schedule),
            // The same again.
            4 => {
                let (known, other) = (self.specs.clone(), Arc::new(self.spec(at, schedule)));
                ScheduleCommand::Create(self.one_of(&known, other))
            }
            5 => ScheduleCommand::Update(Arc::new(self.update(at, schedule))),
            6 => ScheduleCommand::Delete { schedule, reason },
            7 | 8 => ScheduleCommand::Pause { schedule, note: reason },
            9..12 => ScheduleCommand::Resume { schedule, note: reason },
            12 | 13 => {
                let request = Name::from(format!("request {}", self.below(u64::from(number % 8) + 1)));
                ScheduleCommand::Trigger { schedule, request, overlap: self.some_overlap() }
            }
            _ => {
                let ago = ms(self.below(60_000));
                let from = Time::from_nanos(at.as_nanos().saturating_sub(crate::base::time::nanos_of(ago)));
                let to = from + ms(self.below(20_000));
                ScheduleCommand::Backfill { schedule, from, to, overlap: self.some_overlap() }
            }
        }
        .into()
    }

    fn create(&mut self, at: Time, schedule: Name) -> ScheduleCommand {
        let spec = Arc::new(self.spec(at, schedule));
        self.specs.push(Arc::clone(&spec));
        ScheduleCommand::Create(spec)
    }

    /// Another specification, in half of the cases with the timing of a known one.
    fn update(&mut self, at: Time, schedule: Name) -> ScheduleSpec {
        let mut spec = self.spec(at, schedule);
        let known = self.specs.iter().rfind(|known| known.id == spec.id);
        if let Some(known) = known.filter(|_| self.random.below(2) == 0) {
            spec.timing = known.timing.clone();
        }
        spec
    }

    fn some_overlap(&mut self) -> Option<Overlap> {
        (self.below(2) == 0).then(|| self.overlap())
    }

    fn overlap(&mut self) -> Overlap {
        self.one_of(
            &[
                Overlap::Skip,
                Overlap::BufferOne,
                Overlap::BufferAll { most: 0 },
                Overlap::BufferAll { most: 3 },
                Overlap::BufferAll { most: 1_001 },
                Overlap::CancelOther,
                Overlap::AbortOther,
                Overlap::AllowAll,
            ],
            Overlap::Skip,
        )
    }

    fn rule(&mut self) -> Rule {
        match self.below(6) {
            0 => Rule::Cron(Name::from(format!("*/{} * * * * *", 4 + self.below(30)))),
            1 => Rule::from(Calendar::new().with_second(self.below(60).to_string())),
            // Extreme and unsound rules.
            2 => self.one_of(
                &[
                    Rule::Cron("0 0 30 2 *".into()),
                    Rule::Cron("* * * * * * 2553".into()),
                    Rule::Cron("".into()),
                    Rule::Every { every: Duration::MAX, offset: Duration::ZERO },
                    Rule::Every { every: Duration::ZERO, offset: Duration::ZERO },
                    Rule::Every { every: Duration::from_secs(100 * 366 * 86_400), offset: Duration::from_nanos(1) },
                ],
                Rule::Cron("@hourly".into()),
            ),
            _ => Rule::Every { every: ms(4_000 + self.below(40_000)), offset: ms(self.below(4_000)) },
        }
    }

    /// A schedule that ends with the case, after few firings.
    fn spec(&mut self, at: Time, id: Name) -> ScheduleSpec {
        let end = at.max(Time::from_secs(self.span));
        let mut timing = Timing::new(self.rule()).with_end(end);
        if self.below(6) == 0 {
            timing = timing.and(self.rule());
        }
        if self.below(6) == 0 {
            timing = timing.except(Calendar::new().with_second("10-25"));
        }
        if self.below(4) == 0 {
            timing = timing.with_jitter(self.one_of(&[ms(1), ms(3_000), Duration::MAX], ms(1)));
        }
        if self.below(12) == 0 {
            timing = timing.in_zone(self.one_of(&["UTC", "+02:00", "Europe/Berlin", "nowhere"], "UTC"));
        }
        let workflow = self.one_of(&flows::NAMES, "order");
        let mut spec = ScheduleSpec::new(id, workflow, timing).with_overlap(self.overlap()).with_limit(self.below(5));
        spec = spec.with_input(Payload::new(json!({ "items": [1, 2] })));
        match self.below(10) {
            0 => {
                spec = spec
                    .with_catch_up(self.one_of(&[Duration::ZERO, ms(1_000), ms(2_000), Duration::MAX], Duration::ZERO))
            }
            1 => spec = spec.pausing_on_failure(),
            2 => spec = spec.with_nominal_time_as("at"),
            3 => spec = spec.paused("not yet"),
            4 => spec = spec.with_tenant("t1"),
            // The defaults, said explicitly.
            5 => spec = spec.with_catch_up(Duration::from_secs(86_400)),
            _ => {}
        }
        spec
    }
}
