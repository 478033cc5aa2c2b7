//! A simulated run as an answer for the page.

use crate::file::{self, Compiled};
use crate::simulator::{Assumptions, Performance, Player, Simulator};
use crate::text::without_ids;
use counterpoint::journal::Projection as _;
use counterpoint::observe::{Names, Progress, SvgOptions, Timeline};
use counterpoint::{AgentId, AgentSpec, Command, Payload, RunId, RunOutcome, RunSpec, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The number of events that an answer lists.
const LISTED: usize = 3_000;
/// The longest duration of an attempt in seconds.
const LONGEST: f64 = 30.0 * 86_400.0;

/// What a page assumes about a run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The file.
    pub(crate) text: String,
    /// The input of the run.
    #[serde(default)]
    input: Value,
    #[serde(default)]
    seed: u64,
    /// What is assumed of each kind of task.
    #[serde(default)]
    kinds: BTreeMap<String, Kind>,
    /// The agents; without any, there is one with four slots that performs everything.
    #[serde(default)]
    agents: Vec<Agent>,
    /// How long people take for an answer, in seconds.
    #[serde(default = "ten")]
    people: f64,
    /// The number of events after which the engine crashes.
    crash: Option<usize>,
    /// The number of events after which the graph and the timeline are drawn; all by default.
    until: Option<usize>,
}

const fn ten() -> f64 {
    10.0
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    /// The least and the greatest duration in seconds.
    #[serde(default)]
    takes: Option<[f64; 2]>,
    /// The share of attempts that fail.
    #[serde(default)]
    fails: f64,
    #[serde(default)]
    output: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Agent {
    name: String,
    capacity: u32,
    /// The kinds of tasks that it performs; without any, all.
    #[serde(default)]
    performs: Vec<String>,
}

fn seconds(of: f64) -> Duration {
    Duration::from_secs_f64(if of.is_finite() { of.clamp(0.0, LONGEST) } else { 0.0 })
}

impl Settings {
    fn assumptions(&self) -> Assumptions {
        let kinds = self.kinds.iter().map(|(kind, of)| {
            let [least, most] = of.takes.unwrap_or([1.0, 1.0]).map(seconds);
            (kind.clone(), Performance { least, most: most.max(least), fails: of.fails, output: of.output.clone() })
        });
        Assumptions { seed: self.seed, kinds: kinds.collect(), people: seconds(self.people), crash: self.crash }
    }

    fn players(&self) -> Vec<Player> {
        let new = |name: &str, capacity: u32| {
            AgentSpec::new(AgentId::from_key(name)).with_name(name).with_capacity(capacity.clamp(1, 10_000))
        };
        if self.agents.is_empty() {
            return vec![Player { spec: new("agent", 4), learns: true }];
        }
        let present = self.agents.iter().filter(|agent| agent.capacity > 0).take(1_000);
        let players = present.map(|agent| {
            let spec = new(&agent.name, agent.capacity);
            let spec = agent.performs.iter().fold(spec, |spec, kind| spec.with_skill(kind.as_str(), 1));
            Player { spec, learns: agent.performs.is_empty() }
        });
        players.collect()
    }
}

/// Simulates a run.
pub(crate) fn play(settings: &Settings) -> Value {
    let compiled = match file::compile(&settings.text) {
        Ok(compiled) => compiled,
        Err(mistakes) => return mistakes,
    };
    match simulate(settings, compiled) {
        Ok(answer) => answer,
        Err(error) => json!({ "error": error }),
    }
}

fn simulate(settings: &Settings, compiled: Compiled) -> Result<Value, String> {
    let id = RunId::new(1);
    let definition = compiled.flow;
    let spec = RunSpec::new(id, &definition.name).with_version(definition.version);
    let spec = spec.with_input(Payload::new(settings.input.clone()));
    let mut simulator = Simulator::new(&settings.players(), settings.assumptions())?;
    simulator.command(Command::define(definition))?;
    simulator.command(Command::start(spec))?;
    let stuck = simulator.run(id);

    let run = simulator.engine().run(id);
    let outcome = run.and_then(|run| run.outcome());
    let state = match outcome {
        Some(RunOutcome::Succeeded { .. }) => "succeeded",
        Some(RunOutcome::Compensated { .. }) => "compensated",
        Some(_) => "failed",
        None => "waits",
    };
    let output = match outcome {
        Some(RunOutcome::Succeeded { output }) => output.value().clone(),
        _ => Value::Null,
    };
    let why = outcome.and_then(|outcome| outcome.cause().map(ToString::to_string)).or(stuck);
    let ended = run.and_then(|run| run.metrics().ended).unwrap_or(simulator.now);
    let answered = simulator.answered.iter().map(|(at, text)| json!({"at": at.as_secs_f64(), "text": text}));

    let (mut names, mut progress, mut timeline) = (Names::default(), Progress::default(), Timeline::default());
    let until = settings.until.unwrap_or(usize::MAX).min(simulator.journal.len());
    let mut events = Vec::new();
    for (number, entry) in simulator.journal.iter().enumerate() {
        names.apply(entry);
        if number < until {
            progress.apply(entry);
            timeline.apply(entry);
        }
        if events.len() < LISTED {
            events.push(json!({"at": entry.at.as_secs_f64(), "text": without_ids(&names.describe(entry))}));
        }
    }
    let at = until.checked_sub(1).and_then(|last| simulator.journal.get(last)).map_or(Time::ZERO, |entry| entry.at);
    let window = SvgOptions::default().with_window(Time::ZERO, ended).with_width(900);
    Ok(json!({
        "state": state, "why": why, "output": output, "took": ended.as_secs_f64(), "answered": answered.collect::<Vec<_>>(),
        "crashed": simulator.crashed.map(Time::as_secs_f64), "events": events, "count": simulator.journal.len(), "until": until,
        "at": at.as_secs_f64(), "graph": progress.picture(id).map(|picture| picture.to_svg()), "timeline": timeline.to_svg(&window),
    }))
}

#[cfg(test)]
mod tests {
    use crate::answer;
    use serde_json::{Value, json};

    const FILE: &str = "
name: order
inputs: {city: {type: string, default: Oslo}}
tasks:
  - {id: pack, inputs: '${inputs.city}', retry: 3}
  - id: review
    depends_on: pack
    race: [{name: verdict, decision: {role: editor, options: [ship, keep]}}]
  - {id: ship, depends_on: {task: review, case: ship}}
outputs: '${ship.output}'
";

    fn play(settings: Value) -> Value {
        let mut request = json!({"text": FILE});
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        answer(&json!({ "play": request }))
    }

    #[test]
    fn durations_failures_and_agents_decide_how_a_run_ends() {
        let kinds = json!({"pack": {"takes": [5, 5]}, "ship": {"takes": [2, 2], "output": "done"}});
        let run = play(json!({ "kinds": kinds, "people": 3 }));
        assert_eq!(
            (&run["state"], &run["took"], &run["output"]),
            (&json!("succeeded"), &json!(10.0), &json!("done")),
            "{run}"
        );
        assert_eq!(run["answered"], json!([{"at": 8.0, "text": "`ship` decided for `review`"}]));
        let failed = play(json!({"kinds": {"pack": {"fails": 1}}}));
        assert!(failed["state"] == "failed" && failed["why"].as_str().unwrap().contains("simulated"), "{failed}");
        let alone = play(json!({"agents": [{"name": "a", "capacity": 1, "performs": ["pack"]}]}));
        assert!(alone["state"] == "waits" && alone["why"].as_str().unwrap().contains("ship"), "{alone}");
        assert_eq!(play(json!({"agents": [{"name": "a", "capacity": 0}]}))["state"], "waits");
        assert!(play(json!({"input": {"city": 3}}))["error"].as_str().unwrap().contains("city"));
    }

    #[test]
    fn a_crash_at_any_event_changes_nothing() {
        let kinds = json!({"pack": {"takes": [1, 9], "fails": 0.4}, "ship": {"takes": [1, 2], "fails": 0.2}});
        for seed in 0..5 {
            let whole = play(json!({"kinds": kinds, "seed": seed}));
            let count = whole["count"].as_u64().unwrap();
            for crash in 2..count {
                let crashed = play(json!({"kinds": kinds, "seed": seed, "crash": crash}));
                assert!(!crashed["crashed"].is_null(), "seed {seed}, crash {crash}");
                for field in ["state", "took", "why", "output", "count"] {
                    assert_eq!(crashed[field], whole[field], "seed {seed}, crash {crash}, {field}");
                }
            }
        }
    }

    #[test]
    fn the_graph_is_that_of_the_event() {
        let until = |until: u64| play(json!({ "until": until }))["graph"].as_str().unwrap_or_default().to_owned();
        let count = play(json!({}))["count"].as_u64().unwrap();
        assert!(until(count).matches(" s-succeeded").count() > until(count / 2).matches(" s-succeeded").count());
        assert_eq!(until(0), "");
    }

    #[test]
    fn mistakes_have_line_and_column_and_anything_has_an_answer() {
        let check = |text: &str| answer(&json!({"check": {"text": text}}));
        let found = check(&FILE.replace("depends_on: pack", "depends_on: pakc"));
        assert_eq!(found["mistakes"][0]["line"], 7, "{found}");
        let unclosed = check("name: a\ntasks: [\n");
        assert!(unclosed["mistakes"][0]["line"].as_u64() >= Some(2), "{unclosed}");
        for text in ["", "[", "3", "a: &a [*a]", "\0", "name: x\ntasks: 3", "name: x\ntasks: []"] {
            let answered = check(text);
            assert!(answered["mistakes"].is_array() || answered["name"].is_string(), "{text}: {answered}");
        }
        for odd in [json!(3), json!({}), json!({"play": {}}), json!({"check": {"text": 3}}), json!({"burn": {}})] {
            assert!(answer(&odd)["error"].is_string(), "{odd}");
        }
        let seconds = json!({"kinds": {"pack": {"takes": [-1, 1e300], "fails": -3}}, "people": 1e300});
        assert!(play(seconds)["state"].is_string());
    }
}
