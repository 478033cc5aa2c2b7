//! The unfinished runs without a parent run, by tenant.

use super::book::Folded;
use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::message::run::RunSpec;
use std::collections::BTreeMap;

const TOO_MANY: &str = "more runs are active than can be counted";
const TOO_FEW: &str = "more runs have ended than were started";

/// The numbers of unfinished runs without a parent run, and of the bytes of their inputs. They follow from the runs, so a
/// snapshot does not contain them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Active {
    all: Count,
    by_tenant: BTreeMap<Name, Count>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    runs: u32,
    bytes: u64,
}

impl Count {
    fn add(&mut self, spec: &RunSpec) -> Folded {
        self.runs = self.runs.checked_add(1).ok_or(TOO_MANY)?;
        self.bytes = self.bytes.checked_add(spec.input.bytes().into()).ok_or(TOO_MANY)?;
        Ok(())
    }

    fn remove(&mut self, spec: &RunSpec) -> Folded {
        self.runs = self.runs.checked_sub(1).ok_or(TOO_FEW)?;
        self.bytes = self.bytes.checked_sub(spec.input.bytes().into()).ok_or(TOO_FEW)?;
        Ok(())
    }
}

impl Active {
    pub(super) const fn runs(&self) -> u32 {
        self.all.runs
    }

    pub(super) fn add(&mut self, spec: &RunSpec) -> Folded {
        self.all.add(spec)?;
        match &spec.tenant {
            Some(tenant) => self.by_tenant.entry(tenant.clone()).or_default().add(spec),
            None => Ok(()),
        }
    }

    pub(super) fn remove(&mut self, spec: &RunSpec) -> Folded {
        self.all.remove(spec)?;
        let Some(tenant) = &spec.tenant else { return Ok(()) };
        let count = self.by_tenant.get_mut(tenant).ok_or(TOO_FEW)?;
        count.remove(spec)?;
        if count.runs == 0 {
            self.by_tenant.remove(tenant);
        }
        Ok(())
    }

    /// The limit that one more run would exceed: the name of its field, and its value.
    pub(super) fn exceeded(&self, spec: &RunSpec, limits: &Limits) -> Option<(&'static str, u64)> {
        let limits = &limits.runs;
        let tenant = spec.tenant.as_ref().map(|tenant| self.by_tenant.get(tenant).copied().unwrap_or_default());
        let bytes = |count: Count| count.bytes.saturating_add(spec.input.bytes().into());
        if self.all.runs >= limits.active_runs {
            Some(("active_runs", limits.active_runs.into()))
        } else if tenant.is_some_and(|tenant| tenant.runs >= limits.tenant_runs) {
            Some(("tenant_runs", limits.tenant_runs.into()))
        } else if bytes(self.all) > limits.input_bytes {
            Some(("input_bytes", limits.input_bytes))
        } else if tenant.is_some_and(|tenant| bytes(tenant) > limits.tenant_input_bytes) {
            Some(("tenant_input_bytes", limits.tenant_input_bytes))
        } else {
            None
        }
    }
}
