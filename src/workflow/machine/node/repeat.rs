//! A node that performs its body in rounds, one instance for each round.

use super::Instances;
use super::step::{Decided, Ending, Step, Surroundings, begin};
use crate::base::payload::Payload;
use crate::definition::Repeat;
use crate::message::run::LimitReached;

/// Begins another round, or ends the node.
pub(crate) fn next(repeat: &Repeat, instances: &Instances, around: &dyn Surroundings) -> Decided {
    let rounds = instances.len();
    let output = match instances.last() {
        None => Payload::NULL,
        Some(last) => match last.end() {
            None => return Ok(Step::Idle),
            Some(end) if !end.is_success() => {
                let failure = end.failure_or("a round was cancelled");
                return Ok(Step::End(Ending::failed_in(rounds.saturating_sub(1), failure)));
            }
            Some(end) => end.output(),
        },
    };
    let is_done = || rounds > 0 && around.holds(&repeat.until, output.clone());
    let stops = || repeat.while_.as_ref().is_some_and(|whilst| !around.holds(whilst, output.clone()));
    if is_done() || stops() {
        return Ok(Step::End(Ending::Succeeded));
    }
    if rounds >= repeat.max_rounds && repeat.finishes {
        return Ok(Step::End(Ending::Succeeded));
    }
    if rounds >= repeat.max_rounds {
        let limit = LimitReached::Rounds { max: repeat.max_rounds };
        return Ok(Step::End(Ending::Limit { limit, partial: output }));
    }
    Ok(begin(around.input_or_item(output), instances))
}

#[cfg(test)]
mod tests {
    use super::super::step::fixture::{self, Alone, fail, succeeded};
    use super::*;
    use crate::definition::{Body, Condition, Expr, Work};
    use serde_json::json;

    fn until_two() -> Repeat {
        let body = Body::Task(Work::new("try"));
        Repeat::until(body, Condition::equal(Expr::Item, Expr::value(2)), 3)
    }

    #[test]
    fn rounds_follow_until_the_condition_holds() {
        let around = Alone::default();
        let next = |instances: &Instances| next(&until_two(), instances, &around).unwrap();
        assert!(matches!(next(&Instances::default()), Step::Begin(input) if input.is_null()));
        assert!(matches!(next(&succeeded(&[json!(1)])), Step::Begin(input) if input.value() == 1));
        assert!(matches!(next(&succeeded(&[json!(1), json!(2)])), Step::End(Ending::Succeeded)));
        let most = succeeded(&[json!(1), json!(0), json!(1)]);
        assert!(matches!(next(&most), Step::End(Ending::Limit { .. })));
        let finishing = super::next(&until_two().finishing(), &most, &around);
        assert!(matches!(finishing, Ok(Step::End(Ending::Succeeded))));
    }

    #[test]
    fn a_round_that_fails_fails_the_node() {
        let around = Alone::default();
        let mut instances = succeeded(&[json!(1)]);
        let index = fixture::begin(&mut instances);
        assert!(matches!(next(&until_two(), &instances, &around), Ok(Step::Idle)));
        fail(&mut instances, index);
        assert!(matches!(next(&until_two(), &instances, &around), Ok(Step::End(Ending::Failed { .. }))));
    }
}
