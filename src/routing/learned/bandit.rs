//! A contextual bandit.

use super::history::{ByAgent, End, Exploration, HALF, History, PENALTY, Seen, cheapest};
use crate::base::id::{AgentId, TaskId};
use crate::base::structure::{IdMap, Random, Table};
use crate::message::event::{AgentEvent, Entry, Event, TaskEvent};
use crate::routing::capability::margin;
use crate::routing::{Candidate, Candidates, RoutingStrategy};
use crate::task::TaskSpec;
use crate::task::agent::AgentSpec;
use core::time::Duration;
use std::sync::Arc;

/// The number of features.
const D: usize = 5;

type Vector = [f64; D];

/// Predicts the reward of each candidate from features of task and agent by online linear regression, and adds a bonus
/// for uncertainty (LinUCB, Li et al. 2010, with one model for all agents and exponential forgetting).
///
/// The reward of a failed attempt is 0. That of a successful one is between 0 and 1: one half at the mean duration of
/// its kind, and more for shorter durations. A rating ([`TaskCommand::Rate`](crate::TaskCommand::Rate)) is another reward for
/// the attempt, and lowers or raises the success rate of its agent. The features are room, success rate, speed and surplus
/// of skill. The bonus is bounded, so that exploration cannot overload an agent. Evaluates all candidates up to 64, and a
/// random sample of eight of more.
///
/// The features of agents that have performed nothing are alike, so the model alone may never try one of them. Of N attempts of a
/// kind, up to `exploration · log2(2N)`, rounded up, are given to each agent whatever the model predicts.
///
/// If agents are alike, [`LeastLoaded`](crate::routing::LeastLoaded) performs better, since rewards fall with load. The model
/// learns from a replayed journal as from its own choices.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::routing::LinUcb;
///
/// let config = Config::default().with_strategy_for("classify", LinUcb::default().with_exploration(0.1));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct LinUcb {
    exploration: Exploration,
    keep: f64,
    history: History,
    model: Model,
    agents: ByAgent<Load>,
    tasks: IdMap<TaskId, Followed>,
    /// The features of attempts that ended their tasks, for ratings of these.
    ended: Table<TaskId, Vector>,
}

/// An agent as the journal describes it.
#[derive(Debug, Default)]
struct Load {
    spec: Option<Arc<AgentSpec>>,
    in_flight: u32,
}

/// A task whose end will be observed.
#[derive(Debug)]
struct Followed {
    spec: Arc<TaskSpec>,
    /// The agent of the attempt under way, and the features when it was picked.
    running: Option<(AgentId, Vector)>,
}

impl Default for LinUcb {
    /// An exploration of 0.2 and a memory of about a thousand attempts.
    fn default() -> Self {
        Self {
            exploration: Exploration::DEFAULT,
            keep: 0.999,
            history: History::default(),
            model: Model::default(),
            agents: ByAgent::default(),
            tasks: IdMap::default(),
            ended: Table::new(ENDED),
        }
    }
}

/// The number of ended tasks that are remembered until they are rated. Features of others are those at the time of the rating.
const ENDED: usize = 4_096;

/// The upper bound of the bonus for uncertainty.
const MOST_BONUS: f64 = 0.25;

impl LinUcb {
    /// Sets the weight of uncertainty and the rate at which agents with few attempts are tried, clamped to 0 to 1.
    #[must_use]
    pub const fn with_exploration(mut self, exploration: f64) -> Self {
        self.exploration = Exploration::new(exploration);
        self
    }

    /// Sets the memory: the approximate number of attempts that the model is based on, at least ten.
    #[must_use]
    pub fn with_memory(mut self, attempts: u32) -> Self {
        self.keep = 1.0 - 1.0 / f64::from(attempts.max(10));
        self
    }

    /// The predicted reward of this choice, without the bonus.
    #[must_use]
    pub fn predict(&self, task: &TaskSpec, agent: &Candidate<'_>, among: &Candidates<'_>) -> f64 {
        dot(&self.model.weights, &self.features(task, agent, among))
    }

    fn features(&self, task: &TaskSpec, agent: &Candidate<'_>, among: &Candidates<'_>) -> Vector {
        let better = f64::from(margin(task, agent, among));
        self.features_of(self.history.kind(&task.kind), agent.id(), agent.utilisation(), better)
    }

    fn features_of(&self, kind: Option<usize>, agent: AgentId, utilisation: f64, better: f64) -> Vector {
        let expected = self.history.expect(agent, kind);
        let mean = self.history.common_seconds(kind);
        [1.0, 1.0 - utilisation, expected.success, mean / (mean + expected.seconds), better / (better + 4.0)]
    }

    /// The features of an assignment. They are computed from the journal alone, so that a replay learns the same; categories of
    /// skills are not known here.
    fn observed(&self, task: &TaskSpec, kind: usize, agent: AgentId) -> Vector {
        let (mut better, mut utilisation) = (0, 1.0);
        if let Some(Load { spec: Some(spec), in_flight }) = self.agents.get(agent) {
            let margins = task
                .needs
                .skills()
                .map(|(skill, level)| u32::from(spec.skills.get(skill).copied().unwrap_or(0).saturating_sub(level)));
            better = margins.fold(0, u32::saturating_add);
            utilisation = f64::from(*in_flight) / f64::from(spec.capacity.max(1));
        }
        self.features_of(Some(kind), agent, utilisation, f64::from(better))
    }

    fn note_agent(&mut self, entry: &Entry) {
        if let Event::Agent { agent, event: AgentEvent::Registered { spec } | AgentEvent::Updated { spec } } =
            &entry.event
        {
            self.agents.change(agent.agent(), |load| load.spec = Some(Arc::clone(spec)));
        }
        self.agents.note(entry);
    }

    fn began(&mut self, task: TaskId, kind: usize, agent: AgentId) {
        if let Some(followed) = self.tasks.get(&task) {
            let spec = Arc::clone(&followed.spec);
            let features = self.observed(&spec, kind, agent);
            self.tasks.insert(task, Followed { spec, running: Some((agent, features)) });
        }
        self.agents.change(agent, |load| load.in_flight = load.in_flight.saturating_add(1));
    }

    /// Drops a task that has ended without an attempt under way.
    fn forget_ended(&mut self, entry: &Entry) {
        if let Event::Task { task, .. } = &entry.event
            && !self.history.attempts.follows(*task)
        {
            self.tasks.remove(task);
        }
    }

    /// Updates the model with the reward of an attempt, if it shows anything.
    fn ended(&mut self, task: TaskId, agent: AgentId, reward: Option<f64>) {
        self.agents.change(agent, |load| load.in_flight = load.in_flight.saturating_sub(1));
        let Some(Followed { spec, running }) = self.tasks.remove(&task) else { return };
        if let (Some((_, features)), Some(reward)) = (running, reward) {
            self.model.learn(&features, reward, self.keep);
        }
        if self.history.attempts.follows(task) {
            self.tasks.insert(task, Followed { spec, running: None });
        } else if let Some((_, features)) = running {
            self.ended.insert(task, features);
        }
    }

    /// Updates the model with a rating, which is a reward for the features of the attempt.
    fn rated(&mut self, task: TaskId, kind: usize, agent: AgentId, rating: f64) {
        let features = self.ended.remove(&task).unwrap_or_else(|| {
            let load = self.agents.get(agent).and_then(|load| {
                let capacity = load.spec.as_ref()?.capacity.max(1);
                Some(f64::from(load.in_flight) / f64::from(capacity))
            });
            self.features_of(Some(kind), agent, load.unwrap_or(1.0), 0.0)
        });
        self.model.learn(&features, rating, self.keep);
    }
}

impl RoutingStrategy for LinUcb {
    fn name(&self) -> &'static str {
        "lin-ucb"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let kind = self.history.kind(&task.kind);
        let agent = cheapest(among, random, |agent| {
            let features = self.features(task, agent, among);
            let bonus = self.exploration.rate() * self.model.uncertainty(&features);
            let untried = self.history.untried(agent.id(), kind, self.exploration);
            (untried, -(dot(&self.model.weights, &features) + bonus.min(MOST_BONUS)))
        })?;
        Some(agent.id())
    }

    fn observe(&mut self, entry: &Entry) {
        self.note_agent(entry);
        if let Event::Task { task, event: TaskEvent::Submitted { spec, .. } } = &entry.event {
            self.tasks.insert(*task, Followed { spec: Arc::clone(spec), running: None });
        }
        let seen = self.history.note(entry, PENALTY, HALF);
        match seen {
            Some(Seen::Began { task, kind, agent }) => self.began(task, kind, agent),
            Some(Seen::Ended { task, kind, agent, took, end }) => {
                let reward = match end {
                    End::Dropped => None,
                    End::Failed => Some(0.0),
                    End::Succeeded => {
                        let mean = self.history.common_seconds(Some(kind));
                        Some(mean / (mean + took.max(Duration::from_nanos(1)).as_secs_f64()))
                    }
                };
                self.ended(task, agent, reward);
            }
            Some(Seen::Rated { task, kind, agent, rating }) => self.rated(task, kind, agent, rating),
            None => self.forget_ended(entry),
        }
    }

    fn explain(&self) -> Option<String> {
        let [base, room, success, speed, skill] = self.model.weights;
        Some(format!(
            "reward = {base:.2} + {room:.2} room + {success:.2} success + {speed:.2} speed + {skill:.2} skill"
        ))
    }
}

/// Recursive least squares with forgetting.
#[derive(Debug)]
struct Model {
    weights: Vector,
    /// The inverse of the weighted sum of outer products of the observed features.
    inverse: [Vector; D],
}

impl Default for Model {
    /// A model without observations, with small positive weights of success and room.
    fn default() -> Self {
        let mut inverse = [[0.0; D]; D];
        for (at, row) in inverse.iter_mut().enumerate() {
            if let Some(entry) = row.get_mut(at) {
                *entry = 1.0;
            }
        }
        Self { weights: [0.0, 0.2, 0.4, 0.2, 0.0], inverse }
    }
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Model {
    fn times(&self, x: &Vector) -> Vector {
        self.inverse.map(|row| dot(&row, x))
    }

    fn uncertainty(&self, x: &Vector) -> f64 {
        dot(x, &self.times(x)).max(0.0).sqrt()
    }

    fn learn(&mut self, x: &Vector, reward: f64, keep: f64) {
        let px = self.times(x);
        let scale = keep + dot(x, &px);
        let error = reward - dot(&self.weights, x);
        for (weight, gain) in self.weights.iter_mut().zip(&px) {
            // Bounded, so that a series of outliers cannot make the weights diverge.
            *weight = (*weight + gain / scale * error).clamp(-5.0, 5.0);
        }
        // Forgetting increases the uncertainty of features that are not observed: at most to its initial value.
        let trace: f64 = (0..D).filter_map(|at| self.inverse.get(at)?.get(at)).sum();
        let grow = if trace < D as f64 { 1.0 / keep } else { 1.0 };
        for (row, left) in self.inverse.iter_mut().zip(&px) {
            for (entry, right) in row.iter_mut().zip(&px) {
                *entry = (*entry - left * right / scale) * grow;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_the_weights_behind_rewards(truth in prop::array::uniform5(-1.0_f64..1.0), seed: u64) {
            let (mut model, mut random) = (Model::default(), Random::new(seed, 0));
            for _ in 0..2_000 {
                let x = [1.0, random.unit(), random.unit(), random.unit(), random.unit()];
                model.learn(&x, dot(&truth, &x), 0.999);
            }
            for (found, true_weight) in model.weights.iter().zip(&truth) {
                prop_assert!((found - true_weight).abs() < 0.02, "{:?} for {:?}", model.weights, truth);
            }
            prop_assert!(model.uncertainty(&[1.0; D]) < 0.5);
        }

        #[test]
        fn it_stays_bounded(rounds in prop::collection::vec((prop::array::uniform5(0.0_f64..1.0), 0.0_f64..1.0), 0..400)) {
            let mut model = Model::default();
            for (x, reward) in rounds {
                model.learn(&x, reward, 0.9);
                prop_assert!(model.weights.iter().all(|weight| weight.abs() <= 5.0));
                prop_assert!(model.uncertainty(&x).is_finite());
            }
        }
    }
}
