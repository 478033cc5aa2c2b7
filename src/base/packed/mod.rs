//! Packed data: a binary form of serde data in which names and shapes are defined once and then referred to.
//!
//! A [`Packer`] writes values and collects in its [`Dictionary`] the definitions that they need; the caller writes the
//! definitions in front of the values. A [`Reader`] reads the values with the [`Words`] that it has read before. Both grow from
//! one call to the next, so what is written later refers to what was defined earlier.
//!
//! The form is self-describing, as JSON is: fields and variants have names, so a reader skips fields that it does not know, and
//! a field that is left out when it is empty has its default. Each value begins with a byte:
//!
//! | byte | value |
//! |---|---|
//! | 00-7f | a number below 128 |
//! | 80-bf | a struct of shape 0 to 63: the values of its fields, in order |
//! | c0, c2, c3 | nothing, false, true |
//! | c1 | never written |
//! | c4 | a float: 8 bytes |
//! | c5, c6 | a negative number: -1 - number; a number with the highest bit: 2^63 + number |
//! | c7, c8 | a text, bytes: number of bytes, then the bytes |
//! | c9, ca | a list, a map: number of items, then the items, or keys and values in turn |
//! | cb, cc | a word, a struct: its number |
//! | d0-d7 | a number of 1 to 8 bytes, as short as possible |
//! | d8-ff | word 0 to 39 |
//!
//! A *shape* is the list of the field names of a struct, without those that are left out. A variant of an enum has a shape, too:
//! its name with the names of its fields, or with one unnamed value. A variant without content is a word. Numbers are
//! little-endian.
//!
//! Definitions are their number and one after the other:
//!
//! | bytes | definition |
//! |---|---|
//! | c7, number of bytes, UTF-8 | the next word |
//! | c9, number of words, words | the next shape: a struct with these fields |
//! | cc, word, number of words, words | the next shape: a variant with these fields |
//! | cb, word | the next shape: a variant with one value |

mod dictionary;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use dictionary::Dictionary;
pub(crate) use read::{Bytes, Reader, Words};
pub(crate) use write::Packer;
#[cfg(feature = "sealed")]
pub(crate) use write::put_number;

use core::fmt;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The limit on nesting, for writers and readers, the same as that of JSON.
const DEPTH: u8 = 128;
/// The most bytes of a word. A word is repeated in memory wherever it is referred to, so a long one would let few bytes occupy
/// much memory.
const WORD: usize = 64;

/// Numbers, shapes and words of one byte.
const SMALL: u8 = 0x80;
const SHAPES: u8 = 0x80;
const SHAPES_END: u8 = 0xbf;
const WORDS: u8 = 0xd8;

const NULL: u8 = 0xc0;
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;
const FLOAT: u8 = 0xc4;
const NEGATIVE: u8 = 0xc5;
const HIGH: u8 = 0xc6;
const TEXT: u8 = 0xc7;
const BYTES: u8 = 0xc8;
const LIST: u8 = 0xc9;
const MAP: u8 = 0xca;
const WORD_AT: u8 = 0xcb;
const SHAPE_AT: u8 = 0xcc;
/// A number of one byte; those of more follow.
const NUMBER: u8 = 0xd0;
const NUMBER_END: u8 = 0xd7;

/// The highest bit of a number.
const TOP: u64 = 1 << 63;

/// The reason why data cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error(Box<str>);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Error {}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self(reason.to_string().into())
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self(reason.to_string().into())
    }
}

/// These bytes, then a value with the definitions that it needs.
pub(crate) fn to_vec<T: Serialize>(front: &[u8], value: &T) -> Result<Vec<u8>, Error> {
    let (mut out, mut dictionary) = (front.to_vec(), Dictionary::default());
    value.serialize(&mut Packer::new(&mut out, &mut dictionary))?;
    dictionary.put_definitions(&mut out, front.len());
    Ok(out)
}

/// Reads what [`to_vec`] has written, without the bytes in front.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let (mut bytes, mut words) = (Bytes(bytes), Words::default());
    words.define(&mut bytes)?;
    let mut reader = Reader::new(bytes, &words);
    let value = T::deserialize(&mut reader)?;
    if reader.rest().0.is_empty() { Ok(value) } else { Err(wrong("bytes remain after the value")) }
}

#[cold]
fn wrong(reason: &str) -> Error {
    Error(reason.into())
}
