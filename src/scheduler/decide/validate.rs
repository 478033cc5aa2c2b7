//! Validation of sizes and names in commands.

use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::message::rejected::{Invalid, Rejected};
use crate::task::agent::AgentSpec;
use crate::task::{Affinity, Failure, Needs, PreferredTerm, Retry, TaskSpec, codes};
use std::collections::BTreeSet;

/// Rejects an agent that exceeds the limits or has no capacity.
pub(in crate::scheduler) fn agent(limits: &Limits, spec: &AgentSpec) -> Result<(), Rejected> {
    if spec.id.is_engine_made() {
        return Err(Rejected::Invalid(Invalid::ReservedId(spec.id.get())));
    }
    if spec.capacity == 0 {
        return Err(Rejected::Invalid(Invalid::NoCapacity(spec.id)));
    }
    bounded("agent_capacity", spec.slots() as usize, limits.agent_capacity)?;
    bounded("list_len", spec.skills.len(), limits.sizes.list_len)?;
    bounded("list_len", spec.labels.len(), limits.sizes.list_len)?;
    bounded("list_len", spec.amounts.len(), limits.sizes.list_len)?;
    bounded("list_len", spec.tenants.as_ref().map_or(0, BTreeSet::len), limits.sizes.list_len)?;
    spec.tenants.iter().flatten().try_for_each(|tenant| named("tenant", tenant, limits))?;
    spec.amounts.keys().try_for_each(|name| named("resource", name, limits))?;
    spec.skills.keys().try_for_each(|skill| named("skill", skill, limits))?;
    for (label, value) in &spec.labels {
        named("label", label, limits)?;
        bounded("name_bytes", value.len(), limits.sizes.name_bytes)?;
    }
    spec.name.as_ref().map_or(Ok(()), |name| named("agent", name, limits))
}

/// Rejects a task that exceeds the limits.
pub(super) fn task(limits: &Limits, spec: &TaskSpec) -> Result<(), Rejected> {
    named("kind", &spec.kind, limits)?;
    spec.tenant.iter().try_for_each(|tenant| named("tenant", tenant, limits))?;
    spec.key().map_or(Ok(()), |key| named("key", key, limits))?;
    fits(limits, &spec.payload)?;
    if !spec.needs.is_within(limits.sizes.name_bytes, limits.sizes.list_len) {
        needs(limits, &spec.needs)?;
    }
    spec.affinity.as_deref().map_or(Ok(()), |affinity| affine(limits, affinity))?;
    if !spec.policy.retry().rules.is_empty() {
        rules(limits, spec.policy.retry())?;
    }
    bounded("list_len", spec.after.len(), limits.sizes.list_len)
}

/// Rejects rules of retries that exceed the limits, or that no failure can match.
#[cold]
fn rules(limits: &Limits, retry: &Retry) -> Result<(), Rejected> {
    let patterns =
        retry.rules.iter().map(|rule| rule.on.kinds.len() + rule.on.codes.len()).fold(0, usize::saturating_add);
    bounded("list_len", retry.rules.len().saturating_add(patterns), limits.sizes.list_len)?;
    match retry.bad_code() {
        Some(pattern) => Err(Rejected::Invalid(Invalid::Code { code: pattern.to_string().into() })),
        None => Ok(()),
    }
}

/// Rejects needs that exceed the limits.
#[cold]
fn needs(limits: &Limits, needs: &Needs) -> Result<(), Rejected> {
    for (name, _) in needs.skills() {
        named("skill", name, limits)?;
    }
    for (name, value) in needs.labels() {
        named("label", name, limits)?;
        bounded("name_bytes", value.len(), limits.sizes.name_bytes)?;
    }
    for (name, _) in needs.amounts().chain(needs.shared()) {
        named("resource", name, limits)?;
    }
    let amounts = needs.amounts().chain(needs.shared()).count();
    bounded("list_len", needs.skills().count() + needs.labels().count() + amounts, limits.sizes.list_len)
}

fn affine(limits: &Limits, affinity: &Affinity) -> Result<(), Rejected> {
    affinity.session.iter().try_for_each(|key| named("session", key, limits))?;
    affinity.spread.iter().try_for_each(|label| named("spread", label, limits))?;
    for (name, value) in &affinity.not_labels {
        named("label", name, limits)?;
        bounded("name_bytes", value.len(), limits.sizes.name_bytes)?;
    }
    for preference in &affinity.prefers {
        match &preference.term {
            PreferredTerm::Label { name, value } => {
                named("label", name, limits)?;
                bounded("name_bytes", value.len(), limits.sizes.name_bytes)?;
            }
            PreferredTerm::Skill { name, .. } => named("skill", name, limits)?,
        }
    }
    let excluded = affinity.not_agents.len() + affinity.not_labels.len() + affinity.apart_from.len();
    let named = excluded + affinity.prefers.len();
    bounded("list_len", named, limits.sizes.list_len)
}

/// Rejects a payload that exceeds the limits.
pub(crate) fn fits(limits: &Limits, payload: &Payload) -> Result<(), Rejected> {
    bounded("payload_bytes", payload.bytes() as usize, limits.sizes.payload_bytes)?;
    bounded("payload_depth", payload.depth() as usize, limits.sizes.depth())
}

/// Rejects details of a heartbeat that exceed the limits.
pub(super) fn detailed(limits: &Limits, details: &Payload) -> Result<(), Rejected> {
    bounded("details_bytes", details.bytes() as usize, limits.sizes.details_bytes)?;
    fits(limits, details)
}

/// Rejects a failure whose data exceed the limits, or whose code is no code. Together with its causes, it may be as large
/// as one payload.
pub(super) fn explained(limits: &Limits, failure: &Failure) -> Result<(), Rejected> {
    let most = u32::try_from(Failure::MAX_CAUSES).unwrap_or(u32::MAX);
    bounded("causes", failure.chain().skip(1).count(), most)?;
    bounded("payload_bytes", failure.bytes(), limits.sizes.payload_bytes)?;
    bounded("payload_depth", failure.depth() as usize, limits.sizes.depth())?;
    for one in failure.chain() {
        if let Some(code) = one.code.as_ref().filter(|code| !code.is_valid()) {
            return Err(Rejected::Invalid(Invalid::Code { code: code.shown() }));
        }
        bounded("path", one.path().len(), u32::try_from(Failure::MAX_PATH).unwrap_or(u32::MAX))?;
        for place in one.path() {
            bounded("name_bytes", place.workflow.len().max(place.node.len()), limits.sizes.name_bytes)?;
        }
    }
    Ok(())
}

/// Rejects a failure with a code that only the library reports.
pub(crate) fn unreserved(failure: &Failure) -> Result<(), Rejected> {
    let reserved = failure.code.as_ref().filter(|code| codes::is_barred_from_reports(code.as_str()));
    reserved.map_or(Ok(()), |code| Err(Rejected::Invalid(Invalid::Code { code: code.shown() })))
}

/// Rejects a name that is empty or too long.
pub(crate) fn named(what: &str, name: &Name, limits: &Limits) -> Result<(), Rejected> {
    if name.is_empty() {
        return Err(Rejected::Invalid(Invalid::EmptyName { what: what.into() }));
    }
    bounded("name_bytes", name.len(), limits.sizes.name_bytes)
}

pub(crate) fn bounded(what: &str, size: usize, limit: u32) -> Result<(), Rejected> {
    if size > limit as usize {
        return Err(Rejected::Invalid(Invalid::TooLarge { what: what.into(), size: size as u64, limit: limit.into() }));
    }
    Ok(())
}
