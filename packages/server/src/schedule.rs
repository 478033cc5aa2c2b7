//! The section `schedule` of a workflow file: when `serve` starts runs by itself.

use crate::trouble::Mistake;
use counterpoint::Payload;
use counterpoint::definition::Definition;
use counterpoint::schedule::{Rule, SchedulePolicy, ScheduleSpec, Timing};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    /// A cron expression, or several.
    cron: Crons,
    zone: Option<String>,
    /// The input of each run.
    #[serde(default)]
    input: Value,
    /// The field of the input that receives the nominal time.
    nominal_time_as: Option<String>,
    #[serde(default)]
    policy: SchedulePolicy,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Crons {
    One(String),
    Many(Vec<String>),
}

/// Reads the section. The schedule has the name of the workflow, and starts runs of its version in the file.
pub(crate) fn read(section: &Value, definition: &Definition) -> Result<ScheduleSpec, Vec<Mistake>> {
    let mistake = |path: &str, text: String| vec![Mistake::new(path, text)];
    let section: Section = Section::deserialize(section).map_err(|error| mistake("schedule", error.to_string()))?;
    let mut crons = match section.cron {
        Crons::One(one) => vec![one],
        Crons::Many(many) => many,
    }
    .into_iter();
    let Some(first) = crons.next() else {
        return Err(mistake("schedule.cron", "expected at least one cron expression".to_owned()));
    };
    let mut timing = crons.fold(Timing::cron(first), |timing, cron| timing.and(Rule::Cron(cron.into())));
    if let Some(zone) = section.zone {
        timing = timing.in_zone(zone);
    }
    let mut input = section.input;
    let mut spec = ScheduleSpec::new(definition.name.clone(), definition.name.clone(), timing);
    spec = spec.with_version(definition.version).with_input(Payload::new(input.clone()));
    if let Some(field) = section.nominal_time_as {
        if input.is_null() {
            input = Value::Object(Map::new());
        }
        if let Some(fields) = input.as_object_mut() {
            fields.insert(field.clone(), Value::from("2026-01-01T00:00:00Z"));
        }
        spec = spec.with_nominal_time_as(field);
    }
    definition.check_input(&Payload::new(input)).map_err(|faults| {
        faults.iter().map(|fault| Mistake::new("schedule.input", fault.to_string())).collect::<Vec<_>>()
    })?;
    spec.policy = section.policy;
    Ok(spec)
}
