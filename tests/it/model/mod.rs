//! The scheduler in lock-step with a reference model, under random commands.
//!
//! The model shares no code with the crate: it keeps plain maps, looks at everything and knows the rules from the
//! documentation. It predicts the answer to every command, judges every fact and every effect, and then compares all that
//! can be seen. `COUNTERPOINT_CASES` sets how many sequences are tried.

mod oracle;
mod state;
mod steps;
mod unroutable;
mod verdict;
mod world;

pub use steps::{Step, setups, steps};
pub use world::{Call, Routing, Setup, World, bytes};

use proptest::prelude::*;

/// How many cases a property tries.
pub fn cases(default: u32) -> ProptestConfig {
    let quick = std::env::var_os("PROPTEST_MAX_SHRINK_ITERS").is_some();
    ProptestConfig { max_shrink_iters: if quick { 0 } else { 1_000 }, ..crate::property(default) }
}

/// Plays the steps and gives the world that they lead to.
pub fn play(setup: &Setup, steps: &[Step]) -> Result<World, String> {
    let mut world = World::new(setup.clone());
    for step in steps {
        let (now, command) = step.command(&world);
        world.step(now, &command)?;
    }
    Ok(world)
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn agrees_with_the_model(setup in setups(), steps in steps(80)) {
        if let Err(why) = play(&setup, &steps) {
            return Err(TestCaseError::fail(why));
        }
    }
}

/// The random commands must reach every state and every refusal, or the property above says little.
#[test]
fn the_random_commands_reach_everything() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    use std::collections::BTreeMap;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..120 {
        let (setup, steps) = (setups(), steps(80)).new_tree(&mut runner).unwrap().current();
        let world = play(&setup, &steps).unwrap();
        for call in &world.calls {
            let word = match &call.verdict {
                Ok(accepted) => format!("{accepted:?}").split('(').next().unwrap_or_default().to_owned(),
                Err(refused) => refused.code().to_owned(),
            };
            *seen.entry(word).or_default() += 1;
        }
        for entry in &world.journal {
            let text = serde_json::to_string(&entry.event).unwrap();
            *seen.entry(kind_of(&entry.event)).or_default() += 1;
            for part in ["deadline", "queue", "total", "unroutable", "dead_letter", "possible", "done", "retry\""] {
                let inside = text.contains("expired") || text.contains("attempt_failed") || text.contains("cancelled");
                if inside && text.contains(&format!("\"{part}")) {
                    *seen.entry(format!("{part} in a fact")).or_default() += 1;
                }
            }
        }
    }
    if std::env::var_os("COUNTERPOINT_SHOW").is_some() {
        println!("reached: {seen:?}");
    }
    for wanted in [
        "Done",
        "Repeated",
        "Registered",
        "unknown_task",
        "unknown_agent",
        "task_conflict",
        "reserved_id",
        "unknown_dependency",
        "dead_dependency",
        "deadline_passed",
        "stale_attempt",
        "not_holder",
        "stale_incarnation",
        "foreign_agent",
        "task_ended",
        "not_dead",
        "at_capacity",
        "too_large",
        "empty_name",
        "no_capacity",
        "registered",
        "updated",
        "draining",
        "deregistered",
        "lost",
        "submitted",
        "deferred",
        "ready",
        "assigned",
        "heartbeat",
        "attempt_failed",
        "succeeded",
        "cancel_requested",
        "cancelled",
        "expired",
        "discarded",
        "tasks_forgotten",
        "unroutable",
        "routable",
        "unroutable in a fact",
        "deadline in a fact",
        "queue in a fact",
        "total in a fact",
        "dead_letter in a fact",
        "possible in a fact",
        "done in a fact",
    ] {
        assert!(seen.contains_key(wanted), "{wanted} was never reached: {seen:?}");
    }
}

/// What happened, without the subject, as JSON calls it.
fn kind_of(event: &counterpoint::Event) -> String {
    let value = serde_json::to_value(event).unwrap();
    let inner = value.as_object().unwrap().values().next().unwrap();
    let event = inner.get("event").unwrap_or(inner);
    let name = event.as_str().or_else(|| event.as_object()?.keys().next().map(String::as_str));
    name.unwrap_or_default().to_owned()
}
