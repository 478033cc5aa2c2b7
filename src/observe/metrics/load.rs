//! The balance of the load of agents.

use super::agent::AgentFigures;
use serde::{Deserialize, Serialize};

/// The balance of the load of agents, compared with a random assignment.
///
/// The load of an agent is the number of attempts assigned to it per second and slot. `cv` is the coefficient of
/// variation of these loads: their standard deviation (of the whole fleet, not of a sample) divided by their mean. No
/// router brings it to zero. If every slot were assigned attempts at random at the same rate (Poisson), the load of an
/// agent with `s` slot-seconds would have the variance `rate / s`. `floor` is the resulting coefficient of variation:
/// the root of the mean of `rate / s`, divided by `rate`. For identical agents it is `1 / sqrt(attempts per agent)`. A
/// `cv` near the floor is as good as random assignment; a `cv` below it means that the router balances; one far above
/// it means an imbalance.
///
/// ```
/// use counterpoint::observe::Metrics;
/// use counterpoint::journal::Projection;
/// use counterpoint::{AgentId, AgentSpec, Entry, Incarnation, Seq, TaskId, Time};
/// use counterpoint::task::AttemptNumber;
/// use counterpoint::message::{AgentEvent, TaskEvent};
///
/// let mut metrics = Metrics::default();
/// let mut record = |at, event| metrics.apply(&Entry { seq: Seq::new(1), at: Time::from_secs(at), event });
/// let sessions = [1, 2].map(|agent| Incarnation::new(AgentId::new(agent), 1));
/// for agent in sessions {
///     record(0, AgentEvent::Registered { spec: AgentSpec::new(agent.agent()).with_capacity(9).into() }.of(agent));
/// }
/// for task in 0..8 {
///     let to = sessions[usize::from(task >= 2)];
///     record(1, TaskEvent::Assigned { attempt: AttemptNumber::FIRST, to }.of(TaskId::new(task)));
/// }
/// let spread = metrics.snapshot().load.expect("two agents");
/// assert_eq!((spread.agents, spread.cv, spread.floor), (2, 0.5, 0.5)); // 2 and 6 attempts, 4 on average
/// assert_eq!(spread.most, 1.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoadSpread {
    /// The number of agents.
    pub agents: u64,
    /// The coefficient of variation of their loads.
    pub cv: f64,
    /// The coefficient of variation of a random assignment.
    pub floor: f64,
    /// The highest load divided by the mean.
    pub most: f64,
}

impl LoadSpread {
    /// `None` for fewer than two agents with slots, or without attempts.
    pub(super) fn over<'a>(agents: impl Iterator<Item = &'a AgentFigures>) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 lose their last digits")]
        let shares = agents.map(|agent| (agent.attempts as f64, agent.slot_time.as_secs_f64()));
        let shares: Vec<(f64, f64)> = shares.filter(|(_, seconds)| *seconds > 0.0).collect();
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 agents")]
        let count = shares.len() as f64;
        let attempts: f64 = shares.iter().map(|(attempts, _)| attempts).sum();
        let seconds: f64 = shares.iter().map(|(_, seconds)| seconds).sum();
        if shares.len() < 2 || attempts <= 0.0 {
            return None;
        }
        let loads: Vec<f64> = shares.iter().map(|(attempts, seconds)| attempts / seconds).collect();
        let mean = loads.iter().sum::<f64>() / count;
        let variance = loads.iter().map(|load| (load - mean) * (load - mean)).sum::<f64>() / count;
        let rate = attempts / seconds;
        let by_chance = shares.iter().map(|(_, seconds)| rate / seconds).sum::<f64>() / count;
        Some(Self {
            agents: u64::try_from(shares.len()).unwrap_or(u64::MAX),
            cv: variance.sqrt() / mean,
            floor: by_chance.sqrt() / rate,
            most: loads.iter().fold(0.0_f64, |most, load| most.max(*load)) / mean,
        })
    }
}
