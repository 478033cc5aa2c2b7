//! Whose token it is.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use counterpoint::access::{Principal, Unauthenticated};
use counterpoint::{Time, Token};
use serde::Deserialize;
use std::sync::Arc;

/// Somebody, with the token that proves it: an entry of the tokens' file.
#[derive(Clone, Deserialize)]
pub struct Known {
    token: Token,
    #[serde(flatten)]
    who: Principal,
}

/// Who shows this token, of these. Every token is compared, each in a time that does not tell where it differs.
pub fn verify(known: &[Known], token: &Token, _: Time) -> Result<Principal, Unauthenticated> {
    let mut found = None;
    for one in known {
        if same(one.token.reveal().as_bytes(), token.reveal().as_bytes()) {
            found = Some(&one.who);
        }
    }
    found.cloned().ok_or(Unauthenticated::Unknown)
}

fn same(left: &[u8], right: &[u8]) -> bool {
    let differs = left.iter().zip(right).fold(0, |bits, (left, right)| bits | (left ^ right));
    left.len() == right.len() && differs == 0
}

/// The token of a request, from `Authorization: Bearer`.
pub fn bearer(headers: &HeaderMap) -> Option<Token> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::new(token.trim()))
}

/// Lets nobody speak over HTTP whose token is nobody's; what the others may do is for the gate to say, call by call.
pub async fn guard(State(known): State<Arc<Vec<Known>>>, request: Request, next: Next) -> Response {
    let token = bearer(request.headers());
    if token.is_some_and(|token| verify(&known, &token, Time::ZERO).is_ok()) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], "a token is needed").into_response()
}
