//! Recorded events, for assertions, storage and replay.

use crate::base::error::RestoreError;
use crate::base::id::{RunId, TaskId};
use crate::base::payload::Payload;
use crate::engine::Engine;
use crate::journal::Projection;
use crate::message::event::{Entry, Event, RunEvent};
use crate::message::run::RunOutcome;
use crate::observe::Names;
use crate::scheduler::Config;
use crate::task::TaskOutcome;
use core::fmt;
use thiserror::Error;

/// The number of events that a message shows before a difference.
const BEFORE: usize = 3;

/// The events of a [`Rehearsal`](super::Rehearsal), or of any host by its journal.
///
/// Assertions match the events as text, in the form of [`Names::describe`], so that tests are readable and failures show the
/// story.
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
/// recording.assert_order(&["charge (t7-1) failed on a1-1 (transient: busy)", "charge (t7) is ready", "(t7-2) succeeded"]);
/// assert_eq!(recording.assert_succeeded(TaskId::new(7)).to::<String>()?, "receipt 7");
///
/// // Stored, loaded and replayed: the same state.
/// let text = recording.to_json_lines();
/// let again = Recording::from_json_lines(&text)?;
/// assert_eq!(again.replay(Config::default())?.snapshot(), rehearsal.engine().snapshot());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recording {
    entries: Vec<Entry>,
}

/// The error for an unreadable line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} of the recording: {reason}")]
pub struct BadRecording {
    line: usize,
    reason: String,
}

impl Recording {
    /// A recording of these entries.
    #[must_use]
    pub const fn of(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The events as text, each with its number and time.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.texts().map(|(entry, text)| format!("{} {} {text}", entry.seq, entry.at))
    }

    /// The entries as JSON, one object per line.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let lines = self.entries.iter().filter_map(|entry| serde_json::to_string(entry).ok());
        lines.fold(String::new(), |text, line| text + &line + "\n")
    }

    /// Reads the output of [`to_json_lines`](Self::to_json_lines). Empty lines are ignored.
    ///
    /// # Errors
    ///
    /// The first line that is not an entry.
    pub fn from_json_lines(text: &str) -> Result<Self, BadRecording> {
        let lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
        let entries = lines.map(|(line, text)| {
            serde_json::from_str(text).map_err(|error| BadRecording { line, reason: error.to_string() })
        });
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// Replays the entries, checks the resulting engine and returns it.
    ///
    /// # Errors
    ///
    /// When the entries have a gap or are inconsistent.
    ///
    /// # Panics
    ///
    /// When the engine's self-check fails: a bug of this crate.
    #[expect(clippy::panic, reason = "a failed self-check must fail the test")]
    pub fn replay(&self, config: Config) -> Result<Engine, RestoreError> {
        let engine = Engine::restore(config, None, &self.entries)?;
        if let Err(fault) = engine.check() {
            panic!("after {} events the self-check of the engine fails: {fault}", self.entries.len());
        }
        Ok(engine)
    }

    /// The outcome of a task; `None` if it has not ended.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "only events of the task end it")]
    pub fn outcome(&self, task: TaskId) -> Option<TaskOutcome> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Task { task: of, event } if *of == task => event.outcome(),
            _ => None,
        })
    }

    /// The outcome of a run; `None` if it has not ended.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "only one event ends a run")]
    pub fn run_outcome(&self, run: RunId) -> Option<&RunOutcome> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Run { run: of, event: RunEvent::Finished { outcome } } if *of == run => Some(outcome),
            _ => None,
        })
    }

    /// Asserts that the task succeeded, and returns its output.
    ///
    /// # Panics
    ///
    /// When the task did not succeed, with the story.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is an assertion")]
    pub fn assert_succeeded(&self, task: TaskId) -> Payload {
        match self.outcome(task) {
            Some(TaskOutcome::Succeeded(output)) => output,
            Some(outcome) => panic!("{task} {outcome}\n{self}"),
            None => panic!("{task} has not ended\n{self}"),
        }
    }

    /// Asserts that the run succeeded, and returns its output.
    ///
    /// # Panics
    ///
    /// When the run did not succeed, with the story.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is an assertion")]
    pub fn assert_run_succeeded(&self, run: RunId) -> Payload {
        match self.run_outcome(run) {
            Some(RunOutcome::Succeeded { output }) => output.clone(),
            Some(outcome) => panic!("{run} {outcome}\n{self}"),
            None => panic!("{run} has not ended\n{self}"),
        }
    }

    /// Asserts that events with these texts occurred in this order, possibly with others between them.
    ///
    /// # Panics
    ///
    /// When they did not, with the first missing text and the story.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is an assertion")]
    pub fn assert_order(&self, words: &[&str]) {
        let mut texts = self.texts().map(|(_, text)| text);
        for (place, wanted) in words.iter().enumerate() {
            if !texts.any(|line| line.contains(wanted)) {
                let before = place.checked_sub(1).and_then(|place| words.get(place));
                let after = before.map_or_else(String::new, |before| format!(" after `{before}`"));
                let early = self.count(wanted) > 0;
                let note = if early { " (it occurred before)" } else { "" };
                panic!("`{wanted}` did not occur{after}{note}\n{self}");
            }
        }
    }

    /// Asserts the number of events with this text.
    ///
    /// # Panics
    ///
    /// When there are more or fewer, with the story.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is an assertion")]
    pub fn assert_count(&self, words: &str, wanted: usize) {
        let found = self.count(words);
        if found != wanted {
            panic!("`{words}` occurred {found} times instead of {wanted}\n{self}");
        }
    }

    /// Asserts that another recording has the same events at the same times: two rehearsals of one test, or a rehearsal
    /// and a stored recording.
    ///
    /// # Panics
    ///
    /// At the first difference, with the events before it.
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
        self.texts().filter(|(_, text)| text.contains(words)).count()
    }

    /// The entries with their events as text.
    fn texts(&self) -> impl Iterator<Item = (&Entry, String)> {
        let mut names = Names::default();
        self.entries.iter().map(move |entry| {
            names.apply(entry);
            (entry, names.describe(entry))
        })
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("events:\n")?;
        self.lines().try_for_each(|line| writeln!(f, "    {line}"))
    }
}
