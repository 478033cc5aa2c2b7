//! The unfinished runs without a parent run, by tenant.

use crate::base::limits::Limits;
use crate::base::name::Name;
use crate::message::run::RunSpec;
use std::collections::BTreeMap;

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
    fn add(&mut self, spec: &RunSpec) {
        self.runs = self.runs.saturating_add(1);
        self.bytes = self.bytes.saturating_add(spec.input.bytes().into());
    }

    fn remove(&mut self, spec: &RunSpec) {
        self.runs = self.runs.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(spec.input.bytes().into());
    }
}

impl Active {
    pub(super) const fn runs(&self) -> u32 {
        self.all.runs
    }

    pub(super) fn add(&mut self, spec: &RunSpec) {
        self.all.add(spec);
        if let Some(tenant) = &spec.tenant {
            self.by_tenant.entry(tenant.clone()).or_default().add(spec);
        }
    }

    pub(super) fn remove(&mut self, spec: &RunSpec) {
        self.all.remove(spec);
        if let Some(tenant) = &spec.tenant
            && let Some(count) = self.by_tenant.get_mut(tenant)
        {
            count.remove(spec);
            if count.runs == 0 {
                self.by_tenant.remove(tenant);
            }
        }
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
