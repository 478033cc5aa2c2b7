//! Messages: examples kept as files, schemas that describe them, round trips, and no panic on any bytes.

mod examples;
mod hostile;
pub(crate) mod validator;
