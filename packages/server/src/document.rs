//! Workflow files: a document of the definition language, with additional sections `agents` and `schedule`.

use crate::agents::{self, AgentPlan};
use crate::schedule;
use crate::trouble::{Mistake, Trouble};
use counterpoint::Limits;
use counterpoint::definition::Definition;
use counterpoint::language::Document;
use counterpoint::routing::SkillMap;
use counterpoint::schedule::ScheduleSpec;
use counterpoint::workflow::check_against;
use counterpoint_playground::places;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The largest workflow file. The language allows documents of the same size.
const MOST_BYTES: u64 = 4 << 20;

/// The format of a file, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Yaml,
    Json,
    Toml,
}

impl Format {
    fn of(path: &Path) -> Result<Self, Trouble> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("yaml" | "yml") => Ok(Self::Yaml),
            Some("json") => Ok(Self::Json),
            Some("toml") => Ok(Self::Toml),
            _ => Err(Trouble::Usage(format!(
                "{}: expected a file that ends with .yaml, .yml, .json or .toml",
                path.display()
            ))),
        }
    }

    fn parse(self, text: &str) -> Result<Document, String> {
        match self {
            Self::Yaml => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            Self::Toml => toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned()),
        }
    }
}

/// A workflow file without mistakes.
#[derive(Debug)]
pub(crate) struct WorkFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// The folder of the file: relative folders of agents begin there.
    pub(crate) folder: PathBuf,
    /// The workflow.
    pub(crate) definition: Definition,
    /// The agents.
    pub(crate) agents: Vec<AgentPlan>,
    /// When `serve` starts runs by itself.
    pub(crate) schedule: Option<ScheduleSpec>,
}

/// Reads a text file within a limit.
pub(crate) fn read_text(path: &Path) -> Result<String, Trouble> {
    let size = std::fs::metadata(path).map_err(|error| Trouble::io(path, &error))?;
    if size.is_dir() {
        return Err(Trouble::Broken(format!("{} is a folder, expected a file", path.display())));
    }
    if size.len() > MOST_BYTES {
        return Err(Trouble::Broken(format!("{} has more than {MOST_BYTES} bytes", path.display())));
    }
    std::fs::read_to_string(path).map_err(|error| Trouble::io(path, &error))
}

/// Reads data of any of the formats, such as an input.
pub(crate) fn read_data(path: &Path) -> Result<Value, Trouble> {
    let (format, text) = (Format::of(path)?, read_text(path)?);
    let parsed = format
        .parse(&text)
        .map_err(|text| Trouble::Mistakes { file: path.to_owned(), mistakes: vec![Mistake::new("", text)] })?;
    Ok(parsed.value().clone())
}

impl WorkFile {
    /// Reads and checks a file, also whether its agents can perform its tasks.
    pub(crate) fn load(path: &Path) -> Result<Self, Trouble> {
        let file = Self::load_without_agents_check(path)?;
        let specs: Vec<_> = file.agents.iter().map(AgentPlan::spec).collect();
        let Err(lacking) = check_against(&file.definition, &specs, &SkillMap::default()) else {
            return Ok(file);
        };
        let mistakes = lacking.tasks.iter().map(|task| Mistake::new("agents", task.to_string())).collect();
        Err(located(path, mistakes))
    }

    /// Reads a file of which agents may be missing: for a picture of its workflow.
    pub(crate) fn load_without_agents_check(path: &Path) -> Result<Self, Trouble> {
        let (format, text) = (Format::of(path)?, read_text(path)?);
        let parsed = format.parse(&text);
        let document = parsed
            .map_err(|text| Trouble::Mistakes { file: path.to_owned(), mistakes: vec![Mistake::new("", text)] })?;
        let mut content = document.value().clone();
        let mut taken = |name: &str| content.as_object_mut().and_then(|fields| fields.remove(name));
        let (section, timed) = (taken("agents"), taken("schedule"));
        let workflow: Document =
            serde_json::from_value(content).map_err(|error| Trouble::Broken(format!("{}: {error}", path.display())))?;

        let mut mistakes = Vec::new();
        let agents = agents::read(section.as_ref().unwrap_or(&Value::Null), &mut mistakes);
        let definition = match workflow.compile(&Limits::default()) {
            Ok(definition) if mistakes.is_empty() => definition,
            Ok(_) => return Err(located(path, mistakes)),
            Err(error) => {
                let mut all: Vec<Mistake> =
                    error.faults().iter().map(|fault| Mistake::new(&fault.path, fault.kind.to_string())).collect();
                if error.omitted() > 0 {
                    all.push(Mistake::new("", format!("and {} more mistakes", error.omitted())));
                }
                all.append(&mut mistakes);
                return Err(located(path, all));
            }
        };
        let schedule = match timed.map(|section| schedule::read(&section, &definition)).transpose() {
            Ok(schedule) => schedule,
            Err(mistakes) => return Err(located(path, mistakes)),
        };
        let whole = std::path::absolute(path).map_err(|error| Trouble::io(path, &error))?;
        let folder = whole.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        Ok(Self { path: path.to_owned(), folder, definition, agents, schedule })
    }
}

/// Mistakes with the lines and columns of their paths, where the format tells them.
pub(crate) fn located(file: &Path, mut mistakes: Vec<Mistake>) -> Trouble {
    let known = match (Format::of(file), read_text(file)) {
        (Ok(Format::Yaml | Format::Json), Ok(text)) => places(&text),
        _ => std::collections::BTreeMap::new(),
    };
    for mistake in &mut mistakes {
        // A field that is missing has no place: that of the object without it is shown.
        let mut path = mistake.path.as_str();
        loop {
            mistake.at = known.get(path).copied();
            if mistake.at.is_some() || path.is_empty() {
                break;
            }
            path = path.rfind(['.', '[']).and_then(|end| path.get(..end)).unwrap_or("");
        }
    }
    Trouble::Mistakes { file: file.to_owned(), mistakes }
}
