//! What each request passes before its handler and before its body is read: its caller, its query, its key.

use crate::refusal::Refusal;
use crate::routes::Rules;
use crate::{App, Parameters};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use counterpoint::access::{AccessError, Principal, Token, Unauthenticated, Verifier as _};
use counterpoint::task::TraceContext;
use counterpoint_serving::{Content, Key};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

const KEY: &str = "idempotency-key";

/// The caller of a request, whose token is known.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Its token, for the gate.
    pub token: Token,
    /// Its owner.
    pub principal: Principal,
}

/// Rejects a request whose token is unknown, or whose query or key the route does not have. The body has not been read.
pub(crate) async fn admit(
    State((app, rules)): State<(App, Rules)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if !rules.open {
        let caller = caller(&app, request.headers()).inspect_err(|_| {
            app.strangers.fetch_add(1, Ordering::Relaxed);
        })?;
        app.take(&caller.principal)?;
        request.extensions_mut().insert(caller);
    }
    let parameters = query(request.uri(), rules.parameters)?;
    request.extensions_mut().insert(parameters);
    if !rules.key && request.headers().contains_key(KEY) {
        return Err(Refusal::malformed("key_unused", "requests of this endpoint have no `Idempotency-Key`"));
    }
    // Routes that answer without the host: whether the server lives, and how it is.
    if rules.open || rules.alone {
        return Ok(next.run(request).await);
    }
    Ok(app.outage.unless(next.run(request)).await?)
}

/// The caller, by `Authorization: Bearer`.
fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, AccessError> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(Token::from_authorization);
    let token = token.ok_or(AccessError::Unauthenticated(Unauthenticated::Missing))?;
    // The tokens are compared in constant time.
    let principal = app.known.verify(&token, app.host.now()).map_err(AccessError::Unauthenticated)?;
    Ok(Caller { token, principal })
}

/// The parameters of a query: each known and given once.
fn query(uri: &Uri, known: &[&str]) -> Result<Parameters, Refusal> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|error| Refusal::malformed("bad_query", error.to_string()))?;
    let mut parameters = BTreeMap::new();
    for (name, value) in pairs.0 {
        if !known.contains(&name.as_str()) {
            let detail = format!("unknown parameter `{name}`: expected one of {known:?}");
            return Err(Refusal::malformed("unknown_parameter", detail));
        }
        if parameters.insert(name.clone(), value).is_some() {
            return Err(Refusal::malformed(
                "repeated_parameter",
                format!("parameter `{name}` is given more than once"),
            ));
        }
    }
    Ok(Parameters(parameters))
}

/// The key of a request, if it has one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<Key>, Refusal> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::malformed("bad_key", "`Idempotency-Key` is given more than once"));
    }
    let key = Key::from_bytes(value.as_bytes());
    Ok(Some(key.map_err(|error| Refusal::malformed("bad_key", format!("`Idempotency-Key`: {error}")))?))
}

/// The trace that a request belongs to, by its `traceparent` and `tracestate`. As W3C Trace Context has it, a header that is not
/// valid is ignored.
pub(crate) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all("traceparent").iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let trace = TraceContext::new(parent.to_str().ok()?).ok()?;
    let states: Result<Vec<&str>, _> = headers.get_all("tracestate").iter().map(|value| value.to_str()).collect();
    match states {
        Ok(states) if !states.is_empty() => Some(trace.clone().with_state(&states.join(",")).unwrap_or(trace)),
        _ => Some(trace),
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        // Only an open route has no caller, and its handlers ask for none.
        let missing = || Refusal::from(AccessError::Unauthenticated(Unauthenticated::Missing));
        parts.extensions.get().cloned().ok_or_else(missing)
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// The parameters of a path.
pub(crate) struct At<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path)).map_err(|error| Refusal::malformed("bad_path", error.to_string()))
    }
}

/// The body of a request.
pub(crate) struct Given(pub Content);

impl FromRequest<App> for Given {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        Ok(Self(app.bodies.read_up_to(request.into_body(), usize::MAX).await?))
    }
}

/// The status for a request to a path or method that does not exist.
pub(crate) fn none_such(status: StatusCode, code: &str, what: &str) -> Refusal {
    Refusal::new(status, code, format!("{what}: see /openapi.json"))
}
