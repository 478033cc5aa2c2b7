//! The resources.

use crate::Counterpoint;
use crate::answers::{agent_shown, run_shown, value};
use crate::asks::id;
use counterpoint::engine::RunFilter;
use counterpoint::{AgentId, Entry, RunId};
use rmcp::ErrorData;
use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::{Value, json};
use std::sync::PoisonError;

const ROOT: &str = "counterpoint://";
const JSON: &str = "application/json";
/// The number of runs in a resource.
const PAGE: usize = 100;

/// The resources of the whole engine.
pub(crate) fn list() -> ListResourcesResult {
    let of = |name: &str, about: &str| {
        Resource::new(format!("{ROOT}{name}"), name).with_description(about).with_mime_type(JSON)
    };
    ListResourcesResult::with_all_items(vec![
        of("agents", "The agents and the attempts that each of them holds."),
        of("workflows", "The workflows that runs can be started from, with the inputs that they declare."),
        of("runs", "The runs of workflows, the oldest first."),
        of("events", "The most recent events, as text and as data."),
    ])
}

/// The resources of single objects.
pub(crate) fn templates() -> ListResourceTemplatesResult {
    let of = |name: &str, about: &str| {
        ResourceTemplate::new(format!("{ROOT}{name}"), name).with_description(about).with_mime_type(JSON)
    };
    ListResourceTemplatesResult::with_all_items(vec![
        of("agents/{agent}", "One agent."),
        of("runs/{run}", "One run, with its nodes and what it waits for."),
    ])
}

/// Reads a resource.
pub(crate) async fn read(server: &Counterpoint, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let nowhere = || ErrorData::resource_not_found(format!("unknown resource {uri}"), None);
    let path = uri.strip_prefix(ROOT).ok_or_else(nowhere)?;
    let found: Option<Value> = match path.split_once('/').unwrap_or((path, "")) {
        ("events", "") => Some(events(server).await?),
        ("agents", "") => {
            let look = |engine: &counterpoint::Engine| {
                engine.agents().map(|agent| agent_shown(engine, &agent)).collect::<Vec<_>>()
            };
            Some(json!({"agents": server.host.inspect(look).await.map_err(crate::Refusal::from)?}))
        }
        ("agents", agent) => {
            let agent = AgentId::new(id(agent)?);
            let look = move |engine: &counterpoint::Engine| {
                engine.agent(agent).map(|agent| value(&agent_shown(engine, &agent)))
            };
            server.host.inspect(look).await.map_err(crate::Refusal::from)?
        }
        ("workflows", "") => {
            let look = |engine: &counterpoint::Engine| {
                let known = engine.definitions();
                let offered = known.iter().filter(|view| view.is_offered).map(|view| {
                    json!({
                        "name": view.id.name, "version": view.id.version, "is_default": view.is_default,
                        "inputs": view.definition.inputs,
                    })
                });
                json!({"workflows": offered.collect::<Vec<_>>()})
            };
            Some(server.host.inspect(look).await.map_err(crate::Refusal::from)?)
        }
        ("runs", "") => {
            let look = |engine: &counterpoint::Engine| {
                let page = engine.find_runs(&RunFilter::default(), None, PAGE);
                json!({"runs": page.runs.iter().map(run_shown).collect::<Vec<_>>(), "more": page.next.is_some()})
            };
            Some(server.host.inspect(look).await.map_err(crate::Refusal::from)?)
        }
        ("runs", run) => {
            let run = RunId::new(id(run)?);
            let look = move |engine: &counterpoint::Engine| engine.run(run).map(|run| value(&run_shown(&run)));
            server.host.inspect(look).await.map_err(crate::Refusal::from)?
        }
        _ => None,
    };
    let text = found.ok_or_else(nowhere)?.to_string();
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON)]))
}

async fn events(server: &Counterpoint) -> Result<Value, crate::Refusal> {
    let entries: Vec<Entry> = server.entries.lock().unwrap_or_else(PoisonError::into_inner).items().cloned().collect();
    let look = move |engine: &counterpoint::Engine| {
        let shown = entries.iter().map(|entry| json!({"text": engine.describe(entry), "event": entry}));
        json!({"events": shown.collect::<Vec<_>>()})
    };
    Ok(server.host.inspect(look).await?)
}
