//! The MCP endpoint at `/mcp`: the tools of `counterpoint-mcp` over the host of the server, with its tokens, rates and records.

use super::Site;
use super::settings::Settings;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use counterpoint::access::{Token, Tokens};
use counterpoint_http::App;
use counterpoint_mcp::{Allowed, Counterpoint, SessionLimits, refusal, routes};

/// The server of the protocol. It has the name and the version of this program.
pub(super) fn server(app: &App, tokens: Tokens) -> Counterpoint {
    let observed = app.clone();
    Counterpoint::over(app.host().clone(), tokens)
        .with_identity("counterpoint", env!("CARGO_PKG_VERSION"))
        .with_observer(move |decision, answer| observed.observe(decision, answer))
}

/// The route.
pub(super) fn router(site: &Site, server: Counterpoint, tokens: Tokens, settings: &Settings) -> Router {
    let mut allowed = Allowed::default();
    // The address on which it listens is one of its names, unless it is that of all interfaces.
    let own =
        settings.listen.rsplit_once(':').map(|(host, _)| host).filter(|host| !["0.0.0.0", "[::]", ""].contains(host));
    allowed.hosts.extend(own.map(str::to_owned).into_iter().chain(settings.allow_hosts.iter().cloned()));
    allowed.origins.extend(settings.allow_origins.iter().cloned());
    let mut limits = settings.limits;
    // Counted below, together with the other requests of a caller.
    limits.requests_per_second = 0;
    routes(server, tokens, limits, SessionLimits::default(), &allowed)
        .layer(from_fn_with_state(site.app.clone(), within_limits))
}

/// Refuses what is too much for a caller, and what arrives while the journal stores nothing. A call that is under way waits.
async fn within_limits(State(app): State<App>, request: Request, next: Next) -> Response {
    let header = request.headers().get(axum::http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(Err(problem)) = header.and_then(Token::from_authorization).map(|token| app.within_rate(&token)) {
        return refusal(problem);
    }
    app.unless_outage(next.run(request)).await.unwrap_or_else(|unavailable| refusal(unavailable.into()))
}
