//! What a command can end with besides success, and the exit code of each.

use std::fmt;
use std::path::{Path, PathBuf};

/// A mistake in a file or in the input of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The path in the document, such as `agents.shell.capacity`; empty for the document as a whole.
    pub(crate) path: String,
    /// Line and column, from 1, where the format of the file tells them.
    pub(crate) at: Option<(u64, u64)>,
    /// The mistake.
    pub(crate) text: String,
}

impl Mistake {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), at: None, text: text.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "{line}:{column}: ")?;
        }
        write!(f, "{}{}{}", self.path, if self.path.is_empty() { "" } else { ": " }, self.text)
    }
}

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The run ended without success, or was cancelled. The summary has been printed.
    RunFailed,
    /// The command line cannot be followed.
    Usage(String),
    /// The workflow file, or an input, has mistakes.
    Mistakes { file: PathBuf, mistakes: Vec<Mistake> },
    /// The run waits for something that this process cannot give.
    Waits(String),
    /// Another process performs the run.
    Busy(String),
    /// A file, a journal or a connection failed.
    Broken(String),
    /// There is no such run.
    Unknown(String),
    /// The engine refused the command.
    Refused(String),
    /// A signal ended the process.
    Interrupted(String),
}

impl Trouble {
    /// The exit code: the table of the README and of `counterpoint help`.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::RunFailed => 1,
            Self::Usage(_) => 2,
            Self::Mistakes { .. } => 3,
            Self::Waits(_) => 4,
            Self::Busy(_) => 5,
            Self::Broken(_) => 6,
            Self::Unknown(_) => 7,
            Self::Refused(_) => 8,
            Self::Interrupted(_) => 130,
        }
    }

    /// The name of the class, for programs.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::RunFailed => "run_failed",
            Self::Usage(_) => "usage",
            Self::Mistakes { .. } => "mistakes",
            Self::Waits(_) => "waits",
            Self::Busy(_) => "busy",
            Self::Broken(_) => "broken",
            Self::Unknown(_) => "unknown",
            Self::Refused(_) => "refused",
            Self::Interrupted(_) => "interrupted",
        }
    }

    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Broken(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunFailed => f.write_str("the run did not succeed"),
            Self::Mistakes { file, mistakes } => {
                for (index, mistake) in mistakes.iter().enumerate() {
                    let (colon, line) =
                        (if mistake.at.is_some() { ":" } else { ": " }, if index == 0 { "" } else { "\n" });
                    write!(f, "{line}{}{colon}{mistake}", file.display())?;
                }
                Ok(())
            }
            Self::Usage(text)
            | Self::Waits(text)
            | Self::Busy(text)
            | Self::Broken(text)
            | Self::Unknown(text)
            | Self::Refused(text)
            | Self::Interrupted(text) => f.write_str(text),
        }
    }
}

impl From<counterpoint::host::HostError> for Trouble {
    fn from(error: counterpoint::host::HostError) -> Self {
        use counterpoint::host::HostError;
        match error {
            HostError::Rejected(rejected) => Self::Refused(rejected.to_string()),
            HostError::Journal(error) if error.is_held() => Self::Busy(error.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}
