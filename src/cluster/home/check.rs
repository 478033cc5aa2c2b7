//! The invariants of a home.

use super::Home;

impl Home {
    /// Checks all invariants. For tests.
    ///
    /// # Errors
    ///
    /// A description of the first broken one, which is a bug of this crate.
    pub fn check(&self) -> Result<(), String> {
        for (agent, connection) in &self.agents {
            let slots = connection.agent().slots();
            let (occupied, offered) = connection.counted();
            if connection.kept() != (occupied, offered) {
                return Err(format!("agent {agent}: {occupied} attempts and {offered} offers were counted otherwise"));
            }
            if occupied.saturating_add(offered) > slots {
                return Err(format!("agent {agent} has {slots} slots, but {occupied} attempts and {offered} offers"));
            }
            if connection.polls().any(|open| open.most == 0) {
                return Err(format!("a poll for agent {agent} offers no slot"));
            }
            if let Some(shard) = connection.shards().find(|shard| !self.epochs.contains_key(shard)) {
                return Err(format!("shard {shard} was polled for agent {agent}, but its epoch is unknown"));
            }
        }
        self.shelf.check()
    }
}
