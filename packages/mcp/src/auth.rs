//! The token of a request.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use counterpoint::access::Token;

/// The token of a request, from `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<Token> {
    Token::from_authorization(headers.get(AUTHORIZATION)?.to_str().ok()?)
}
