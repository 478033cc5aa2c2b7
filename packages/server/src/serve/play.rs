//! The playground at `/play`: a page that computes everything itself. It shows nothing of the server, so it needs no token.

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

/// The module of WebAssembly; empty if the program was built without it.
const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/playground.wasm"));
const PAGE: &str = include_str!("../../../playground/page/page.html");
const CSS: &str = include_str!("../../../playground/page/page.css");
const JS: &str = include_str!("../../../playground/page/page.js");

const MISSING: &str = "<!doctype html><html lang=en><title>Playground</title><h1>Playground</h1><p>This program was built without the \
playground: see packages/playground of its sources.";

/// Whether the program has the playground.
pub(super) const fn is_there() -> bool {
    !MODULE.is_empty()
}

/// The routes of the playground.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file = |kind: &'static str, content: &'static [u8]| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], content).into_response() })
    };
    Router::new()
        .route("/play", get(page))
        .route("/play.css", file("text/css; charset=utf-8", CSS.as_bytes()))
        .route("/play.js", file("text/javascript; charset=utf-8", JS.as_bytes()))
        .route("/play.wasm", file("application/wasm", MODULE))
        .layer(map_response(protected))
}

async fn page() -> Response {
    if is_there() { Html(PAGE).into_response() } else { (StatusCode::NOT_FOUND, Html(MISSING)).into_response() }
}

/// The page compiles a module, and does nothing else that a policy may exclude.
async fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
