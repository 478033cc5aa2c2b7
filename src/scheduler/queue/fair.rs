//! Shares of tenants: start-time fair queueing (Goyal, Vin and Cheng 1996) over the time of agents.

use core::time::Duration;

/// The service that a tenant has received, in virtual time: 256 units per microsecond, divided by its weight. The tag is
/// wider than a duration, because 10,000 agents fill 64 bits within three months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Share {
    pub(crate) tag: u128,
    pub(crate) weight: u32,
}

const UNIT: u128 = 256;

impl Share {
    /// The virtual time of a service.
    fn of(self, service: Duration) -> u128 {
        // A duration has less than 2^84 microseconds.
        service.as_micros().max(1) * UNIT / u128::from(self.weight.max(1))
    }

    /// Advances the tag of a tenant without tasks to the current virtual time: it accumulates no credit.
    pub(crate) fn arrive(&mut self, now: u128) {
        self.tag = self.tag.max(now);
    }

    /// None if the tag cannot be increased by the charge.
    pub(crate) fn charge(&mut self, service: Duration) -> Option<()> {
        self.tag = self.tag.checked_add(self.of(service))?;
        Some(())
    }

    /// Replaces a charge by the actual service. The tag stops at zero if the charge was made under another weight.
    pub(crate) fn settle(&mut self, charged: Duration, was: Duration) -> Option<()> {
        self.tag = self.tag.checked_add(self.of(was))?.saturating_sub(self.of(charged));
        Some(())
    }
}
