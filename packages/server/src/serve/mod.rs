//! `counterpoint serve`: the API of `counterpoint-http`, and pages for people.

mod actions;
mod board;
mod foresee;
mod forms;
mod gantt;
mod html;
mod pages;
mod play;
mod run;
mod runs;
mod schedules;
mod session;
mod style;

use crate::folder::{make_folder, write_whole};
use crate::trouble::Trouble;
use crate::view::SharedView;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use counterpoint::access::Tokens;
use counterpoint_http::App;
use counterpoint_journal_files::FileJournal;
use counterpoint_serving::Limits;
use serde_json::json;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long attempts under way may take when the server is asked to end.
const PATIENCE: Duration = Duration::from_millis(500);

/// The state of the pages.
#[derive(Clone)]
struct Site {
    app: App,
    view: SharedView,
    board: board::Board,
}

/// Serves until a signal ends the process, or the journal fails.
pub(crate) async fn serve(data: &Path, listen: &str, tokens: Option<PathBuf>) -> Result<(), Trouble> {
    make_folder(data)?;
    let (path, made) = match tokens {
        Some(path) => (path, false),
        None => own_tokens(data)?,
    };
    let text = std::fs::read(&path).map_err(|error| Trouble::io(&path, &error))?;
    let tokens: Tokens =
        serde_json::from_slice(&text).map_err(|error| Trouble::Broken(format!("{}: {error}", path.display())))?;

    let folder = data.join("journal");
    let entries = if folder.exists() {
        FileJournal::read(&folder, &App::stream()).map_err(|error| Trouble::io(&folder, &error))?.0.entries
    } else {
        Vec::new()
    };
    let (view, board) = (SharedView::of(&entries), board::Board::of(&entries));
    drop(entries);
    let (app, driver) = App::open(&folder, tokens, Limits::default()).await?;
    // Requests that are sent before the driver is polled are handled first: hub and view miss no entry.
    let (spawned, watching, figures) = (OnceCell::new(), view.clone(), board.clone());
    let watch = async {
        app.watch().await?;
        let watcher = move |entry: &counterpoint::Entry| {
            figures.apply(entry);
            _ = watching.tell(entry);
        };
        app.host().watch(watcher).await
    };
    let spawn = async { _ = spawned.set(tokio::spawn(driver)) };
    let (watched, ()) = tokio::join!(biased; watch, spawn);
    watched?;
    let mut driver = spawned.into_inner().ok_or_else(|| Trouble::Broken("the driver was not spawned".to_owned()))?;

    let listener = TcpListener::bind(listen).await.map_err(|error| Trouble::Broken(format!("{listen}: {error}")))?;
    let address = listener.local_addr().map_err(|error| Trouble::Broken(format!("{listen}: {error}")))?;
    crate::output::text(&format!("listening on http://{address}"));
    crate::terminal::say(&format!("tokens are in {}{}", path.display(), if made { ", made now" } else { "" }));
    let broken = |error: std::io::Error| Trouble::Broken(format!("signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
    let ended = |ended: Result<Result<(), counterpoint::host::HostError>, tokio::task::JoinError>| match ended {
        Ok(ended) => ended.map_err(Trouble::from),
        Err(error) => Err(Trouble::Broken(error.to_string())),
    };
    let server = counterpoint_serving::Server::new(Limits::default());
    let router = router(Site { app: app.clone(), view, board });
    tokio::select! {
        never = server.serve(listener, router) => match never {},
        done = &mut driver => return ended(done),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    // The attempts of remote agents are in the journal, for the next server.
    let _ = app.shut_down(PATIENCE).await;
    ended(driver.await)
}

/// The file with a token of its own, which is made if it does not exist.
fn own_tokens(data: &Path) -> Result<(PathBuf, bool), Trouble> {
    let path = data.join("tokens.json");
    if path.exists() {
        return Ok((path, false));
    }
    let roles = ["operator", "submitter", "agent"];
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
        .route("/ready", get(ready))
        .route("/page.css", get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], style::sheet()) }))
        .route("/page.js", get(|| async { ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], html::JS) }))
        .layer(map_response(protected))
        .with_state(site.clone());
    counterpoint_http::router(site.app).merge(pages).merge(play::routes())
}

/// Readiness: the engine answers.
async fn ready(axum::extract::State(site): axum::extract::State<Site>) -> Response {
    match site.app.host().inspect(|engine| engine.last_seq().get()).await {
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
