//! Requests to other servers, over HTTP and HTTPS.

use axum::http::{Request, Response, Uri};
use core::error::Error;
use core::fmt;
use core::time::Duration;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Connections, Error as Failed};
use hyper_util::rt::TokioExecutor;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(30);

/// A client for HTTP/1.1, with and without TLS, that keeps connections for further requests.
///
/// Certificates are verified with those of the operating system, or of the file in the variable `SSL_CERT_FILE`; where there
/// are none, as in a container without files, with those of Mozilla. Redirects are not followed.
#[derive(Clone)]
pub struct Client {
    connections: Connections<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undelivered {
    /// The connection was not made: the request had no effect.
    Unsent(String),
    /// The connection ended after it was made: the request may have had its effect.
    Lost(String),
}

impl Client {
    /// A client without connections.
    #[must_use]
    pub fn new() -> Self {
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_nodelay(true);
        plain.set_connect_timeout(Some(CONNECT));
        let ring = rustls::crypto::ring::default_provider;
        let builder = HttpsConnectorBuilder::new;
        let secured = match builder().with_provider_and_native_roots(ring()) {
            Ok(builder) => builder,
            Err(_) => match builder().with_provider_and_webpki_roots(ring()) {
                Ok(builder) => builder,
                // The provider supports no version of TLS, which is a property of the build: without roots, every
                // connection with TLS fails with a message.
                Err(_) => builder().with_tls_config(without_roots()),
            },
        };
        let connector = secured.https_or_http().enable_http1().wrap_connector(plain);
        let connections = Connections::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector);
        Self { connections }
    }

    /// Sends a request and returns the answer with its body unread.
    ///
    /// # Errors
    ///
    /// When there is no answer. The texts contain neither the URL nor headers of the request.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Undelivered> {
        self.connections.request(request).await.map_err(|error| {
            let text = in_full(&error);
            if error.is_connect() { Undelivered::Unsent(text) } else { Undelivered::Lost(text) }
        })
    }

    /// A URL for requests of this client.
    ///
    /// # Errors
    ///
    /// A message for a text that is not an absolute URL with `http` or `https`.
    pub fn url(text: &str) -> Result<Uri, String> {
        let uri: Uri = text.parse().map_err(|error| format!("is no URL: {error}"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http" | "https"), Some(_)) => Ok(uri),
            (Some("http" | "https"), None) => Err("names no host".to_owned()),
            _ => Err("does not begin with `http://` or `https://`".to_owned()),
        }
    }
}

fn without_roots() -> rustls::ClientConfig {
    rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

/// An error with its causes.
fn in_full(error: &Failed) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(text) => write!(f, "no connection: {text}"),
            Self::Lost(text) => write!(f, "the connection was lost: {text}"),
        }
    }
}

impl Error for Undelivered {}
