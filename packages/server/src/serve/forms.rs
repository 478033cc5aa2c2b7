//! The forms for what can be done with a run now.

use super::html::{escaped, hidden, option};
use counterpoint::engine::{Awaited, RunView, Wait};
use counterpoint::message::{NodeStatus, RunPhase};
use counterpoint::{Engine, RunOutcome};
use counterpoint_playground::options;
use std::fmt::Write as _;

/// The button that asks for the consequences of an operation.
const DRY: &str = "<button name=dry value=yes>What would happen</button>";
/// The number of waits for which there are forms.
const FORMS: usize = 50;

/// The forms; empty if nothing can be done.
pub(super) fn forms(engine: &Engine, run: &RunView<'_>) -> String {
    let mut found = String::new();
    let id = run.id().get();
    let ended = run.outcome().is_some();
    if !ended {
        for wait in run.waits().into_iter().filter(|wait| wait.run == run.id()).take(FORMS) {
            found.push_str(&of_wait(engine, run, &wait));
        }
        let reason = "<label>Reason <input name=reason></label>";
        let _ = match run.paused() {
            Some(_) => write!(
                found,
                "<form class=row method=post action=\"/runs/{id}/resume\" aria-label=Resume><button>Resume the run</button></form>"
            ),
            None => write!(
                found,
                "<form class=row method=post action=\"/runs/{id}/pause\" aria-label=Pause>{reason}<button>Pause the run</button></form>"
            ),
        };
        let _ = write!(
            found,
            "<form class=row method=post action=\"/runs/{id}/cancel\" aria-label=Cancel><label>Reason <input name=reason required></label>{DRY}<button class=danger>Cancel the run</button></form>"
        );
    }
    let failed = matches!(run.outcome(), Some(RunOutcome::Failed { .. } | RunOutcome::Compensated { .. }));
    if failed {
        let _ = write!(
            found,
            "<form class=row method=post action=\"/runs/{id}/retry\" aria-label=Retry><label>Reason <input name=reason></label>{DRY}<button>Retry what failed</button></form>"
        );
    }
    // A run that fails or compensates cannot be reset until it has ended.
    if run.owner().is_none() && (failed || run.phase() == RunPhase::Running) {
        found.push_str(&reset(run));
    }
    found
}

/// The form that resets a run. It only asks for the consequences; the answer has the button that performs it.
fn reset(run: &RunView<'_>) -> String {
    let begun = run.nodes().filter(|node| node.status() != NodeStatus::Waiting && !node.name().contains('.'));
    let choices: String =
        begun.take(FORMS).map(|node| option(&node.name(), &format!("before {}", node.name()), "")).collect();
    format!(
        "<form class=row method=post action=\"/runs/{}/reset\" aria-label=Reset><label>Reset the run to <select name=to>{}{choices}</select></label>
<label><input type=checkbox name=undo value=yes> compensate what is done again</label><label>Reason <input name=reason></label>{DRY}</form>",
        run.id().get(),
        option("", "its start", "")
    )
}

fn of_wait(engine: &Engine, run: &RunView<'_>, wait: &Wait) -> String {
    let id = run.id().get();
    let name = wait.node.clone().unwrap_or_else(|| "".into());
    let (node, label) = (hidden("node", &name), escaped(&name));
    match &wait.on {
        Awaited::Signal { signal } => {
            let signal = escaped(signal);
            format!(
                "<form class=row method=post action=\"/runs/{id}/signal\" aria-label=\"Signal {signal}\"><input type=hidden name=signal value=\"{signal}\">
<label>Signal {signal} with <textarea name=payload rows=1 placeholder=\"JSON, or nothing\"></textarea></label><button>Signal</button></form>"
            )
        }
        Awaited::Decision { roles, .. } => {
            let buttons: String = options(engine, wait.run, &name)
                .iter()
                .map(|option| format!("<button name=option value=\"{0}\">{0}</button>", escaped(option)))
                .collect();
            let roles: Vec<String> = roles.iter().map(|role| escaped(role)).collect();
            // The note has lines: a line break in it takes no option.
            format!(
                "<form class=row method=post action=\"/runs/{id}/decide\" aria-label=\"Decide {label}\">{node}<span>Decide {label}, as {}</span>
<label>Note <textarea name=note rows=1></textarea></label>{buttons}</form>",
                roles.join(" or ")
            )
        }
        Awaited::Resolution { failure } => format!(
            "<form class=row method=post action=\"/runs/{id}/retry\" aria-label=\"Resolve {label}\">{node}<span>{label} failed: {}</span>
<button>Retry</button><button formaction=\"/runs/{id}/skip\">Skip</button></form>",
            escaped(failure)
        ),
        Awaited::Remedy => format!(
            "<form class=row method=post action=\"/runs/{id}/compensate\" aria-label=\"Compensation of {label}\">{node}<span>The compensation of {label} failed</span>
<label>Reason <input name=reason></label><button>Retry the compensation</button><button formaction=\"/runs/{id}/declare\">It was undone by hand</button>
<button formaction=\"/runs/{id}/abandon\">Leave the side effects</button></form>"
        ),
        _ => String::new(),
    }
}
