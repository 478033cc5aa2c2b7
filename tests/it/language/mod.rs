//! Documents of the definition language: compiling them, and the errors of invalid ones.

mod broken;
mod check;
mod composed;
mod editor;
mod faults;
mod hostile;
mod page;
mod printing;
mod saving;
mod schema;
mod sending;
mod use_cases;
mod words;

use counterpoint::definition::Definition;
use counterpoint::language::{Document, DocumentFault};
use counterpoint::{AgentId, AgentSpec, Limits};

/// The kinds of work in the example workflows.
const SKILLS: &[&str] = &[
    "extract",
    "clean",
    "join",
    "aggregate",
    "validate",
    "load",
    "quarantine",
    "planner",
    "research",
    "analysis",
    "visualisation",
    "writer",
    "reviewer",
    "deliver",
    "reserve",
    "charge",
    "fraud",
    "ship",
    "notify",
    "release",
    "refund",
];

/// An agent that can do all of them.
pub fn able(id: u64) -> AgentSpec {
    let agent = AgentSpec::new(AgentId::new(id)).with_label("network", "open");
    SKILLS.iter().fold(agent, |agent, skill| agent.with_skill(*skill, 5))
}

pub fn example(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/workflows").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn document(yaml: &str) -> Document {
    serde_saphyr::from_str(yaml).unwrap()
}

pub fn compiled(yaml: &str) -> Definition {
    document(yaml).compile(&Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The errors of a document, without their places.
fn wrong(yaml: &str) -> Vec<String> {
    let error = document(yaml).compile(&Limits::default()).unwrap_err();
    assert_eq!(error.omitted(), 0);
    let unmarked = |fault: &DocumentFault| {
        let mut fault = fault.clone();
        fault.at = None;
        fault.to_string()
    };
    error.faults().iter().map(unmarked).collect()
}
