//! Functions between values and strings: JSON, Base64, hashes.

#![expect(clippy::wildcard_enum_match_arm, reason = "`call` passes only the functions of this file")]

use super::Function;
use super::call::Arguments;
use super::eval::NoValue;
use serde_json::Value;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn call(given: &Arguments<'_>) -> Result<Value, NoValue> {
    Ok(Value::String(match given.function {
        Function::JsonParse => {
            let text = given.text(0)?;
            // A value has up to sixteen times the bytes of its text in memory.
            given.room(text.len())?;
            given.steps(text.len())?;
            return serde_json::from_str(text).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                given.fault(format_args!("finds no JSON in the string (line {line}, column {column})"))
            });
        }
        Function::JsonPrint => given.value(0).to_string(),
        Function::Hash => {
            let text = given.value(0).as_str().map_or_else(|| given.value(0).to_string(), str::to_owned);
            given.steps(text.len() / 16)?;
            blake3::hash(text.as_bytes()).to_hex().to_string()
        }
        Function::Base64Encode => {
            let text = given.text(0)?;
            given.room(text.len().saturating_mul(2))?;
            encode(text.as_bytes())
        }
        _ => {
            let text = given.text(0)?;
            given.room(text.len())?;
            decode(text).ok_or_else(|| given.fault("finds no Base64 of UTF-8 in the string"))?
        }
    }))
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let bits = group.iter().chain([&0, &0]).take(3).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for place in 0..4 {
            let digit = ALPHABET.get((bits >> (18 - 6 * place) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = bytes.get(..bytes.len().checked_sub(padding).filter(|_| padding <= 2)?)?;
    let mut decoded = Vec::with_capacity(bytes.len());
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | u32::try_from(ALPHABET.iter().position(|digit| digit == byte)?).ok()?;
        }
        let count = group.len().checked_sub(1)?;
        bits <<= 6 * (4_usize.checked_sub(group.len())?);
        let [_, three @ ..] = bits.to_be_bytes();
        let (whole, rest) = three.split_at_checked(count)?;
        // The unused bits are zero, so that there is one text for each value.
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        decoded.extend_from_slice(whole);
    }
    String::from_utf8(decoded).ok()
}
