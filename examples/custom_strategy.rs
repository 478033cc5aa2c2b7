//! A routing strategy of your own: each task goes to the agent in whose time zone it is day.
//!
//! Run it with `cargo run --example custom_strategy`.

use counterpoint::routing::{Candidates, RoutingStrategy};
use counterpoint::{AgentId, AgentSpec, Command, Config, Effect, Outbox, Random, Scheduler, TaskId, TaskSpec, Time};

/// Sends work to where it is day, and there to the agent with the most room; anywhere if it is night everywhere.
#[derive(Debug)]
struct FollowTheSun;

impl RoutingStrategy for FollowTheSun {
    fn name(&self) -> &str {
        "follow the sun"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        let hour = among.now().as_nanos() / 3_600_000_000_000;
        let awake = among.iter().filter(|agent| {
            let offset = agent.spec().labels.get("utc").and_then(|label| label.parse::<u64>().ok()).unwrap_or(0);
            (8..18).contains(&((hour + offset) % 24))
        });
        awake.max_by_key(|agent| agent.room()).or_else(|| among.least_loaded()).map(|agent| agent.id())
    }
}

#[expect(clippy::print_stdout, reason = "an example that shows something")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut scheduler = Scheduler::new(Config::default().with_strategy(FollowTheSun));
    let mut outbox = Outbox::default();
    for (id, city, utc) in [(1, "Lisbon", "0"), (2, "Tokyo", "9"), (3, "Honolulu", "14")] {
        let agent = AgentSpec::new(AgentId::new(id)).with_name(city).with_label("utc", utc).with_skill("answer", 1);
        scheduler.handle(Time::ZERO, Command::register(agent.with_capacity(100)), &mut outbox)?;
    }
    for hour in 0..24 {
        outbox.clear();
        let now = Time::from_secs(hour * 3_600);
        scheduler.handle(now, Command::submit(TaskSpec::new(TaskId::new(hour), "answer")), &mut outbox)?;
        for effect in outbox.effects() {
            if let Effect::Dispatch { to, .. } = effect
                && let Some(agent) = scheduler.agent(to.agent())
            {
                println!("{hour:2}:00 UTC: {}", agent.spec().name.as_deref().unwrap_or("?"));
            }
        }
    }
    Ok(())
}
