//! The token of a request.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use counterpoint::Time;
use counterpoint::access::Token;
use counterpoint::access::{Tokens, Verifier as _};
use std::sync::Arc;

/// The token of a request, from `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<Token> {
    Token::from_authorization(headers.get(AUTHORIZATION)?.to_str().ok()?)
}

/// Rejects HTTP requests without a known token; the gate checks for each call whether the token is valid and what it
/// allows.
pub async fn guard(State(known): State<Arc<Tokens>>, request: Request, next: Next) -> Response {
    let token = bearer(request.headers());
    if token.is_some_and(|token| known.verify(&token, Time::ZERO).is_ok()) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], "a token is required").into_response()
}
