//! The steps of the survey. Each converts its input, calls a plain function, and returns the result.

pub mod analyse;
pub mod extract;
pub mod publish;
pub mod write;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use counterpoint::{Failure, Policy, Retry};
use serde::{Deserialize, Serialize};

use crate::desk::Desk;
use crate::records::Records;

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// The directory to survey.
    pub root: PathBuf,
    /// The folder for the report.
    pub out: PathBuf,
    /// The proof-reader is to find fault with the report once it is delivered.
    pub fail_delivery: bool,
}

/// What the steps share.
#[derive(Debug)]
pub struct Staffroom {
    pub desk: Desk,
    pub records: Records,
    /// How many portions may lie on the desk at the same time.
    pub at_once: u32,
}

/// How often a step is tried, and how patiently: agents of this example come back at once.
pub fn patient() -> Policy {
    Policy::default().with_retry(Retry::exponential(8, Duration::from_millis(2), Duration::from_millis(50)))
}

/// What the disk refuses may work next time: it may be full, or somebody may hold the file.
fn disk(what: &str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::transient(format!("{what}: {error}"))
}
