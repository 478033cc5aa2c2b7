//! Shares of tenants: start-time fair queueing (Goyal, Vin and Cheng 1996) over the time that agents spend.

use core::time::Duration;

/// What a tenant has had, in virtual time: microseconds of service, 256 to one, divided by its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Share {
    pub(crate) tag: u64,
    pub(crate) weight: u32,
}

const UNIT: u64 = 256;

impl Share {
    /// What so much service adds to the tag.
    fn of(self, service: Duration) -> u64 {
        let micros = u64::try_from(service.as_micros()).unwrap_or(u64::MAX).max(1);
        micros.saturating_mul(UNIT) / u64::from(self.weight.max(1))
    }

    /// Who was away has no claim on what it could have had: it starts where the others are.
    pub(crate) fn arrive(&mut self, now: u64) {
        self.tag = self.tag.max(now);
    }

    pub(crate) fn charge(&mut self, service: Duration) {
        self.tag = self.tag.saturating_add(self.of(service));
    }

    /// The service was not what was charged.
    pub(crate) fn settle(&mut self, charged: Duration, was: Duration) {
        self.tag = self.tag.saturating_add(self.of(was)).saturating_sub(self.of(charged));
    }
}
