//! The command line.

use counterpoint::sim::storm::Case;

pub(crate) const USAGE: &str = "usage: fault_storm [--seeds N] [--first SEED] [--events N] [--threads N] [--verify CALLS] [--replay CASE] [--no-shrink] [--first-failure] [--journal] [--coverage] [--digest]";

pub(crate) struct Arguments {
    pub(crate) seeds: u64,
    pub(crate) first: u64,
    /// Of each world: how much is asked. None: the seed says it.
    pub(crate) events: Option<u32>,
    pub(crate) threads: usize,
    /// After how many calls each the journal is replayed.
    pub(crate) verify: u64,
    pub(crate) replay: Option<Case>,
    pub(crate) shrink: bool,
    /// Ends with the first case that fails, as it is.
    pub(crate) hasty: bool,
    /// Prints the journal of failed cases.
    pub(crate) journal: bool,
    /// Prints the commands by state and fault, and fails if a reachable pair is missing.
    pub(crate) coverage: bool,
    /// Prints only a hash of all journals.
    pub(crate) digest: bool,
}

impl Arguments {
    /// What a replay must be told besides the case.
    pub(crate) fn again(&self) -> String {
        let events = self.events.map_or_else(String::new, |events| format!("--events {events} "));
        format!("{events}--verify {}", self.verify)
    }
}

pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut told = Arguments {
        seeds: 2_000,
        first: 0,
        events: None,
        threads: 1,
        verify: 256,
        replay: None,
        shrink: true,
        hasty: false,
        journal: false,
        coverage: false,
        digest: false,
    };
    while let Some(word) = given.next() {
        let mut number = || -> Result<u64, String> {
            let text = given.next().ok_or_else(|| format!("{word} needs a number"))?;
            text.parse().map_err(|_| format!("{text} is not a number"))
        };
        match word.as_str() {
            "--seeds" => told.seeds = number()?,
            "--first" => told.first = number()?,
            "--events" => told.events = Some(u32::try_from(number()?).map_err(|error| error.to_string())?),
            "--threads" => told.threads = usize::try_from(number()?).map_err(|error| error.to_string())?,
            "--verify" => told.verify = number()?,
            "--no-shrink" => told.shrink = false,
            "--first-failure" => (told.hasty, told.shrink) = (true, false),
            "--journal" => told.journal = true,
            "--coverage" => told.coverage = true,
            "--digest" => told.digest = true,
            "--replay" => {
                let text = given.next().ok_or("--replay needs a case")?;
                told.replay = Some(text.parse().map_err(|bad: counterpoint::sim::storm::BadCase| bad.to_string())?);
            }
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(told)
}
