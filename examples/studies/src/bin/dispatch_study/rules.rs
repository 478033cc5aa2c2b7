//! The compared rules: the two baselines, and the scheduler with different configurations.

use crate::baseline;
use crate::fleet::Worker;
use crate::load::{Job, Load};
use crate::outcome::Outcome;
use crate::world::World;
use counterpoint::routing::{
    Adaptive, Affine, Auction, BestMatch, ByPriority, Candidate, ConsistentHash, CostAware, Credibility, Custom,
    FirstCapable, LeastLoaded, LinUcb, Maglev, MultiFactor, PeakEwma, Performance, RoundRobin, RoutingStrategy,
    TwoChoices, WeightedRoundRobin,
};
use counterpoint::scheduler::Discipline;
use counterpoint::{Config, TaskSpec, Time};
use std::time::Duration;

/// How jobs are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Speed-blind, each agent with a queue of its own.
    RoundRobin,
    /// One queue, the fastest idle agent.
    CentralFifo,
    /// The scheduler with a strategy, in order of arrival.
    Strategy(&'static str),
    /// The scheduler that learns who is quick, in this order.
    Order(Order),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Strict,
    Virtual,
    Fair,
    /// The rule of this study.
    Shortest,
    /// The same with the work of every job known beforehand: what no distributor can do.
    Clairvoyant,
    /// Short jobs before long ones, and the longest out of line under overload.
    Deferring,
    /// The same with the work of every job known beforehand.
    DeferringKnown,
    /// Shortest expected processing time first (SEPT), without a bound: the index of Gittins where nothing is learned of a job
    /// while it runs.
    Sept,
    /// Shortest remaining time with ageing: each job gains rank in proportion to its wait, without a bound. Attempts are not
    /// preempted, so what remains of a waiting job is all of it.
    Ageing,
}

/// The orders that are compared over several seeds.
pub const ORDERS: [Order; 7] = [
    Order::Virtual,
    Order::Shortest,
    Order::Sept,
    Order::Ageing,
    Order::Deferring,
    Order::Clairvoyant,
    Order::DeferringKnown,
];

pub const STRATEGIES: [&str; 18] = [
    "first capable",
    "best match",
    "round robin",
    "weighted round robin",
    "least loaded",
    "two choices",
    "peak EWMA",
    "performance",
    "cost aware",
    "multi-factor",
    "consistent hash",
    "maglev",
    "affine",
    "LinUCB",
    "auction",
    "adaptive",
    "by priority",
    "custom",
];

/// The rules of the main table.
pub const MAIN: [Rule; 5] = [
    Rule::RoundRobin,
    Rule::CentralFifo,
    Rule::Order(Order::Virtual),
    Rule::Order(Order::Shortest),
    Rule::Order(Order::Clairvoyant),
];

impl Rule {
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round robin, queue per agent",
            Self::CentralFifo => "central FIFO, fastest idle",
            Self::Strategy(name) => name,
            Self::Order(Order::Strict) => "strict tiers",
            Self::Order(Order::Virtual) => "earliest virtual deadline",
            Self::Order(Order::Fair) => "weighted fair",
            Self::Order(Order::Shortest) => "shortest expected",
            Self::Order(Order::Clairvoyant) => "shortest, lengths known",
            Self::Order(Order::Deferring) => "deferring",
            Self::Order(Order::DeferringKnown) => "deferring, lengths known",
            Self::Order(Order::Sept) => "SEPT",
            Self::Order(Order::Ageing) => "SRPT with ageing",
        }
    }

    /// What comes of these jobs under the rule.
    pub fn run(self, jobs: &[Job], workers: &[Worker], load: &Load, seed: u64) -> Outcome {
        match self {
            Self::RoundRobin => baseline::round_robin(jobs, workers),
            Self::CentralFifo => baseline::central_fifo(jobs, workers),
            Self::Strategy(name) => {
                let config = Config::default().with_strategy(strategy(name, memory(load)));
                World::new(jobs, workers, config.with_seed(seed)).run()
            }
            Self::Order(order) => {
                let jobs: Vec<Job> = if matches!(order, Order::Clairvoyant | Order::DeferringKnown) {
                    jobs.iter().map(|job| Job { hint: Some(job.work), ..job.clone() }).collect()
                } else {
                    jobs.to_vec()
                };
                World::new(&jobs, workers, ordered(order, load).with_seed(seed)).run()
            }
        }
    }
}

/// A scheduler that learns who is quick at what, and lets tasks wait in this order.
pub fn ordered(order: Order, load: &Load) -> Config {
    let half = memory(load);
    let config = Config::default().with_strategy(Performance::default().with_half_life(half));
    let shortest = Discipline::ShortestExpected { stretch: stretch(load), patience: load.patience };
    let unbounded = |stretch| Discipline::ShortestExpected { stretch, patience: Duration::MAX };
    let deferring = Discipline::Deferring {
        long: Duration::from_secs_f64(load.mean_work()),
        patience: load.patience * 3 / 4,
        one_in: 100,
    };
    match order {
        Order::Strict => config.with_discipline(Discipline::Strict),
        Order::Virtual => config.with_discipline(Discipline::EarliestVirtualDeadline),
        Order::Fair => config.with_discipline(Discipline::WeightedFair),
        Order::Shortest => config.with_discipline(shortest).with_estimator(Credibility::default()),
        Order::Clairvoyant => config.with_discipline(shortest),
        Order::Deferring => config.with_discipline(deferring).with_estimator(Credibility::default()),
        Order::DeferringKnown => config.with_discipline(deferring),
        Order::Sept => config.with_discipline(unbounded(1_000_000)).with_estimator(Credibility::default()),
        Order::Ageing => config.with_discipline(unbounded(stretch(load))).with_estimator(Credibility::default()),
    }
}

/// For how many times its length a job gives way: one of one and a half times the usual length gives way for as long as
/// the load's users have patience.
fn stretch(load: &Load) -> u32 {
    (1..).find(|times| f64::from(*times) * 1.5 * load.mean_work() >= load.patience.as_secs_f64()).unwrap_or(u32::MAX)
}

/// What was learned counts half after a thousand times a job's length: agents do not change here, but the scheduler is not
/// told that.
fn memory(load: &Load) -> Duration {
    Duration::from_secs_f64(load.mean_work() * 1_000.0)
}

fn strategy(name: &str, half: Duration) -> Box<dyn RoutingStrategy> {
    match name {
        "first capable" => Box::new(FirstCapable::default()),
        "best match" => Box::new(BestMatch::default()),
        "round robin" => Box::new(RoundRobin::default()),
        "weighted round robin" => Box::new(WeightedRoundRobin::default()),
        "two choices" => Box::new(TwoChoices::default()),
        "peak EWMA" => Box::new(PeakEwma::default().with_half_life(half)),
        "performance" => Box::new(Performance::default().with_half_life(half)),
        "cost aware" => Box::new(CostAware::default().with_half_life(half)),
        "multi-factor" => Box::new(MultiFactor::default().with_half_life(half)),
        "consistent hash" => Box::new(ConsistentHash::default()),
        "maglev" => Box::new(Maglev::default()),
        "affine" => Box::new(Affine::<LeastLoaded>::default()),
        "LinUCB" => Box::new(LinUcb::default()),
        "auction" => {
            Box::new(Auction::new(|_: &TaskSpec, agent: &Candidate<'_>, _: Time| agent.spec().cost_per_second))
        }
        "adaptive" => Box::new(Adaptive::default()),
        "by priority" => Box::new(ByPriority::default()),
        "custom" => Box::new(Custom::new("most room", |_, among, _| {
            among.iter().max_by_key(Candidate::room).map(|agent| agent.id())
        })),
        _ => Box::new(LeastLoaded::default()),
    }
}
