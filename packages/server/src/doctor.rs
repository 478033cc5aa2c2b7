//! `counterpoint doctor`: what is wrong with a set-up.

use crate::agents::command::find_program;
use crate::agents::{AgentPlan, How, Program};
use crate::document::WorkFile;
use crate::folder::{Data, write_whole};
use crate::guard::Guard;
use crate::output;
use crate::serve::Place;
use crate::trouble::Trouble;
use serde_json::json;
use std::path::Path;

/// A finding, and whether it is a fault.
struct Finding {
    good: bool,
    text: String,
}

/// What was found out about a set-up.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, good: bool, text: String) {
        self.0.push(Finding { good, text });
    }

    /// Prints the findings.
    pub(crate) fn tell(self, as_json: bool) -> Result<(), Trouble> {
        for finding in &self.0 {
            if as_json {
                output::line(&json!({"good": finding.good, "finding": finding.text}));
            } else {
                output::text(&format!("{} {}", if finding.good { "ok   " } else { "FAULT" }, finding.text));
            }
        }
        match self.0.iter().filter(|finding| !finding.good).count() {
            0 => Ok(()),
            faults => Err(Trouble::Broken(format!("{faults} faults"))),
        }
    }
}

/// Looks at the folder of journals, at this program, and at a file.
pub(crate) fn doctor(root: &Path, file: Option<&Path>, as_json: bool) -> Result<(), Trouble> {
    let mut found = Findings::default();
    let mut add = |good: bool, text: String| found.add(good, text);
    let probe = root.join("probe");
    match write_whole(&probe, b"probe").and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => add(true, format!("the folder {} can be written", root.display())),
        Err(error) => add(false, format!("the folder {} cannot be written: {error}", root.display())),
    }
    match Guard::start(&root.join("probe-guard")) {
        Ok(_) => add(true, "processes can be started and are ended with this program".to_owned()),
        Err(error) => add(false, format!("the guard of processes cannot be started: {error}")),
    }
    let _ = std::fs::remove_file(root.join("probe-guard"));
    // A folder that cannot be read was reported above.
    for run in Data::new(root).all().unwrap_or_default() {
        if run.end().is_none() && !run.is_performed() {
            match run.entries() {
                Ok(entries) => add(
                    true,
                    format!("run `{}` has not ended; its journal of {} entries can be read", run.name, entries.len()),
                ),
                Err(trouble) => add(false, format!("run `{}`: {trouble}", run.name)),
            }
        }
    }
    if let Some(path) = file {
        match WorkFile::load(path) {
            Err(trouble) => add(false, trouble.to_string()),
            Ok(file) => {
                add(true, format!("{} has no mistakes", path.display()));
                file.agents.iter().for_each(|agent| look(agent, &file.folder, &mut add));
            }
        }
    }
    // That of `serve`, if it is in this folder.
    if root.join("journal").exists() {
        match Place::Folder(root.join("journal")).read() {
            Ok(content) => {
                add(true, format!("the journal of the server has {} entries, which can be read", content.entries.len()))
            }
            Err(trouble) => add(false, format!("the journal of the server: {trouble}")),
        }
    }
    found.tell(as_json)
}

/// Looks up the program and the variables of an agent.
fn look(agent: &AgentPlan, folder: &Path, add: &mut impl FnMut(bool, String)) {
    for (kind, method) in agent.methods() {
        let place = format!("agent `{}`, `{kind}`", agent.name);
        let templates: Vec<&crate::agents::template::Template> = match &method.how {
            How::Command(plan) => {
                if let (Program::Arguments(words), None) = (&plan.program, &plan.folder)
                    && let Some(program) = words.first().filter(|word| word.is_plain())
                {
                    match find_program(&program.to_string(), folder) {
                        Some(path) => add(true, format!("{place}: {}", path.display())),
                        None => add(false, format!("{place}: there is no program `{program}`")),
                    }
                }
                let words: &[_] = if let Program::Arguments(words) = &plan.program { words } else { &[] };
                words.iter().chain(plan.environment.iter().map(|(_, value)| value)).collect()
            }
            How::Http(plan) => plan.headers.iter().map(|(_, value)| value).chain([&plan.url]).collect(),
            How::Mcp(plan) => {
                if let Some(program) = plan.server.program().filter(|word| word.is_plain())
                    && find_program(&program.to_string(), folder).is_none()
                {
                    add(false, format!("{place}: there is no program `{program}`"));
                }
                plan.templates().collect()
            }
            How::Model(plan) => plan.templates().collect(),
            How::Ask(plan) => vec![&plan.question],
        };
        for name in templates.iter().flat_map(|template| template.variables()) {
            if std::env::var_os(name).is_none() {
                add(false, format!("{place}: the environment has no variable `{name}`"));
            }
        }
    }
}
