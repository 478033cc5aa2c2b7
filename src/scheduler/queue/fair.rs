//! Shares of tenants: start-time fair queueing (Goyal, Vin and Cheng 1996) over the time of agents.

use core::time::Duration;

/// The service that a tenant has received, in virtual time: 256 units per microsecond, divided by its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Share {
    pub(crate) tag: u64,
    pub(crate) weight: u32,
}

const UNIT: u64 = 256;

impl Share {
    /// The virtual time of a service.
    fn of(self, service: Duration) -> u64 {
        let micros = u64::try_from(service.as_micros()).unwrap_or(u64::MAX).max(1);
        micros.saturating_mul(UNIT) / u64::from(self.weight.max(1))
    }

    /// Advances the tag of a tenant without tasks to the current virtual time: it accumulates no credit.
    pub(crate) fn arrive(&mut self, now: u64) {
        self.tag = self.tag.max(now);
    }

    pub(crate) fn charge(&mut self, service: Duration) {
        self.tag = self.tag.saturating_add(self.of(service));
    }

    /// Replaces a charge by the actual service.
    pub(crate) fn settle(&mut self, charged: Duration, was: Duration) {
        self.tag = self.tag.saturating_add(self.of(was)).saturating_sub(self.of(charged));
    }
}
