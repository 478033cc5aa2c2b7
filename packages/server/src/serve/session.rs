//! Who looks at the pages: a token in a cookie.

use super::Site;
use super::html::{Page, escaped};
use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use counterpoint::access::{AccessError, Principal, Token};
use serde::Deserialize;

const COOKIE: &str = "counterpoint";

/// A caller that may read everything.
pub(super) struct Visitor {
    pub(super) token: Token,
    pub(super) principal: Principal,
}

impl Visitor {
    /// The caller of a request; otherwise the answer to it.
    pub(super) fn of(site: &Site, headers: &HeaderMap, what: &str) -> Result<Self, Box<Response>> {
        let Some(token) = cookie(headers) else { return Err(Box::new(Redirect::to("/login").into_response())) };
        match site.app.reader(&token, what) {
            Ok(principal) => Ok(Self { token, principal }),
            Err(AccessError::Unauthenticated(_)) => Err(Box::new(Redirect::to("/login").into_response())),
            Err(error) => Err(Box::new((StatusCode::FORBIDDEN, Html(message(&error.to_string()))).into_response())),
        }
    }

    /// The caller of a request that changes something: only a form of these pages may send it.
    pub(super) fn acting(site: &Site, headers: &HeaderMap, what: &str) -> Result<Self, Box<Response>> {
        if !is_own(headers) {
            return Err(Box::new(
                (StatusCode::FORBIDDEN, Html(message("this request is of another site"))).into_response(),
            ));
        }
        Self::of(site, headers, what)
    }
}

/// Whether the page that sent a form is of this server. Browsers send `Origin` with every form, and most of them the relation
/// of the sites.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !matches!(text(HeaderName::from_static("sec-fetch-site")), None | Some("same-origin" | "none")) {
        return false;
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, named)| named == host),
        (None, _) => true,
        (Some(_), None) => false,
    }
}

pub(super) fn cookie(headers: &HeaderMap) -> Option<Token> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| Token::new(value))
}

pub(super) fn message(text: &str) -> String {
    let content = format!("<p class=bad role=alert>{}</p><p><a href=/runs>Runs</a></p>", escaped(text));
    Page { title: "Message", path: "", live: None, visitor: "" }.with(&content)
}

const FORM: &str = "<form method=post action=/login class=card><label for=token>Token</label>
<input id=token name=token type=password autocomplete=current-password required autofocus>
<button>Log in</button></form>";

fn log_in_page(content: &str) -> String {
    Page { title: "Log in", path: "", live: None, visitor: "" }.with(content)
}

/// The form for a token.
pub(super) async fn form() -> Html<String> {
    Html(log_in_page(FORM))
}

#[derive(Deserialize)]
pub(super) struct Given {
    token: String,
}

/// Keeps the token in a cookie that no script and no other site can use.
pub(super) async fn log_in(State(site): State<Site>, headers: HeaderMap, Form(given): Form<Given>) -> Response {
    let plain = given.token.bytes().all(|byte| byte.is_ascii_graphic() && !b";,\"\\".contains(&byte));
    let known = plain && is_own(&headers) && site.app.reader(&Token::new(given.token.as_str()), "the pages").is_ok();
    if !known {
        let again = format!("<p class=bad role=alert>This token is unknown, or may not read everything.</p>{FORM}");
        return (StatusCode::UNAUTHORIZED, Html(log_in_page(&again))).into_response();
    }
    // A browser that came by TLS, to the server or to a proxy before it, sends the token by TLS only.
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let secure = if origin.is_some_and(|origin| origin.starts_with("https://")) { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict{secure}", given.token);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/runs")).into_response()
}

/// Removes the cookie.
pub(super) async fn log_out() -> Response {
    let cookie = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}
