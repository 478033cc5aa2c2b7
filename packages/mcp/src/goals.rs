//! From goals to workflows, and from tasks to plans.

use crate::answers::{Defined, DefinedNode, Placed, Schedule};
use crate::asks::{AssignTasks, DecomposeGoal, id, seconds};
use crate::refusal::Refusal;
use counterpoint::decompose::{Ask, Decomposer, RulePack, by_document, decompose};
use counterpoint::definition::Definition;
use counterpoint::planning::{Outlook, Settings, Solution, Task, plan_project};
use counterpoint::{Engine, Limits, Name, Payload, TaskId, Time};
use std::ops::ControlFlow;
use std::time::Duration;

/// The number of plans that are evaluated: a fraction of a second for a hundred tasks.
const EVALUATIONS: u64 = 5_000;

/// The workflow of a goal. It is validated here, whatever its source.
pub(crate) fn workflow(asked: DecomposeGoal, skills: Vec<Name>) -> Result<Definition, Refusal> {
    let kinds = asked.kinds.map_or(skills, |kinds| kinds.into_iter().map(Name::from).collect());
    let ask = Ask::new(asked.goal).with_name(asked.name).with_about(Payload::new(asked.about)).with_kinds(kinds);
    let mut decomposer: Box<dyn Decomposer> = match (asked.rules, asked.document) {
        (Some(rules), None) => {
            let rules: RulePack =
                serde_json::from_value(rules).map_err(|error| Refusal::new("bad_rules", error.to_string()))?;
            Box::new(rules)
        }
        (None, Some(document)) => Box::new(by_document("the caller", move |_: &Ask| Ok(document.clone()))),
        _ => return Err(Refusal::new("no_way", "specify either `rules` or `document`")),
    };
    Ok(decompose(decomposer.as_mut(), &ask, &Limits::default())?)
}

/// A workflow as the result of a tool.
pub(crate) fn shown(definition: &Definition) -> Defined {
    let nodes = definition.nodes.iter().map(|node| {
        let after = node.after.iter().map(|link| link.node.to_string()).collect();
        DefinedNode { name: node.name.to_string(), after }
    });
    Defined { workflow: definition.name.to_string(), version: definition.version, nodes: nodes.collect() }
}

/// The tasks to plan: those that wait in the engine, and those of the request.
pub(crate) fn outlook(engine: &Engine, now: Time, asked: &AssignTasks) -> Result<Outlook, Refusal> {
    let otherwise = asked.otherwise_seconds.map_or(Ok(Duration::from_secs(60)), seconds)?;
    let mut outlook = Outlook::of_engine(engine, now, otherwise);
    for task in &asked.tasks {
        let mut planned = Task::new(TaskId::new(id(&task.task)?), seconds(task.seconds)?);
        for (skill, level) in &task.skills {
            planned = planned.with_need(skill.as_str(), *level);
        }
        for before in &task.after {
            planned = planned.after(TaskId::new(id(before)?));
        }
        outlook.project = outlook.project.with_task(planned);
    }
    Ok(outlook)
}

/// Computes a plan with a short makespan.
pub(crate) fn plan(outlook: &Outlook) -> Result<Schedule, Refusal> {
    let problem = outlook.project.check()?;
    let settings = Settings::default().with_evaluations(EVALUATIONS);
    let found: Solution = plan_project(&problem, &settings, &mut |_| ControlFlow::Continue(()));
    let tasks = found.plan.tasks.iter().map(|placed| Placed {
        task: placed.task.get().to_string(),
        agent: placed.agent.map(|agent| agent.get().to_string()),
        start_seconds: placed.start.as_secs_f64(),
        finish_seconds: placed.finish.as_secs_f64(),
    });
    Ok(Schedule {
        plan: tasks.collect(),
        makespan_seconds: found.makespan.as_secs_f64(),
        bound_seconds: found.bound.as_secs_f64(),
        proven: found.is_proven(),
    })
}
