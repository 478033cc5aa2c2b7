//! The codes of the failures of [`ModelAgent`](crate::ModelAgent).
//!
//! Handlers and retries match on them. A failure after a tool was called has an unknown outcome instead of a transient one,
//! with the same code: another attempt calls the tool again.

/// The endpoint limits the rate. The failure is an overload with the time that the endpoint states, or one second.
pub const RATE_LIMIT: &str = "model.rate-limit";
/// The quota of the account is used up. Permanent.
pub const QUOTA: &str = "model.quota";
/// The endpoint is overloaded (status 503 or 529). An overload.
pub const OVERLOADED: &str = "model.overloaded";
/// The endpoint rejects the key (status 401 or 403). Permanent.
pub const UNAUTHORISED: &str = "model.unauthorised";
/// The endpoint rejects the request (other statuses from 400 to 499). Permanent; the details have the status and what the
/// endpoint reports.
pub const REJECTED: &str = "model.rejected";
/// The endpoint failed (status 408, 409, 425 or from 500 on, or an error within a stream). Transient.
pub const UNAVAILABLE: &str = "model.unavailable";
/// There was no connection, or it was lost before the answer was complete. Transient.
pub const CONNECTION: &str = "model.connection";
/// The answer took longer than a [limit](crate::Limits). Transient.
pub const TIME_LIMIT: &str = "model.time-limit";
/// The answer does not have the form of the API. Transient.
pub const MALFORMED: &str = "model.malformed";
/// The answer reached the largest number of tokens before its end. Permanent.
pub const LENGTH: &str = "model.length";
/// The model, or a filter of the endpoint, refused to answer. Permanent.
pub const REFUSED: &str = "model.refused";
/// The answer does not fit the schema, also after the corrections. Transient; the details have what does not fit.
pub const SCHEMA: &str = "model.schema";
/// The model called tools in more rounds than the [limit](crate::Limits) allows. Permanent.
pub const TOOL_ROUNDS: &str = "model.tool-rounds";
/// The prompt could not be made of the input. Permanent.
pub const PROMPT: &str = "model.prompt";
/// The attempt was cancelled.
pub const CANCELLED: &str = "model.cancelled";
