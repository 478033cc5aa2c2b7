//! The pages about agents, queues, alerts and dead letters, and the stream of changes.

use super::Site;
use super::html::{Page, clock, escaped, folded, section, span, table};
use super::session::{Visitor, message};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use counterpoint::host::future::Events;
use counterpoint::journal::EventFilter;
use counterpoint::observe::MetricsSnapshot;
use counterpoint::scheduler::{AccountView, AgentView, TaskView};
use counterpoint::{Engine, RunId, TaskOutcome, Tier, Time};
use futures_util::{FutureExt as _, stream};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;

/// The number of rows of a table.
const ROWS: usize = 500;
/// The least time between two changes that a reader gets.
const PAUSE: Duration = Duration::from_millis(250);

/// A failure of the host, as a page.
pub(super) fn broken(error: impl std::fmt::Display) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Html(message(&error.to_string()))).into_response()
}

pub(super) fn missing() -> Response {
    (StatusCode::NOT_FOUND, Html(message("there is no such page"))).into_response()
}

/// The word of the API for a value.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn agent_row(agent: &AgentView<'_>, figures: &MetricsSnapshot, now: Time) -> String {
    let spec = agent.spec();
    let name = spec.name.as_ref().map_or_else(|| spec.id.get().to_string(), ToString::to_string);
    let name = escaped(&name);
    let skills: Vec<&str> = spec.skills.keys().map(|skill| skill.as_str()).collect();
    let paused = agent.paused().map_or_else(String::new, |reason| format!(" (paused: {})", escaped(reason)));
    let (used, slots) = (agent.in_flight(), agent.slots());
    let of = figures.agents.get(&spec.id);
    format!(
        "<tr><th scope=row>{name}<td>{}{paused}<td><meter min=0 max={} value={used} aria-label=\"Load of {name}\"></meter> {used} of {slots}<td>{}<td>{}<td>{}<td>{}<td>{} ago<td>{}",
        escaped(&word(agent.status())),
        slots.max(1),
        of.map_or(0, |of| of.attempts),
        percent(of.and_then(|of| of.error_rate())),
        of.and_then(|of| of.mean_response()).map_or_else(|| "–".to_owned(), span),
        percent(of.and_then(|of| of.utilisation())),
        span(now.since(agent.last_message())),
        escaped(&skills.join(", "))
    )
}

/// The agents and their load.
pub(super) async fn agents(State(site): State<Site>, headers: HeaderMap) -> Response {
    let visitor = match Visitor::of(&site, &headers, "the agents") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let now = site.app.host().now();
    let figures = site.app.metrics();
    let look = move |engine: &Engine| {
        let rows: String = engine.agents().take(ROWS).map(|agent| agent_row(&agent, &figures, now)).collect();
        let lacking = engine.unroutable().take(ROWS).map(|group| format!("<li>{}", escaped(&group.to_string())));
        (rows, lacking.collect::<String>())
    };
    let (rows, lacking) = match site.app.host().inspect(look).await {
        Ok(found) => found,
        Err(error) => return broken(error),
    };
    let lacking = if lacking.is_empty() { lacking } else { format!("<ul class=bad>{lacking}</ul>") };
    let heads = ["Agent", "State", "Load", "Attempts", "Failed", "Mean time", "Busy", "Last message", "Skills"];
    let content = format!(
        "<section id=agents>{}</section>{}",
        table("Agents", &heads, &rows),
        section("lacking", "Tasks that no agent can perform", &lacking)
    );
    let visitor = visitor.principal.name.as_str();
    Html(Page { title: "Agents", path: "/agents", live: Some(""), visitor }.with(&content)).into_response()
}

fn tier_row(tier: Tier, queued: usize, figures: &MetricsSnapshot) -> String {
    let waits = figures.waits.get(&tier);
    let of = figures.tiers.get(&tier);
    format!(
        "<tr><th scope=row>{tier}<td>{queued}<td>{}<td>{}<td>{}<td>{}<td>{}",
        waits.map_or_else(|| "–".to_owned(), |waits| span(waits.oldest)),
        waits.map_or(0, |waits| waits.late),
        of.map_or_else(|| "–".to_owned(), |of| format!("{:.1}", of.rates.arrivals)),
        of.map_or_else(|| "–".to_owned(), |of| span(of.queue.p95)),
        percent(of.and_then(|of| of.in_time.share())),
    )
}

fn account_row(account: &AccountView<'_>) -> String {
    let limit = account.quota().concurrent.map_or_else(|| "–".to_owned(), |most| most.to_string());
    let paused = account.paused().map_or_else(String::new, |reason| format!("paused: {}", escaped(reason)));
    format!(
        "<tr><th scope=row>{}<td>{}<td>{}<td>{}<td>{limit}<td>{paused}",
        escaped(account.name()),
        account.queued(),
        account.running(),
        account.unfinished()
    )
}

/// The queues, by tier, by class of tasks and by tenant.
pub(super) async fn queues(State(site): State<Site>, headers: HeaderMap) -> Response {
    let visitor = match Visitor::of(&site, &headers, "the queues") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let figures = site.app.metrics();
    let look = move |engine: &Engine| {
        let queued = engine.queued();
        let tiers = Tier::ALL.into_iter().zip(queued).map(|(tier, queued)| tier_row(tier, queued, &figures));
        let kinds = engine.kinds().take(ROWS).map(|account| account_row(&account));
        // Tasks without a tenant have an account without a name.
        let named = |account: &AccountView<'_>| !account.name().is_empty();
        let tenants = engine.tenants().filter(named).take(ROWS).map(|account| account_row(&account));
        (tiers.collect::<String>(), kinds.collect::<String>(), tenants.collect::<String>())
    };
    let (tiers, kinds, tenants) = match site.app.host().inspect(look).await {
        Ok(found) => found,
        Err(error) => return broken(error),
    };
    let by_tier = ["Tier", "Queued", "Oldest waits", "Late", "Arrivals per second", "p95 wait", "In time"];
    let by_name = |of: &'static str| [of, "Queued", "Running", "Unfinished", "At most at once", "State"];
    let tenants = if tenants.is_empty() { tenants } else { table("Queues by tenant", &by_name("Tenant"), &tenants) };
    let content = [
        section("tiers", "By tier", &table("Queues by tier", &by_tier, &tiers)),
        section("classes", "By class of tasks", &table("Queues by class", &by_name("Kind"), &kinds)),
        section("tenants", "By tenant", &tenants),
    ];
    let visitor = visitor.principal.name.as_str();
    Html(Page { title: "Queues", path: "/queues", live: Some(""), visitor }.with(&content.concat())).into_response()
}

/// The conditions that need attention.
pub(super) async fn alerts(State(site): State<Site>, headers: HeaderMap) -> Response {
    let visitor = match Visitor::of(&site, &headers, "the alerts") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let now = site.app.host().now();
    let rows: String = site
        .board
        .alerts(now)
        .iter()
        .take(ROWS)
        .map(|alert| {
            format!(
                "<tr><td class=bad>{}<td>{}<td>{}",
                escaped(&alert.to_string()),
                clock(alert.since),
                span(now.since(alert.since))
            )
        })
        .collect();
    let look = |engine: &Engine| {
        let lacking = engine.unroutable().take(ROWS).map(|group| format!("<li>{}", escaped(&group.to_string())));
        let quarantined = engine.quarantined();
        let faulty = quarantined.iter().map(|part| format!("<li>{}", escaped(&part.to_string())));
        lacking.chain(faulty).collect::<String>()
    };
    let more = match site.app.host().inspect(look).await {
        Ok(more) => more,
        Err(error) => return broken(error),
    };
    let more = if more.is_empty() { more } else { format!("<ul class=bad>{more}</ul>") };
    let heads = ["Condition", "Since (UTC)", "For"];
    let content = format!(
        "<section id=alerts>{}</section>{}",
        table("Alerts", &heads, &rows),
        section("lacking", "Tasks that no agent can perform, and parts that have failed", &more)
    );
    let visitor = visitor.principal.name.as_str();
    Html(Page { title: "Alerts", path: "/alerts", live: Some(""), visitor }.with(&content)).into_response()
}

fn dead_row(task: &TaskView<'_>) -> String {
    let (why, since) = match task.outcome() {
        Some((TaskOutcome::DeadLettered(failure), at)) => (failure.to_string(), clock(at)),
        _ => (String::new(), String::new()),
    };
    let spec = task.spec();
    let id = spec.id.get();
    let kind = escaped(&spec.kind);
    let run = spec
        .owner
        .as_ref()
        .map_or_else(String::new, |owner| format!("<a href=\"/runs/{0}\">run {0}</a>", owner.run.get()));
    format!(
        "<tr><th scope=row>{id}<td>{kind}<td>{run}<td>{}<td>{}<td>{since}<td>{}<td><form method=post action=\"/dead-letters/{id}/replay\"><button aria-label=\"Replay {kind} {id}\">Replay</button>
<button formaction=\"/dead-letters/{id}/discard\" aria-label=\"Discard {kind} {id}\">Discard</button></form>",
        task.attempts(),
        escaped(&why),
        folded(spec.payload.value(), &format!("Input of {id}")),
    )
}

/// The tasks that have failed for good.
pub(super) async fn dead_letters(State(site): State<Site>, headers: HeaderMap) -> Response {
    let visitor = match Visitor::of(&site, &headers, "the dead letters") {
        Ok(visitor) => visitor,
        Err(answer) => return *answer,
    };
    let look = |engine: &Engine| engine.dead_letters().take(ROWS).map(|task| dead_row(&task)).collect::<String>();
    let rows = match site.app.host().inspect(look).await {
        Ok(rows) => rows,
        Err(error) => return broken(error),
    };
    let heads = ["Task", "Kind", "Run", "Attempts", "Failure", "Since (UTC)", "Input", "Operations"];
    let content = format!("<section id=letters>{}</section>", table("Dead letters", &heads, &rows));
    let visitor = visitor.principal.name.as_str();
    Html(Page { title: "Dead letters", path: "/dead-letters", live: Some(""), visitor }.with(&content)).into_response()
}

#[derive(Deserialize)]
pub(super) struct About {
    run: Option<u64>,
}

/// A stream with an event as soon as something has changed. What happens shortly after is one more event.
pub(super) async fn live(State(site): State<Site>, headers: HeaderMap, Query(about): Query<About>) -> Response {
    if let Err(answer) = Visitor::of(&site, &headers, "the events") {
        return *answer;
    }
    let filter = about.run.map_or_else(EventFilter::all, |run| EventFilter::all().about(RunId::new(run)));
    let events = match site.app.host().events(filter, 64).await {
        Ok(events) => events,
        Err(error) => return broken(error),
    };
    let changes = stream::unfold((events, false), |(mut events, begun): (Events, bool)| async move {
        let mut changed = false;
        if begun {
            tokio::time::sleep(PAUSE).await;
            while let Some(entry) = events.next().now_or_never() {
                entry?;
                changed = true;
            }
        }
        if !changed {
            events.next().await?;
        }
        Some((Ok::<_, Infallible>(Event::default().event("change").data("1")), (events, true)))
    });
    Sse::new(changes).keep_alive(KeepAlive::default()).into_response()
}
