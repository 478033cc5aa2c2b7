//! The incoming links of a node: their decisions, and whether the node starts.

use crate::base::name::Name;
use crate::definition::{Inputs, Join, On};
use crate::message::run::NodeOutcome;
use serde::{Deserialize, Serialize};

use super::instance::is_default;

/// The decisions of the incoming links of a node so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Links {
    /// The number of decided links, and of those that are taken.
    decided: u32,
    taken: u32,
    /// The number of links that are not taken because their source failed.
    #[serde(default, skip_serializing_if = "is_default")]
    failed: u32,
    /// The number of links that are not taken because their source did not run because of a failure.
    #[serde(default, skip_serializing_if = "is_default")]
    upstream_failed: u32,
}

/// The decision of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkDecision {
    pub(crate) route: Route,
    pub(crate) source: Source,
}

/// Whether a link is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Taken,
    NotTaken,
}

/// The end of the source of a link, as far as other nodes depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Sound,
    Failed,
    /// The source did not run because of a failure.
    UpstreamFailed,
}

/// The result of the incoming links of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Starts,
    Skips,
    /// The node does not run because of a failure before it.
    UpstreamFailed,
    /// A counting join can no longer reach its number of links, and a source failed.
    Short {
        of: u32,
        taken: u32,
    },
}

impl LinkDecision {
    /// The link is taken although its source has not ended: a handler fired, or a case was taken before.
    pub(crate) const BRANCH: Self = Self { route: Route::Taken, source: Source::Sound };
}

impl Route {
    /// The route of a link whose source ended in this way, with these cases.
    pub(crate) fn of(on: &On, outcome: &NodeOutcome, took: &[Name]) -> Self {
        let taken = match on {
            On::Success | On::Each => *outcome == NodeOutcome::Succeeded,
            On::Failure => matches!(outcome, NodeOutcome::Failed { .. }) && took.is_empty(),
            On::Always => true,
            On::Case(case) => took.contains(case),
        };
        if taken { Self::Taken } else { Self::NotTaken }
    }
}

impl Links {
    /// Counts a decided link.
    pub(crate) const fn decide(&mut self, decision: LinkDecision) {
        self.decided = self.decided.saturating_add(1);
        match (decision.route, decision.source) {
            (Route::Taken, _) => self.taken = self.taken.saturating_add(1),
            (Route::NotTaken, Source::Failed) => self.failed = self.failed.saturating_add(1),
            (Route::NotTaken, Source::UpstreamFailed) => self.upstream_failed = self.upstream_failed.saturating_add(1),
            (Route::NotTaken, Source::Sound) => {}
        }
    }

    pub(crate) const fn decided(self) -> u32 {
        self.decided
    }

    /// The result for a node with this join; none while it is open. `round_due` is whether a token has arrived at a
    /// join that starts more than once.
    pub(crate) fn verdict(self, join: Join, links: u32, round_due: bool) -> Option<Verdict> {
        let Self { decided, taken, failed, upstream_failed } = self;
        let after_failure = failed > 0 || upstream_failed > 0;
        let open = links.saturating_sub(decided);
        let skipped = decided.saturating_sub(taken).saturating_sub(failed).saturating_sub(upstream_failed);
        let inputs = Inputs { total: links, succeeded: taken, failed, upstream_failed, skipped };
        let starts = match join {
            Join::Trigger(rule) => rule.verdict(inputs)?,
            Join::Each | Join::Rounds { .. } if round_due => true,
            Join::Count { required: of, .. } if taken >= of => true,
            Join::Count { required: of, .. } if taken.saturating_add(open) < of && after_failure => {
                return Some(Verdict::Short { of, taken });
            }
            // Only when all links are decided: successors of a skipped node may use the outputs of its predecessors.
            _ if open > 0 => return None,
            Join::All => taken == links,
            Join::Any => taken > 0,
            Join::Count { .. } | Join::Each | Join::Rounds { .. } => false,
        };
        let is_wanted = !matches!(join, Join::Trigger(rule) if !rule.wants_success());
        Some(match starts {
            true => Verdict::Starts,
            false if after_failure && is_wanted => Verdict::UpstreamFailed,
            false => Verdict::Skips,
        })
    }

    /// Checks the counts against the number of links.
    pub(crate) fn check(self, links: u32) -> Result<(), String> {
        if self.decided > links
            || u64::from(self.taken) + u64::from(self.failed) + u64::from(self.upstream_failed)
                > u64::from(self.decided)
        {
            return Err(format!("counts {self:?} of {links} links"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Remaining;

    const SKIPPED: LinkDecision = LinkDecision { route: Route::NotTaken, source: Source::Sound };
    const FAILED: LinkDecision = LinkDecision { route: Route::NotTaken, source: Source::Failed };

    fn links(decisions: &[LinkDecision]) -> Links {
        let mut links = Links::default();
        decisions.iter().for_each(|decision| links.decide(*decision));
        links
    }

    #[test]
    fn joins_of_two_links() {
        use Verdict::{Short, Skips, Starts, UpstreamFailed};
        let taken = LinkDecision::BRANCH;
        let count = Join::Count { required: 2, remaining: Remaining::Ignore };
        for (decisions, all, any, two) in [
            (&[taken][..], None, None, None),
            (&[taken, taken], Some(Starts), Some(Starts), Some(Starts)),
            (&[taken, SKIPPED], Some(Skips), Some(Starts), Some(Skips)),
            (&[taken, FAILED], Some(UpstreamFailed), Some(Starts), Some(Short { of: 2, taken: 1 })),
            (&[FAILED], None, None, Some(Short { of: 2, taken: 0 })),
            (&[SKIPPED, SKIPPED], Some(Skips), Some(Skips), Some(Skips)),
        ] {
            let links = links(decisions);
            let verdict = |join| links.verdict(join, 2, false);
            assert_eq!((verdict(Join::All), verdict(Join::Any), verdict(count)), (all, any, two), "{links:?}");
        }
    }

    #[test]
    fn a_join_of_each_starts_when_something_has_arrived() {
        assert_eq!(Links::default().verdict(Join::Each, 1, true), Some(Verdict::Starts));
        assert_eq!(links(&[SKIPPED]).verdict(Join::Each, 1, false), Some(Verdict::Skips));
    }

    #[test]
    fn counts_are_checked() {
        assert!(links(&[FAILED]).check(0).is_err());
        assert_eq!(links(&[FAILED]).check(1), Ok(()));
    }
}
