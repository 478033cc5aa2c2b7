//! What happened, kept to be looked at, written down and replayed.

use crate::base::error::RestoreError;
use crate::base::id::{RunId, TaskId};
use crate::base::payload::Payload;
use crate::engine::Engine;
use crate::message::event::{Entry, Event, RunEvent};
use crate::message::run::RunOutcome;
use crate::observe::describe;
use crate::scheduler::Config;
use crate::task::TaskOutcome;
use core::fmt;
use thiserror::Error;

/// How many facts before a difference a message shows.
const BEFORE: usize = 3;

/// The facts of a run of the engine: of a [`Rehearsal`](super::Rehearsal), or of any host by its journal.
///
/// Assertions look at the facts in words, as [`describe`] says them, so that a test reads as what it means and a failure
/// shows the story.
///
/// ```
/// use counterpoint::testing::{Recording, Rehearsal, Reply, Script};
/// use counterpoint::{AgentId, AgentSpec, Config, Failure, TaskId, TaskSpec};
///
/// let script = Script::new().on("charge", [Reply::fail(Failure::transient("busy")), Reply::ok("receipt 7")]);
/// let mut rehearsal = Rehearsal::new(Config::default);
/// rehearsal.join(AgentSpec::new(AgentId::new(1)), script);
/// rehearsal.submit(TaskSpec::new(TaskId::new(7), "charge"));
/// rehearsal.run();
///
/// let recording = rehearsal.recording();
/// recording.assert_order(&["t7.1 failed on a1#1 (transient: busy)", "t7 is ready", "t7.2 succeeded"]);
/// assert_eq!(recording.assert_succeeded(TaskId::new(7)).to::<String>()?, "receipt 7");
///
/// // Written down, read back, replayed: the same state.
/// let text = recording.to_json_lines();
/// let again = Recording::from_json_lines(&text)?;
/// assert_eq!(again.replay(Config::default())?.snapshot(), rehearsal.engine().snapshot());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recording {
    entries: Vec<Entry>,
}

/// A line of a recording cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} of the recording: {reason}")]
pub struct BadRecording {
    line: usize,
    reason: String,
}

impl Recording {
    /// These facts.
    #[must_use]
    pub const fn of(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The facts, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The facts in words, each with its moment.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.entries.iter().map(|entry| format!("{} {} {}", entry.seq, entry.at, describe(entry)))
    }

    /// One JSON object for each fact, one line for each.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let lines = self.entries.iter().filter_map(|entry| serde_json::to_string(entry).ok());
        lines.fold(String::new(), |text, line| text + &line + "\n")
    }

    /// Reads what [`to_json_lines`](Self::to_json_lines) wrote. Empty lines count for nothing.
    ///
    /// # Errors
    ///
    /// The first line that is no fact.
    pub fn from_json_lines(text: &str) -> Result<Self, BadRecording> {
        let lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
        let entries = lines.map(|(line, text)| {
            serde_json::from_str(text).map_err(|error| BadRecording { line, reason: error.to_string() })
        });
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// The engine that these facts lead to, checked.
    ///
    /// # Errors
    ///
    /// When the facts have a gap or do not follow from each other.
    ///
    /// # Panics
    ///
    /// When the engine contradicts itself: a bug of this crate.
    #[expect(clippy::panic, reason = "a test must fail")]
    pub fn replay(&self, config: Config) -> Result<Engine, RestoreError> {
        let engine = Engine::restore(config, None, &self.entries)?;
        if let Err(fault) = engine.check() {
            panic!("after {} facts the engine contradicts itself: {fault}", self.entries.len());
        }
        Ok(engine)
    }

    /// How a task ended; none if it has not.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "only events of the task end it")]
    pub fn outcome(&self, task: TaskId) -> Option<TaskOutcome> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Task { task: of, event } if *of == task => event.outcome(),
            _ => None,
        })
    }

    /// How a run ended; none if it has not.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "only one event ends a run")]
    pub fn run_outcome(&self, run: RunId) -> Option<&RunOutcome> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Run { run: of, event: RunEvent::Finished { outcome } } if *of == run => Some(outcome),
            _ => None,
        })
    }

    /// The task succeeded; its output.
    ///
    /// # Panics
    ///
    /// When it did not, with the story.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is an assertion")]
    pub fn assert_succeeded(&self, task: TaskId) -> Payload {
        match self.outcome(task) {
            Some(TaskOutcome::Succeeded(output)) => output,
            Some(outcome) => panic!("{task} {outcome}\n{self}"),
            None => panic!("{task} has not ended\n{self}"),
        }
    }

    /// The run succeeded; its output.
    ///
    /// # Panics
    ///
    /// When it did not, with the story.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is an assertion")]
    pub fn assert_run_succeeded(&self, run: RunId) -> Payload {
        match self.run_outcome(run) {
            Some(RunOutcome::Succeeded { output }) => output.clone(),
            Some(outcome) => panic!("{run} {outcome}\n{self}"),
            None => panic!("{run} has not ended\n{self}"),
        }
    }

    /// Facts with these words happened, in this order; others may lie between them.
    ///
    /// # Panics
    ///
    /// When they did not, with the first that is missing and the story.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is an assertion")]
    pub fn assert_order(&self, words: &[&str]) {
        let mut told = self.entries.iter().map(describe);
        for (place, wanted) in words.iter().enumerate() {
            if !told.any(|line| line.contains(wanted)) {
                let before = place.checked_sub(1).and_then(|place| words.get(place));
                let after = before.map_or_else(String::new, |before| format!(" after `{before}`"));
                let early = self.count(wanted) > 0;
                let note = if early { " (it did before)" } else { "" };
                panic!("`{wanted}` did not happen{after}{note}\n{self}");
            }
        }
    }

    /// So many facts have these words.
    ///
    /// # Panics
    ///
    /// When there are more or fewer, with the story.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is an assertion")]
    pub fn assert_count(&self, words: &str, wanted: usize) {
        let found = self.count(words);
        if found != wanted {
            panic!("`{words}` happened {found} times, not {wanted}\n{self}");
        }
    }

    /// These are the same facts at the same moments: two rehearsals of one scene, or today's and a recorded one.
    ///
    /// # Panics
    ///
    /// At the first difference, with what came before it.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is an assertion")]
    pub fn assert_same(&self, recorded: &Self) {
        let most = self.entries.len().max(recorded.entries.len());
        let differs = (0..most).find(|place| self.entries.get(*place) != recorded.entries.get(*place));
        let Some(place) = differs else { return };
        let before: String =
            self.lines().take(place).skip(place.saturating_sub(BEFORE)).map(|line| format!("    {line}\n")).collect();
        let show = |of: &Self| of.lines().nth(place).unwrap_or_else(|| "the end".to_owned());
        panic!("the recordings differ:\n{before}now {}\nthen {}", show(self), show(recorded));
    }

    fn count(&self, words: &str) -> usize {
        self.entries.iter().filter(|entry| describe(entry).contains(words)).count()
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what happened:\n")?;
        self.lines().try_for_each(|line| writeln!(f, "    {line}"))
    }
}
