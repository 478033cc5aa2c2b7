//! Storms: cases drawn from seeds, with random faults.
//!
//! A seed draws the agents, the load, and the rate of each fault, so each case has its own mix of faults. [`Rules`]
//! checks every call of the engine; every crash and many calls are checked by a replay. An outside system records the
//! side effects. In most cases faults stop at some time, and all work must end within a [computed](liveness) time after
//! it; in some cases they never stop.
//!
//! ```
//! use counterpoint::sim::storm::{Case, Storm};
//!
//! let storm = Storm::default().with_jobs(12);
//! for seed in 0..3 {
//!     let tally = storm.play(&Case::new(seed)).map_err(|failed| storm.shrink(*failed, 200))?;
//!     assert_eq!((tally.lost, tally.twice), (0, 0));
//! }
//! # Ok::<(), counterpoint::sim::storm::Failed>(())
//! ```
//!
//! With a configuration of your own ([`Storm::with_config`]) a storm tests your strategy, limits and guards.

mod case;
mod draw;
mod firings;
mod flows;
mod judge;
mod ledger;
mod operator;
mod principals;
mod shrink;
mod tally;

pub use case::{BadCase, Case};
pub use tally::{Journals, Tally};

pub use super::coverage::{Cell, Coverage};

use super::fault::Strike;
use super::rules::Rules;
use super::simulation::Simulation;
use crate::access;
use crate::base::limits::Limits;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::message::event::Entry;
use crate::resilience::capacity::rebalance;
use crate::resilience::{breaker, budget, concurrency, outlier, rate};
use crate::scheduler::Discipline;
use crate::scheduler::{Batch, Concurrency, Config, Preemption, Quota};
use crate::task::Policy;
use core::fmt;
use core::time::Duration;
use draw::{Drawn, Flavour, drawn};
use judge::judge;
use ledger::Ledger;
use std::sync::Arc;
use thiserror::Error;

/// The grace period of a cancelled attempt.
const GRACE: Duration = Duration::from_secs(10);
/// The longest duration of an attempt: the longest service time, at half speed, stalled.
const LONGEST: Duration = Duration::from_secs(1_200);
const SECOND: Duration = Duration::from_secs(1);

/// A failed case.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("case \"{case}\": {why}")]
#[non_exhaustive]
pub struct Failed {
    /// The case.
    pub case: Case,
    /// The violation.
    pub why: String,
    /// The faults that struck before it.
    pub strikes: Vec<Strike>,
    /// The entries before it.
    pub journal: Vec<Entry>,
}

impl Failed {
    /// A failure found by the caller, for example a panic.
    #[must_use]
    pub const fn new(case: Case, why: String) -> Self {
        Self { case, why, strikes: Vec::new(), journal: Vec::new() }
    }
}

type Configure = dyn Fn(u64) -> Config + Send + Sync;

/// Runs cases.
#[derive(Clone)]
pub struct Storm {
    jobs: Option<u32>,
    verify: u64,
    config: Option<Arc<Configure>>,
}

impl Default for Storm {
    /// Cases of 4 to 80 jobs, most of them small, with one of three configurations.
    fn default() -> Self {
        Self { jobs: None, verify: 256, config: None }
    }
}

impl Storm {
    /// Sets the number of jobs of each case: tasks, runs, and commands of operators. By default the seed draws it:
    /// small cases find most bugs and many more of them can be run; one case in fourteen is large.
    #[must_use]
    pub const fn with_jobs(mut self, jobs: u32) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// Replays the journal after this number of calls that produced entries, and after each crash; 0 for never.
    #[must_use]
    pub const fn with_verification(mut self, every: u64) -> Self {
        self.verify = every;
        self
    }

    /// Sets the configuration of the engines, from the seed. The rules of [`Rules::prompt`] are then left out, because
    /// they depend on the configuration.
    #[must_use]
    pub fn with_config(mut self, config: impl Fn(u64) -> Config + Send + Sync + 'static) -> Self {
        self.config = Some(Arc::new(config));
        self
    }

    /// Runs a case.
    ///
    /// # Errors
    ///
    /// The violation, with the case and the faults that struck.
    pub fn play(&self, case: &Case) -> Result<Tally, Box<Failed>> {
        let ledger = Ledger::new(case.seed);
        let simulation = self.simulation(case, &ledger);
        let (world, played) = simulation.played();
        let failed = |why: String, journal: Vec<Entry>| {
            Box::new(Failed { case: case.clone(), why, strikes: world.time.chance.strikes, journal })
        };
        let report = match played {
            Ok(report) => report,
            Err(error) => return Err(failed(error.to_string(), world.disk.into_history())),
        };
        match judge(&report, &ledger) {
            Err(why) => Err(failed(why, report.journal)),
            Ok(()) => {
                let books = ledger.books();
                Ok(Tally::of(&report, (books.repeats, books.too_late), world.audit.coverage.coverage))
            }
        }
    }

    fn simulation(&self, case: &Case, ledger: &Ledger) -> Simulation {
        let world = drawn(case, self.jobs);
        let (seed, flavour) = (case.seed, world.flavour);
        let config = self.config.clone();
        let rules = Rules::default();
        let rules = match (&config, flavour) {
            (None, Flavour::Plain) => rules.prompt().with_cancel_grace(GRACE),
            (None, Flavour::Shares | Flavour::Guards) => rules.with_cancel_grace(GRACE),
            (Some(config), _) => {
                let grace = config(seed).limits().cancel_grace;
                rules.trusting_routing().with_cancel_grace(grace)
            }
        };
        // The workflows of a storm need its reducer under any configuration.
        let set_up = move || {
            config.as_ref().map_or_else(|| set_up(seed, flavour), |config| config(seed)).with_reducer(flows::ADD, add)
        };
        let mut simulation = Simulation::new(seed)
            .with_config(set_up)
            .with_oracle(rules)
            .with_answers(ledger.clone())
            .with_network(world.delay.clone())
            .with_group_commit(world.group)
            .with_snapshots(world.snapshots)
            .with_verification(self.verify)
            .with_operator(Duration::from_secs(7), operator::steady(seed, world.quiet))
            .with_meddler(operator::meddle)
            .with_callers(access::Policy::standard(), principals::all())
            .with_breakdowns_until_quiet()
            .with_audits(world.twins && self.config.is_none());
        for kind in draw::KINDS.into_iter().chain([draw::LATE]) {
            simulation = simulation.with_service(kind, world.service.clone());
        }
        for definition in flows::all().into_iter().chain([flows::spelling()]) {
            simulation = simulation.with_definition(definition);
        }
        if world.reminders {
            simulation = simulation.with_reminders(Duration::from_secs(10));
        }
        simulation = match world.quiet {
            Some(quiet) => simulation.must_end_by(quiet + bound(&world)),
            None => simulation.until(Time::from_secs(900)),
        };
        simulation.with_agents(world.agents).with_jobs(world.jobs).with_faults(world.faults)
    }
}

impl fmt::Debug for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storm").field("jobs", &self.jobs).field("own config", &self.config.is_some()).finish()
    }
}

/// An upper bound of the time in which all work ends once faults have stopped: one agent performs all tasks one after
/// the other, every attempt takes its longest time and fails except for the last, and each is followed by its longest
/// back-off.
///
/// `longest` is the longest duration of an attempt, `grace` the configured
/// [`cancel_grace`](crate::Limits::cancel_grace).
#[must_use]
pub fn liveness<'a>(policies: impl IntoIterator<Item = &'a Policy>, longest: Duration, grace: Duration) -> Duration {
    let each = |policy: &Policy| {
        let retry = policy.retry();
        let try_for = policy.attempt_timeout().unwrap_or(longest).min(longest).saturating_add(grace);
        let all = try_for.saturating_add(retry.cap).saturating_mul(retry.attempts.saturating_add(1));
        policy.total_timeout().map_or(all, |total| all.min(total.saturating_add(grace)))
    };
    policies.into_iter().fold(longest, |all, policy| all.saturating_add(each(policy)))
}

/// The same for a case, including the tasks of its runs and the work under way when faults stop.
fn bound(world: &Drawn) -> Duration {
    let step = Policy::default().with_retry(crate::task::Retry::exponential(8, SECOND, Duration::from_secs(10)));
    // Operators restart some of them.
    let steps = core::iter::repeat_n(step, (world.runs as usize + 1) * 40);
    let steps: Vec<Policy> = steps.map(|policy| policy.with_attempt_timeout(Duration::from_secs(30))).collect();
    // Operators replay some of the dead letters.
    liveness(world.policies.iter().chain(&world.policies).chain(&steps), LONGEST, GRACE)
}

fn set_up(seed: u64, flavour: Flavour) -> Config {
    let mut limits = Limits::default().with_cancel_grace(GRACE);
    // Not the lowest digits, which select other settings.
    limits = match seed / 64 % 4 {
        0 => limits.with_unroutable_reported_after(Duration::ZERO),
        1 => limits.with_unroutable_reported_after(SECOND * 5).with_unroutable_failed_after(Some(SECOND * 20)),
        2 => limits.with_unroutable_reported_after(SECOND * 20).with_unroutable_failed_after(Some(SECOND * 5)),
        _ => limits,
    };
    let intervals = [Duration::ZERO, Duration::from_millis(700), SECOND * 5, SECOND * 3_600];
    let interval = usize::try_from(seed / 3 % 4).ok().and_then(|at| intervals.get(at)).copied().unwrap_or_default();
    limits = limits.with_details_interval(interval);
    let config = Config::default().with_seed(seed).with_story(0).with_limits(limits);
    match flavour {
        Flavour::Plain => config,
        Flavour::Shares => shares(seed, config),
        Flavour::Guards => guards(config),
    }
}

/// A reducer that counts numbers and ignores all else.
fn add(sum: &Payload, vote: &Payload) -> Payload {
    let number = |value: &Payload| value.value().as_u64().unwrap_or(0);
    Payload::new(number(sum).saturating_add(number(vote)).into())
}

fn shares(seed: u64, config: Config) -> Config {
    let (long, patience) = (Duration::from_millis(20), Duration::from_millis(100));
    let config = match seed % 6 {
        0 | 2 | 4 => config.with_discipline(Discipline::WeightedFair),
        3 => config.with_discipline(Discipline::Deferring { long, patience, one_in: 3 }),
        _ => config,
    };
    let config = config
        .with_shared("licence", 2)
        .with_tenant("t1", Quota::default().with_concurrent(2).with_weight(2))
        .with_kind("k1", Quota::default().with_concurrent(3))
        .with_preemption(Preemption::default().with_least_run(Duration::from_millis(50)))
        .with_rebalancing(rebalance::Rules::default(), Duration::from_millis(400));
    if seed.is_multiple_of(3) { config.with_batch("k2", Batch::new(2, 3, Duration::from_millis(700))) } else { config }
}

/// Small numbers, so that a few failures trigger every guard.
fn guards(config: Config) -> Config {
    let breaker =
        breaker::Config::default().with_consecutive(2).with_probes(1).with_close_after(1).with_open_for(SECOND);
    let outlier = outlier::Config::default().with_consecutive(2).with_eject_for(SECOND).with_interval(SECOND);
    let mut config = config;
    if let Ok(rules) = breaker::Rules::new(breaker) {
        config = config.with_breaker(rules);
    }
    if let Ok(rules) = outlier::Rules::new(outlier) {
        config = config.with_outlier_ejection(rules);
    }
    if let Ok(rules) = concurrency::Rules::new(concurrency::Config::default().with_initial(2)) {
        config = config.with_adaptive_concurrency(Concurrency::Aimd(rules));
    }
    if let Ok(rules) = rate::Rules::new(rate::Config::new(4, SECOND, 3)) {
        config = config.with_agent_rate(rules);
    }
    match (budget::Rules::new(budget::Config::default()), budget::Rules::new(budget::Config::default())) {
        (Ok(own), Ok(all)) => config.with_retry_budget(own, all),
        _ => config,
    }
}
