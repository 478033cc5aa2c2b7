//! Documents of the definition language: what they mean, and what is said of those that mean nothing.

mod check;
mod hostile;
mod mistakes;
mod saving;
mod schema;
mod use_cases;
mod words;

use counterpoint::language::{Document, Recipe};
use counterpoint::{AgentId, AgentSpec, Limits};

/// What the workflows among the examples ask of agents.
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

/// An agent that can do everything in them.
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

pub fn compiled(yaml: &str) -> Recipe {
    document(yaml).compile(&Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong with a document, line by line.
fn wrong(yaml: &str) -> Vec<String> {
    let error = document(yaml).compile(&Limits::default()).unwrap_err();
    assert_eq!(error.omitted(), 0);
    error.mistakes().iter().map(ToString::to_string).collect()
}
