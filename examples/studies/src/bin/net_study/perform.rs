//! Nets performed by the engine, beside the oracle.

use crate::game::{Trouble, play};
use crate::net::{Net, Shape};
use crate::say::{Means, Reason, Said, say};
use counterpoint::definition::ExprError;
use counterpoint::testing::{Rehearsal, Reply, Script};
use counterpoint::{AgentId, AgentSpec, Config, RunId, RunOutcome, RunSpec};
use rayon::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// The plays of each net, with other choices each.
const PLAYS: u64 = 3;

/// What became of nets.
#[derive(Debug, Default)]
pub(crate) struct Count {
    means: BTreeMap<Means, u32>,
    reasons: BTreeMap<Reason, u32>,
    pub(crate) plays: u32,
    pub(crate) endless: u32,
    /// The refused nets with an inclusive join in the cycle in which such joins wait for each other.
    pub(crate) circular: u32,
    /// The nets in which the engine and the oracle differ.
    pub(crate) wrong: Vec<String>,
}

impl Count {
    pub(crate) fn said(&self) -> u32 {
        self.means.values().sum()
    }

    pub(crate) fn nets(&self) -> u32 {
        self.said() + self.reasons.values().sum::<u32>()
    }

    pub(crate) fn agreeing(&self) -> u32 {
        self.said() - u32::try_from(self.wrong.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn by_means(&self, means: Means) -> u32 {
        self.means.get(&means).copied().unwrap_or(0)
    }

    pub(crate) fn by_reason(&self, reason: Reason) -> u32 {
        self.reasons.get(&reason).copied().unwrap_or(0)
    }

    fn plus(mut self, other: Self) -> Self {
        other.means.into_iter().for_each(|(means, count)| *self.means.entry(means).or_default() += count);
        other.reasons.into_iter().for_each(|(reason, count)| *self.reasons.entry(reason).or_default() += count);
        self.plays += other.plays;
        self.endless += other.endless;
        self.circular += other.circular;
        self.wrong.extend(other.wrong);
        self
    }
}

/// Says and performs the nets of these seeds.
pub(crate) fn study(shape: Shape, seeds: Range<u64>) -> Result<Count, ExprError> {
    let counts = seeds.into_par_iter().map(|seed| one(shape, seed));
    counts.try_reduce(Count::default, |all, one| Ok(all.plus(one)))
}

fn one(shape: Shape, seed: u64) -> Result<Count, ExprError> {
    let net = Net::draw(shape, seed);
    let mut count = Count::default();
    let choices = |number: u64| seed.wrapping_mul(31).wrapping_add(number);
    match say(&net)? {
        Err(reason) => {
            count.reasons.insert(reason, 1);
            let is_circular = (0..PLAYS).any(|number| play(&net, choices(number), number) == Err(Trouble::Circle));
            count.circular = u32::from(is_circular && reason == Reason::InclusiveInCycle);
        }
        Ok(said) => {
            count.means.insert(said.means, 1);
            for number in 0..PLAYS {
                match compare(&net, &said, choices(number)) {
                    Ok(true) => count.plays += 1,
                    Ok(false) => count.endless += 1,
                    Err(difference) if count.wrong.is_empty() => {
                        count.wrong.push(format!("{shape:?} {seed}: {difference}"));
                    }
                    Err(_) => {}
                }
            }
        }
    }
    Ok(count)
}

/// Whether the play of the oracle ends; then the engine performs the nodes as often.
pub(crate) fn compare(net: &Net, said: &Said, seed: u64) -> Result<bool, String> {
    let expected = match play(net, seed, 1) {
        Ok(expected) => expected,
        Err(Trouble::Endless) => return Ok(false),
        Err(Trouble::Circle) => return Err("inclusive joins wait for each other".to_owned()),
    };
    let other = play(net, seed, 2);
    if other.as_ref() != Ok(&expected) {
        return Err(format!("the oracle depends on the order: {expected:?} and {other:?}"));
    }
    let found = perform(net, said, seed)?;
    if found == expected { Ok(true) } else { Err(format!("expected {expected:?}, found {found:?}")) }
}

/// How often the tasks of the nodes are performed.
fn perform(net: &Net, said: &Said, seed: u64) -> Result<Vec<u32>, String> {
    let fired = Arc::new(Mutex::new(vec![0_u32; net.nodes.len()]));
    let shared = Arc::new(net.clone());
    let script = (0..net.nodes.len()).fold(Script::new(), |script, node| {
        let (fired, net) = (Arc::clone(&fired), Arc::clone(&shared));
        script.on_fn(format!("n{node}"), move |_, _| {
            let Ok(mut fired) = fired.lock() else { return Reply::hang() };
            fired[node] += 1;
            Reply::ok(&json!({"to": net.chosen(node, fired[node], seed)}))
        })
    });
    let mut rehearsal = Rehearsal::new(Config::default);
    rehearsal.join(AgentSpec::new(AgentId::new(1)).with_capacity(10), script);
    rehearsal.start(said.definition.clone(), RunSpec::new(RunId::new(1), "net"));
    rehearsal.run();
    match rehearsal.recording().run_outcome(RunId::new(1)) {
        Some(RunOutcome::Succeeded { .. }) => {}
        other => return Err(format!("the run ends with {other:?}")),
    }
    let fired = fired.lock().map_err(|_| "the script has panicked".to_owned())?;
    Ok(fired.clone())
}
