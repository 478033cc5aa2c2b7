//! `counterpoint serve`: the API of `counterpoint-http`, and pages for people.

mod actions;
mod audit;
mod board;
mod check;
mod foresee;
mod forms;
mod gantt;
mod html;
mod mcp;
mod pages;
mod past;
mod play;
mod run;
mod runs;
mod schedules;
mod session;
mod settings;
mod store;
mod style;
mod work;

use crate::cli::ServeArgs;
use crate::compaction::Compaction;
use crate::document::WorkFile;
use crate::folder::{lock, make_folder, write_whole};
use crate::guard::Guard;
use crate::traces::{Exporter, Traces};
use crate::trouble::{Mistake, Trouble};
use crate::view::SharedView;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use counterpoint::access::Tokens;
use counterpoint::host::HostError;
use counterpoint_http::App;
use counterpoint_mcp::Counterpoint;
use past::Past;
use serde_json::json;
use settings::Settings;
use std::cell::OnceCell;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
pub(crate) use store::Place;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};

/// How long processes may take to end when they are asked to.
const GRACE: Duration = Duration::from_secs(5);

/// The state of the pages.
#[derive(Clone)]
struct Site {
    app: App,
    view: SharedView,
    board: board::Board,
}

/// Serves until a signal ends the process, or the journal fails.
pub(crate) async fn serve(args: &ServeArgs, data: &Path, json: bool) -> Result<(), Trouble> {
    if args.check {
        return check::check(args, data, json).await;
    }
    let settings = Settings::of(args)?;
    // Mistakes of files are reported before anything is begun.
    let files = load(&settings.files)?;
    let identity = settings.identity()?;
    make_folder(data)?;
    let (path, made) = match &settings.tokens {
        Some(path) => (path.clone(), false),
        None => own_tokens(data)?,
    };
    let tokens = read_tokens(&path)?;
    let _held = hold(data)?;
    let audit = settings.audit_in(data).map(|path| audit::AuditFile::open(&path)).transpose()?;
    let view = SharedView::default();
    let exporter = Exporter::start(settings.otlp.as_ref(), &view);
    let traces = exporter.as_ref().map(Exporter::traces);
    let watchers = Watchers { audit: audit.as_ref(), view, traces };
    let (site, mcp, mut driver) = open(data, tokens.clone(), &settings, watchers).await?;
    let app = site.app.clone();
    let guard = if files.is_empty() { None } else { Some(work::begin(&files, app.host(), data, &site.view).await?) };

    let listen = settings.listen.as_str();
    let listener = TcpListener::bind(listen).await.map_err(|error| Trouble::Broken(format!("{listen}: {error}")))?;
    let address = listener.local_addr().map_err(|error| Trouble::Broken(format!("{listen}: {error}")))?;
    let url = format!("{}://{address}", if identity.is_some() { "https" } else { "http" });
    if json {
        crate::output::line(&json!({"listening": url, "tokens": path}));
    } else {
        crate::output::text(&format!("listening on {url}"));
    }
    crate::terminal::say(&format!("tokens are in {}{}", path.display(), if made { ", made now" } else { "" }));
    let broken = |error: std::io::Error| Trouble::Broken(format!("signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
    let server = counterpoint_serving::Server::new(settings.limits);
    let protocol = mcp::router(&site, mcp, tokens, &settings);
    let router = router(site).merge(protocol);
    let serving = async {
        match identity {
            Some(identity) => server.serve_tls(listener, identity, router).await,
            None => server.serve(listener, router).await,
        }
    };
    let done = tokio::select! {
        never = serving => match never {},
        done = &mut driver => Some(ended(done)),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    let done = match done {
        Some(done) => done,
        None => finish(&app, driver, guard, settings.patience).await,
    };
    if let Some(exporter) = exporter {
        exporter.finish().await;
    }
    done
}

/// The task that drives the host.
type Driving = JoinHandle<Result<(), HostError>>;

/// What learns of requests and entries, beside the pages.
struct Watchers<'a> {
    audit: Option<&'a audit::AuditFile>,
    view: SharedView,
    traces: Option<Traces>,
}

/// Opens the journal, and begins to drive the host and to watch its entries.
async fn open(
    data: &Path,
    tokens: Tokens,
    settings: &Settings,
    Watchers { audit, view, traces }: Watchers<'_>,
) -> Result<(Site, Counterpoint, Driving), Trouble> {
    let source = settings.source(data);
    let board = board::Board::default();
    let past = Past::default();
    let (place, seen) = (source.place()?, past.clone());
    let compaction = settings.snapshot_events.map(|every| Compaction::new(source, every));
    let journal = place.journal(settings.history_events, compaction, move |entries| seen.set(entries));
    let (mut app, driver) = App::over(journal, tokens.clone(), settings.limits).await?;
    if let Some(audit) = audit {
        app = app.with_audit(audit.sink());
    }
    if let Some(traces) = traces.clone() {
        app = app.with_metrics(move || traces.figures());
    }
    let mcp = mcp::server(&app, tokens);
    // Requests that are sent before the driver is polled are handled first: hub and view miss no entry.
    let (spawned, watching, figures) = (OnceCell::new(), view.clone(), board.clone());
    let (told, shown, restored) = (view.clone(), board.clone(), traces.clone());
    let watch = async {
        app.host().inspect(move |engine| past.show(engine, &told, &shown, restored.as_ref())).await?;
        app.watch().await?;
        mcp.watch().await?;
        let watcher = move |entry: &counterpoint::Entry| {
            figures.apply(entry);
            _ = watching.tell(entry);
            if let Some(traces) = &traces {
                traces.apply(entry);
            }
        };
        app.host().watch(watcher).await
    };
    let spawn = async { _ = spawned.set(tokio::spawn(driver)) };
    let (watched, ()) = tokio::join!(biased; watch, spawn);
    watched?;
    let driver = spawned.into_inner().ok_or_else(|| Trouble::Broken("the driver was not spawned".to_owned()))?;
    Ok((Site { app, view, board }, mcp, driver))
}

/// Lets the attempts under way end, within the patience, and then ends their commands.
async fn finish(app: &App, driver: Driving, guard: Option<Arc<Guard>>, patience: Duration) -> Result<(), Trouble> {
    let Some(guard) = guard else {
        // The attempts of remote agents are in the journal, for the next server.
        return match tokio::time::timeout(patience + GRACE, app.shut_down(patience)).await {
            Ok(_) => ended(driver.await),
            Err(_) => {
                driver.abort();
                Err(unstored(app))
            }
        };
    };
    tokio::select! {
        drained = app.shut_down(patience + GRACE) => drop(drained),
        () = tokio::time::sleep(patience) => {
            // What goes on is ended without a verdict: the next server tries it again.
            guard.stop();
            let gone = async {
                while guard.alive() > 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let _ = tokio::time::timeout(GRACE, gone).await;
            driver.abort();
            return if app.outage().is_some() { Err(unstored(app)) } else { Ok(()) };
        }
    }
    ended(driver.await)
}

/// The end of a server whose journal stores nothing.
fn unstored(app: &App) -> Trouble {
    let reason = app.outage().unwrap_or_else(|| "it did not answer in time".to_owned());
    Trouble::Broken(format!("the journal: {reason}; what was not acknowledged is lost, and everything else is stored"))
}

fn ended(ended: Result<Result<(), HostError>, JoinError>) -> Result<(), Trouble> {
    match ended {
        Ok(ended) => ended.map_err(Trouble::from),
        Err(error) => Err(Trouble::Broken(error.to_string())),
    }
}

fn read_tokens(path: &Path) -> Result<Tokens, Trouble> {
    let text = std::fs::read(path).map_err(|error| Trouble::io(path, &error))?;
    serde_json::from_slice(&text).map_err(|error| Trouble::Broken(format!("{}: {error}", path.display())))
}

/// Reads workflow files, all of them before the first mistake is reported.
fn load(files: &[PathBuf]) -> Result<Vec<WorkFile>, Trouble> {
    let mut loaded: Vec<WorkFile> = Vec::new();
    for path in files {
        let file = WorkFile::load(path)?;
        let name = &file.definition.name;
        if let Some(other) = loaded.iter().find(|other| other.definition.name == *name) {
            let text = format!("workflow `{name}` is in {} as well", other.path.display());
            return Err(crate::document::located(path, vec![Mistake::new("name", text)]));
        }
        for agent in &file.agents {
            let same = |other: &&WorkFile| other.agents.iter().any(|known| known.name == agent.name);
            if let Some(other) = loaded.iter().find(same) {
                let text = format!("an agent of this name is in {} as well", other.path.display());
                return Err(crate::document::located(path, vec![Mistake::new(format!("agents.{}", agent.name), text)]));
            }
        }
        loaded.push(file);
    }
    Ok(loaded)
}

/// The right to use a folder, until it is dropped.
fn hold(data: &Path) -> Result<File, Trouble> {
    let path = data.join("serve.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Trouble::io(&path, &error))?;
    match lock(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Trouble::Busy(format!("another process serves the folder {}", data.display())))
        }
        Err(TryLockError::Error(error)) => Err(Trouble::io(&path, &error)),
    }
}

/// The file with a token of its own, which is made if it does not exist.
fn own_tokens(data: &Path) -> Result<(PathBuf, bool), Trouble> {
    let path = data.join("tokens.json");
    if path.exists() {
        return Ok((path, false));
    }
    let roles = ["operator", "owner", "submitter", "agent"];
    let tokens = json!([{ "token": crate::control::token(), "name": "owner", "roles": roles }]);
    write_whole(&path, format!("{tokens}\n").as_bytes()).map_err(|error| Trouble::io(&path, &error))?;
    Ok((path, true))
}

/// The routes of the API and of the pages.
fn router(site: Site) -> Router {
    let pages = Router::new()
        .route("/", get(|| async { Redirect::to("/runs") }))
        .route("/login", get(session::form).post(session::log_in))
        .route("/logout", post(session::log_out))
        .route("/runs", get(runs::runs))
        .route("/start", post(actions::start))
        .route("/runs/{run}", get(run::run))
        .route("/runs/{run}/{action}", post(actions::of_run))
        .route("/agents", get(pages::agents))
        .route("/queues", get(pages::queues))
        .route("/schedules", get(schedules::schedules).post(actions::of_schedule))
        .route("/alerts", get(pages::alerts))
        .route("/dead-letters", get(pages::dead_letters))
        .route("/dead-letters/{task}/{action}", post(actions::of_dead_letter))
        .route("/live", get(pages::live))
        .route("/page.css", get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], style::sheet()) }))
        .route("/page.js", get(|| async { ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], html::JS) }))
        .route_layer(from_fn_with_state(site.clone(), within_limits))
        .route("/ready", get(ready))
        .layer(map_response(protected))
        .with_state(site.clone());
    counterpoint_http::router(site.app).merge(pages).merge(play::routes())
}

/// Counts a request against the rate of its caller. A page that asks the host waits for the journal, as every answer does.
async fn within_limits(State(site): State<Site>, request: Request, next: Next) -> Response {
    if let Some(Err(problem)) = session::cookie(request.headers()).map(|token| site.app.within_rate(&token)) {
        return problem.into_response();
    }
    let answer = site.app.unless_outage(next.run(request)).await;
    answer.unwrap_or_else(pages::broken)
}

/// Readiness: the engine answers.
async fn ready(State(site): State<Site>) -> Response {
    let events = match site.app.unless_outage(site.app.host().inspect(|engine| engine.last_seq().get())).await {
        Ok(events) => events,
        Err(unavailable) => return counterpoint_serving::Problem::from(unavailable).into_response(),
    };
    match events {
        Ok(events) => axum::Json(json!({"status": "ready", "events": events})).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

/// Headers that keep other sites from using the pages.
async fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
