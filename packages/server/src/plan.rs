//! What can be said of a workflow file without running it: `check`, `draw`, `play`, and the plan of a dry run.

use crate::agents::{How, Program};
use crate::cli::InputArgs;
use crate::document::WorkFile;
use crate::output;
use crate::rehearse::{Assumptions, simulate};
use crate::run;
use crate::trouble::Trouble;
use counterpoint::observe::Picture;
use counterpoint::workflow::check;
use counterpoint::{Limits, RunId};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// `counterpoint check FILE`.
pub(crate) fn check_file(path: &Path, as_json: bool) -> Result<(), Trouble> {
    let file = WorkFile::load(path)?;
    let definition = &file.definition;
    let checked = check(definition, &Limits::default()).map_err(|error| Trouble::Broken(error.to_string()))?;
    let advice: Vec<String> = checked.advice.iter().map(ToString::to_string).collect();
    let critical: Vec<&str> = checked.critical_path.iter().map(|node| node.as_str()).collect();
    if as_json {
        output::line(
            &json!({"workflow": definition.name.as_str(), "version": definition.version, "nodes": definition.nodes.len(),
            "agents": file.agents.len(), "width": checked.width, "critical_path": critical, "advice": advice}),
        );
        return Ok(());
    }
    advice.iter().for_each(|line| output::text(&format!("advice: {line}")));
    output::text(&format!(
        "{}: no mistakes; workflow {} version {}, {} nodes, {} agents, at most {} at once, longest path {}",
        path.display(),
        definition.name,
        definition.version,
        definition.nodes.len(),
        file.agents.len(),
        checked.width,
        critical.join(" → ")
    ));
    Ok(())
}

/// `counterpoint draw FILE`.
pub(crate) fn draw(path: &Path, out: Option<&Path>) -> Result<(), Trouble> {
    let file = WorkFile::load_without_agents_check(path)?;
    let picture = Picture::of(&file.definition);
    let end = out.and_then(Path::extension).and_then(|end| end.to_str()).unwrap_or("svg");
    let text = match end {
        "svg" => picture.to_svg(),
        "dot" | "gv" => picture.to_dot(),
        "mmd" | "mermaid" => picture.to_mermaid(),
        other => return Err(Trouble::Usage(format!("`.{other}` is no format of pictures: .svg, .dot or .mmd"))),
    };
    match out {
        Some(out) => run::write(out, &text),
        None => {
            output::raw(&text);
            Ok(())
        }
    }
}

/// The plan of a dry run.
pub(crate) fn print(file: &WorkFile) -> Result<(), Trouble> {
    let definition = &file.definition;
    let checked = check(definition, &Limits::default()).map_err(|error| Trouble::Broken(error.to_string()))?;
    crate::terminal::say(&format!(
        "workflow {} version {}: {} nodes, at most {} at once",
        definition.name,
        definition.version,
        definition.nodes.len(),
        checked.width
    ));
    for agent in &file.agents {
        for (kind, method) in agent.methods() {
            let how = match &method.how {
                How::Command(command) => match &command.program {
                    Program::Shell(text) => format!("shell: {}", text.lines().next().unwrap_or_default()),
                    Program::Arguments(words) => {
                        format!("command: {}", words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
                    }
                },
                How::Http(http) => format!("{} {}", http.method, http.url),
                How::Mcp(mcp) => format!("tool {} of the MCP server {}", mcp.tool, mcp.server),
                How::Model(model) => format!("model {} at {}", model.name, model.url),
                How::Ask(ask) => format!("ask: {}", ask.question),
            };
            crate::terminal::say(&format!("  {} performs {kind} by {how}", agent.name));
        }
    }
    checked.advice.iter().for_each(|line| crate::terminal::say(&format!("  advice: {line}")));
    Ok(())
}

/// `counterpoint play FILE`.
pub(crate) fn play(
    path: &Path,
    inputs: &InputArgs,
    times: u64,
    seed: u64,
    timeline: Option<&Path>,
    as_json: bool,
) -> Result<(), Trouble> {
    let file = WorkFile::load(path)?;
    let spec = run::spec(&file, RunId::new(1), run::input(&file, inputs)?)?;
    let mut took = Vec::new();
    let mut failures: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for number in 0..times {
        let assumptions = Assumptions { seed: seed.wrapping_add(number), ..Assumptions::default() };
        let simulation = simulate(&file, &spec, assumptions)?;
        if let (0, Some(out)) = (number, timeline) {
            run::write(out, &simulation.view.timeline(&format!("{} (simulated)", spec.workflow)))?;
        }
        took.push(simulation.took);
        if let Err(why) = simulation.result {
            *failures.entry(why).or_default() += 1;
        }
    }
    took.sort_unstable();
    let at = |share: usize| took.get((took.len() - 1).min(took.len() * share / 100)).copied().unwrap_or_default();
    let failed: u64 = failures.values().sum();
    let succeeded = times - failed;
    if as_json {
        output::line(
            &json!({"runs": times, "succeeded": succeeded, "seconds": {"p10": at(10).as_secs_f64(), "p50": at(50).as_secs_f64(),
            "p90": at(90).as_secs_f64(), "most": at(100).as_secs_f64()}, "failures": failures}),
        );
        return Ok(());
    }
    let shown = |span: Duration| {
        humantime::format_duration(Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or_default()))
            .to_string()
    };
    output::text(&format!("{succeeded} of {times} simulated runs succeed"));
    output::text(&format!(
        "half take at most {}, nine of ten at most {}, all at most {}",
        shown(at(50)),
        shown(at(90)),
        shown(at(100))
    ));
    failures.iter().for_each(|(why, number)| output::text(&format!("{number} fail: {why}")));
    Ok(())
}
