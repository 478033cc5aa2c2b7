//! A strategy made from a closure.

use super::{Candidates, RoutingStrategy};
use crate::base::id::AgentId;
use crate::base::structure::Random;
use crate::task::TaskSpec;
use core::fmt;

type Picker = dyn FnMut(&TaskSpec, &Candidates<'_>, &mut Random) -> Option<AgentId> + Send;

/// Picks the agent that a closure returns.
///
/// ```
/// use counterpoint::routing::Custom;
/// use counterpoint::Config;
///
/// // The candidate with the highest level in the skill that the task is named for.
/// let best = Custom::new("most skilled", |task, among, _| {
///     among.iter().max_by_key(|agent| agent.spec().skills.get(&task.kind).copied()).map(|agent| agent.id())
/// });
/// let config = Config::default().with_strategy(best);
/// ```
pub struct Custom {
    name: String,
    picker: Box<Picker>,
}

impl Custom {
    /// A strategy with this name that calls `picker`.
    pub fn new(
        name: impl Into<String>,
        picker: impl FnMut(&TaskSpec, &Candidates<'_>, &mut Random) -> Option<AgentId> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), picker: Box::new(picker) }
    }
}

impl RoutingStrategy for Custom {
    fn name(&self) -> &str {
        &self.name
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, random: &mut Random) -> Option<AgentId> {
        (self.picker)(task, among, random)
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custom({:?})", self.name)
    }
}
