//! Deployments of several kinds.

use super::{Faults, Setup, ms};

impl Setup {
    /// The deployment of a seed. Seven kinds take turns, because no kind finds every bug.
    pub fn drawn(seed: u64) -> Self {
        let (all, usual) = (Faults::all(), Self::usual(seed));
        match seed % 7 {
            // Few nodes, and so many shards that most of them have little to do.
            2 => Self { nodes: 2, shards: 64, tasks: 120, ..usual },
            // Many nodes: most messages are between two of them.
            3 => Self { nodes: 9, shards: 16, agents: 9, ..usual },
            // Agents with one slot, which all shards share.
            4 => Self { shards: 32, agents: 3, slots: 1, service: ms(200), load: 0.6, ..usual },
            // One agent, at a home that does not crash, and a store that often does not say what it has done.
            5 => {
                let faults = Faults { crashes: 0, zombies: 0, unknown: 60, moves: 5, lost: 80, ..all };
                Self { agents: 1, slots: 1, tasks: 80, service: ms(150), load: 0.4, faults, ..usual }
            }
            // Nothing goes wrong but that messages are late and repeated, while shards, nodes and agents come and go.
            6 => {
                let faults = Faults {
                    repeated: 30,
                    late: 100,
                    moves: 20,
                    rolls: 2,
                    reconnects: 30,
                    commands: 100,
                    ..Faults::default()
                };
                Self { agents: 4, faults, strict: true, patience: ms(20_000), agent_lease: ms(60_000), ..usual }
            }
            // Everything at once.
            0 => Self { faults: Faults { moves: 10, rolls: 1, reconnects: 10, commands: 20, ..all }, ..usual },
            _ => usual,
        }
    }

    pub fn usual(seed: u64) -> Self {
        Self {
            seed,
            nodes: 3,
            shards: 8,
            agents: 6,
            slots: 2,
            tasks: 150,
            service: ms(400),
            load: 0.5,
            faults: Faults::all(),
            checks: true,
            // The first kind has none, and the others have them rarely or often.
            snapshots: if seed % 7 == 1 { u64::MAX } else { 20 + seed % 5 * 30 },
            digest_every: ms(10),
            agent_lease: ms(5_000),
            start: 1,
            plan: Vec::new(),
            strict: false,
            patience: ms(2_000),
        }
    }
}
