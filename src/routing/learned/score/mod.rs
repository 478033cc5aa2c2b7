//! Routing by a weighted score.

mod weights;

pub use weights::{WeightError, Weights};

use super::cost_aware::price;
use super::history::{Exploration, HALF, History, PENALTY, cheapest};
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::message::event::Entry;
use crate::routing::capability::margin;
use crate::routing::{Candidate, Candidates, RoutingStrategy};
use crate::task::TaskSpec;
use core::fmt;
use core::time::Duration;

type Measure = dyn Fn(&TaskSpec, &Candidate<'_>, Time) -> f64 + Send;

/// A factor defined by the host.
struct Extra {
    name: Name,
    weight: f64,
    measure: Box<Measure>,
}

/// Picks the agent with the highest score: a weighted mean of factors between 0 and 1, times the square of the success
/// rate.
///
/// | factor | default weight | value |
/// |---|---|---|
/// | skill | .4 | m / (m + 4), where m is the surplus of skill levels |
/// | availability | .3 | (1 - utilisation)², since waiting times grow faster than load |
/// | performance | .2 | r / (r + s), where s is the expected duration and r the reference time |
/// | cost | .1 | r / (r + c), where c is the expected price and r the reference price |
///
/// Factors are measured against fixed references and not against other candidates, so that an outlier does not change
/// the order of the others. The success rate multiplies, so that no other factor can compensate for it. Skills are a
/// filter before they are a factor. Evaluates all candidates up to 64, and a random sample of eight of more.
///
/// With [exploration](Self::with_exploration), an agent with few attempts of a kind is tried although others have a higher
/// score: of N attempts of a kind, at most `exploration · log2(2N)`, rounded up, are given to an agent for this reason. It
/// is off by default.
///
/// ```
/// use counterpoint::Config;
/// use counterpoint::routing::{MultiFactor, Weights};
///
/// let near = MultiFactor::default()
///     .with_weights(Weights::new(0.1, 0.5, 0.4, 0.0)?)
///     .with_factor("near", 0.5, |_, agent, _| if agent.spec().labels.get("zone").is_some_and(|z| z == "eu") { 1.0 } else { 0.0 })?;
/// let config = Config::default().with_strategy(near);
/// assert!(Weights::new(0.1, f64::NAN, 0.4, 0.0).is_err());
/// # Ok::<(), counterpoint::routing::WeightError>(())
/// ```
pub struct MultiFactor {
    weights: Weights,
    extras: Vec<Extra>,
    reference: (Duration, u64),
    half: Duration,
    penalty: Duration,
    exploration: Exploration,
    history: History,
}

impl Default for MultiFactor {
    /// The default weights, references of one second and one whole unit of cost, and no exploration.
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            extras: Vec::new(),
            reference: (Duration::from_secs(1), 1_000_000),
            half: HALF,
            penalty: PENALTY,
            exploration: Exploration::OFF,
            history: History::default(),
        }
    }
}

impl MultiFactor {
    /// Sets the weights.
    #[must_use]
    pub const fn with_weights(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }

    /// Adds a factor: `measure` returns a value from 0 (worst) to 1 (best). Values outside of this range are clamped;
    /// NaN counts as 0.
    ///
    /// # Errors
    ///
    /// When the weight is negative or not a finite number.
    pub fn with_factor(
        mut self,
        name: impl Into<Name>,
        weight: f64,
        measure: impl Fn(&TaskSpec, &Candidate<'_>, Time) -> f64 + Send + 'static,
    ) -> Result<Self, WeightError> {
        let name = name.into();
        let weight = weights::sound(&name, weight)?;
        self.extras.push(Extra { name, weight, measure: Box::new(measure) });
        Ok(self)
    }

    /// Sets the duration and the price, in millionths, for which a factor is one half.
    #[must_use]
    pub const fn with_references(mut self, time: Duration, price: u64) -> Self {
        self.reference = (time, price);
        self
    }

    /// Sets the half-life: the time after which an attempt has half the weight.
    #[must_use]
    pub const fn with_half_life(mut self, span: Duration) -> Self {
        self.half = span;
        self
    }

    /// Sets the rate at which agents with few attempts are tried, clamped to 0 to 1. With 0, the default, only
    /// expectations decide.
    #[must_use]
    pub const fn with_exploration(mut self, rate: f64) -> Self {
        self.exploration = Exploration::new(rate);
        self
    }

    /// The factors of an agent's score.
    #[must_use]
    pub fn breakdown(&self, task: &TaskSpec, agent: &Candidate<'_>, among: &Candidates<'_>) -> Breakdown {
        let mut factors = Vec::new();
        let (score, success) = self.score(task, agent, among, |name, weight, value| {
            factors.push(Factor { name: name.into(), weight, value });
        });
        Breakdown { agent: agent.id(), factors, success, score }
    }

    /// The score and the success rate. Calls `tell` with each factor.
    fn score(
        &self,
        task: &TaskSpec,
        agent: &Candidate<'_>,
        among: &Candidates<'_>,
        mut tell: impl FnMut(&str, f64, f64),
    ) -> (f64, f64) {
        let expected = self.history.expect(agent.id(), self.history.kind(&task.kind));
        let idle = 1.0 - agent.utilisation();
        let better = f64::from(margin(task, agent, among));
        let (time, money) = (self.reference.0.as_secs_f64().max(1e-9), units(self.reference.1.max(1)));
        let own = [
            ("skill", self.weights.skill(), better / (better + 4.0)),
            ("availability", self.weights.availability(), idle * idle),
            ("performance", self.weights.performance(), time / (time + expected.seconds)),
            ("cost", self.weights.cost(), money / (money + units(price(agent, expected.seconds)))),
        ];
        let (mut sum, mut weights) = (0.0, 0.0);
        let mut add = |name: &str, weight: f64, value: f64| {
            sum += weight * value;
            weights += weight;
            tell(name, weight, value);
        };
        own.into_iter().for_each(|(name, weight, value)| add(name, weight, value));
        for extra in &self.extras {
            let value = (extra.measure)(task, agent, among.now());
            add(&extra.name, extra.weight, if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) });
        }
        let mean = if weights > 0.0 { sum / weights } else { 0.0 };
        // Squared, since a failure also delays the retry at another agent.
        (mean * expected.success * expected.success, expected.success)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a score is an estimate")]
const fn units(millionths: u64) -> f64 {
    millionths as f64
}

impl RoutingStrategy for MultiFactor {
    fn name(&self) -> &'static str {
        "multi-factor score"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        let kind = self.history.kind(&task.kind);
        let best = cheapest(among, random, |agent| {
            let untried = self.history.untried(agent.id(), kind, self.exploration);
            (untried, -self.score(task, agent, among, |_, _, _| {}).0)
        });
        best.map(|agent| agent.id())
    }

    fn observe(&mut self, entry: &Entry) {
        self.history.note(entry, self.penalty, self.half);
    }

    fn explain(&self) -> Option<String> {
        let own = [
            ("skill", self.weights.skill()),
            ("availability", self.weights.availability()),
            ("performance", self.weights.performance()),
            ("cost", self.weights.cost()),
        ];
        let extras = self.extras.iter().map(|extra| (&*extra.name, extra.weight));
        let parts: Vec<String> =
            own.into_iter().chain(extras).map(|(name, weight)| format!("{name} {weight}")).collect();
        Some(format!("weights {}; times the square of the success rate", parts.join(", ")))
    }
}

impl fmt::Debug for MultiFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extras: Vec<&Name> = self.extras.iter().map(|extra| &extra.name).collect();
        f.debug_struct("MultiFactor").field("weights", &self.weights).field("extras", &extras).finish_non_exhaustive()
    }
}

/// The factors of a score.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Breakdown {
    /// The agent.
    pub agent: AgentId,
    /// The factors.
    pub factors: Vec<Factor>,
    /// The success rate, which is squared in the score.
    pub success: f64,
    /// The score.
    pub score: f64,
}

/// A factor of a score.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Factor {
    /// Its name.
    pub name: Name,
    /// Its weight.
    pub weight: f64,
    /// Its value, from 0 (worst) to 1 (best).
    pub value: f64,
}

impl fmt::Display for Breakdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:.3} =", self.agent, self.score)?;
        for factor in &self.factors {
            write!(f, " {} {:.2} x {},", factor.name, factor.value, factor.weight)?;
        }
        write!(f, " success {:.3} squared", self.success)
    }
}
