//! Where a model is, and how to talk to it.

use core::error::Error;
use core::fmt;
use counterpoint_serving::Client;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// The form of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Api {
    /// OpenAI's chat completions: `POST {base}/chat/completions`.
    OpenAi,
    /// Anthropic's messages: `POST {base}/messages`.
    Anthropic,
}

/// An endpoint: a base address, the form of its API, and a key.
///
/// ```
/// use counterpoint_models::Endpoint;
///
/// let endpoint = Endpoint::anthropic("https://api.anthropic.com/v1")?.with_key("a secret")?;
/// assert!(!format!("{endpoint:?}").contains("secret"));
/// assert!(Endpoint::openai("ftp://example.org").is_err());
/// # Ok::<(), counterpoint_models::Invalid>(())
/// ```
#[derive(Clone)]
pub struct Endpoint {
    pub(crate) api: Api,
    pub(crate) url: Uri,
    pub(crate) headers: HeaderMap,
    key: Option<Box<str>>,
}

impl Endpoint {
    /// An endpoint with OpenAI's chat API below a base address such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    ///
    /// When the address is no URL with `http` or `https`.
    pub fn openai(base: &str) -> Result<Self, Invalid> {
        Self::new(Api::OpenAi, base)
    }

    /// An endpoint with Anthropic's messages API below a base address such as `https://api.anthropic.com/v1`.
    ///
    /// # Errors
    ///
    /// When the address is no URL with `http` or `https`.
    pub fn anthropic(base: &str) -> Result<Self, Invalid> {
        Self::new(Api::Anthropic, base)
    }

    /// An endpoint.
    ///
    /// # Errors
    ///
    /// When the address is no URL with `http` or `https`.
    pub fn new(api: Api, base: &str) -> Result<Self, Invalid> {
        let path = match api {
            Api::OpenAi => "chat/completions",
            Api::Anthropic => "messages",
        };
        let url = format!("{}/{path}", base.trim_end_matches('/'));
        // The address may contain a password, so no message shows it.
        let url = Client::url(&url).map_err(|text| Invalid(format!("the address of the endpoint {text}")))?;
        let mut headers = HeaderMap::new();
        if api == Api::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
        Ok(Self { api, url, headers, key: None })
    }

    /// Sets the key: the header `authorization` of OpenAI's API, `x-api-key` of Anthropic's.
    ///
    /// # Errors
    ///
    /// When the key has characters that a header cannot have.
    pub fn with_key(mut self, key: &str) -> Result<Self, Invalid> {
        let (name, value) = match self.api {
            Api::OpenAi => (http::header::AUTHORIZATION, format!("Bearer {key}")),
            Api::Anthropic => (HeaderName::from_static("x-api-key"), key.to_owned()),
        };
        let value = HeaderValue::try_from(value);
        let mut value = value.map_err(|_| Invalid("the key has characters that a header cannot have".to_owned()))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        self.key = Some(key.into());
        Ok(self)
    }

    /// Sets a header of each request.
    ///
    /// # Errors
    ///
    /// When the name or the value is not one of a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, Invalid> {
        let header = HeaderName::try_from(name).map_err(|_| Invalid(format!("`{name}` is no name of a header")))?;
        let value = HeaderValue::try_from(value);
        let mut value = value.map_err(|_| Invalid(format!("the header `{name}` has an invalid value")))?;
        value.set_sensitive(true);
        self.headers.insert(header, value);
        Ok(self)
    }

    /// A text of the endpoint without the key.
    pub(crate) fn redact(&self, text: &str) -> String {
        match &self.key {
            Some(key) if key.len() >= 4 => text.replace(&**key, "***"),
            _ => text.to_owned(),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("api", &self.api).field("host", &self.url.host()).finish_non_exhaustive()
    }
}

/// Why an endpoint or an agent cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub(crate) String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Invalid {}
