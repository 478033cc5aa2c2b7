//! A node that performs one task or child run. It ends with its last instance.

use super::step::{Decided, Ending, Step};
use super::{Instances, Reached};
use crate::base::structure::OrAnomaly;

/// The step after the last instance. There are several instances if a postcondition rejected
/// earlier outputs, or child runs were retried.
pub(crate) fn next(instances: &Instances) -> Decided {
    let last = instances.last().or_anomaly("a node with one instance is under way without it")?;
    let Some(end) = last.end() else { return Ok(Step::Idle) };
    if end.is_success() {
        return Ok(Step::End(Ending::Succeeded));
    }
    let failure = end.failure_or("it was cancelled");
    Ok(Step::End(match end.reached() {
        Some(Reached { limit, partial }) => Ending::Reached { failure, limit: *limit, partial: partial.clone() },
        None => Ending::Failed { failure, instance: None },
    }))
}

#[cfg(test)]
mod tests {
    use super::super::step::fixture::{begin, fail, succeeded};
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_instance_decides() {
        let mut instances = succeeded(&[json!(1)]);
        assert!(matches!(next(&instances), Ok(Step::End(Ending::Succeeded))));
        let index = begin(&mut instances);
        assert!(matches!(next(&instances), Ok(Step::Idle)));
        fail(&mut instances, index);
        assert!(matches!(next(&instances), Ok(Step::End(Ending::Failed { .. }))));
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "without it"))]
    fn no_instance_is_an_anomaly() {
        assert!(next(&Instances::default()).is_err());
    }
}
