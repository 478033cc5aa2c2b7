//! Reads a request as JSON from standard input and writes the answer to standard output. As a module of WebAssembly, a page is
//! both ends.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::process::ExitCode;

/// The largest request.
const MOST: u64 = 8 << 20;

fn main() -> ExitCode {
    let mut text = Vec::new();
    let request = match std::io::stdin().take(MOST).read_to_end(&mut text) {
        Ok(_) => serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let answer = match request {
        Ok(request) => counterpoint_playground::answer(&request),
        Err(error) => json!({ "error": error }),
    };
    match std::io::stdout().write_all(answer.to_string().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
