//! Prints a sealed journal as lines of JSON: one event a line, in the order of the files.
//!
//! ```text
//! cargo run --features sealed --example read_journal -- STREAM [--key 64_HEX_DIGITS] FILE...
//! ```
//!
//! The files are segments, in either encoding, each of which continues from the one before. Blank space at their ends is
//! skipped. The first fault is printed to the standard error, after the events before it.

use counterpoint::journal::sealed::{Key, Stream};
use std::error::Error;
use std::io::{BufWriter, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut stream = Stream::new(arguments.next().ok_or("usage: STREAM [--key 64_HEX_DIGITS] FILE...")?);
    let mut files = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--key" {
            stream = stream.with_key(key(&arguments.next().ok_or("a key follows --key")?)?);
        } else {
            files.push(argument);
        }
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut head = None;
    for file in files {
        let bytes = std::fs::read(&file)?;
        let mut unsealer = stream.open(&bytes, head).map_err(|fault| format!("{file}: {fault}"))?;
        for record in &mut unsealer {
            for entry in record.map_err(|fault| format!("{file}: {fault}"))? {
                serde_json::to_writer(&mut out, &entry)?;
                out.write_all(b"\n")?;
            }
        }
        head = Some(unsealer.head());
    }
    out.flush()?;
    Ok(())
}

fn key(digits: &str) -> Result<Key, Box<dyn Error>> {
    let bytes: Result<Vec<u8>, _> = digits.as_bytes().chunks(2).map(|pair| byte(pair)).collect();
    let bytes: [u8; 32] = bytes?.try_into().map_err(|_| "a key has 64 digits")?;
    Ok(Key::new(bytes))
}

fn byte(pair: &[u8]) -> Result<u8, Box<dyn Error>> {
    Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)
}
