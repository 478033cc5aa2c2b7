use super::write::put_number;
use super::*;
use crate::base::payload::Payload;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Values with the definitions that they need; some were written before with the same dictionary.
fn packed<T: Serialize>(dictionary: &mut Dictionary, values: &[T]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for value in values {
        value.serialize(&mut Packer::new(&mut out, dictionary))?;
    }
    dictionary.put_definitions(&mut out, 0);
    Ok(out)
}

fn read<'a, T: DeserializeOwned>(words: &mut Words<'a>, bytes: &'a [u8], count: usize) -> Result<Vec<T>, Error> {
    let mut bytes = Bytes(bytes);
    words.define(&mut bytes)?;
    let mut reader = Reader::new(bytes, words);
    let values = (0..count).map(|_| T::deserialize(&mut reader)).collect::<Result<_, _>>()?;
    if reader.rest().0.is_empty() { Ok(values) } else { Err(wrong("bytes remain")) }
}

/// What is read is what was written, and written again it has the same bytes.
fn same<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(values: &[T]) {
    let bytes = packed(&mut Dictionary::default(), values).unwrap();
    let back: Vec<T> = read(&mut Words::default(), &bytes, values.len()).unwrap();
    assert_eq!(back, values);
    assert_eq!(packed(&mut Dictionary::default(), &back).unwrap(), bytes);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    One(u64),
    Two(i8, String),
    Named {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maybe: Option<Box<Self>>,
        number: i64,
    },
    Inner(Inner),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    float: f64,
    letter: char,
    list: Vec<(u16, bool)>,
    map: BTreeMap<u64, String>,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    payload: Payload,
    unit: (),
    none: Option<u8>,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{0,3}", "[a-z]{60,70}", any::<String>()]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0_u32..64, 0_u64..3).prop_map(|(shift, less)| (1_u64 << shift).wrapping_sub(less)),
        Just(u64::MAX)
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other floats", |float| float.is_finite()).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn inner() -> impl Strategy<Value = Inner> {
    let list = prop::collection::vec(any::<(u16, bool)>(), 0..200);
    let map = prop::collection::btree_map(number(), text(), 0..5);
    let float = any::<f64>().prop_filter("equal to itself", |float| !float.is_nan());
    let parts = (float, any::<char>(), list, map, json(), any::<Option<u8>>());
    parts.prop_map(|(float, letter, list, map, value, none)| {
        let payload = Payload::new(value);
        Inner { float, letter, list, map, payload, unit: (), none }
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        Just(Kind::Unit),
        number().prop_map(Kind::One),
        (any::<i8>(), text()).prop_map(|(number, text)| Kind::Two(number, text)),
        prop_oneof![any::<i64>(), Just(i64::MIN)].prop_map(|number| Kind::Named { maybe: None, number }),
        inner().prop_map(Kind::Inner),
    ];
    leaf.prop_recursive(3, 4, 1, |kind| {
        (kind, any::<i64>()).prop_map(|(kind, number)| Kind::Named { maybe: Some(Box::new(kind)), number })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(kind(), 1..12), cut in 0_usize..12) {
        same(&values);
        // In two parts, of which the second refers to definitions of the first.
        let (one, two) = values.split_at(cut.min(values.len()));
        let mut dictionary = Dictionary::default();
        let first = packed(&mut dictionary, one).unwrap();
        let second = packed(&mut dictionary, two).unwrap();
        let mut words = Words::default();
        prop_assert_eq!(&read::<Kind>(&mut words, &first, one.len()).unwrap(), one);
        prop_assert_eq!(&read::<Kind>(&mut words, &second, two.len()).unwrap(), two);
    }

    /// A reader that knows no field skips all of them.
    #[test]
    fn unknown_fields_are_skipped(kind in kind(), after in any::<u64>()) {
        #[derive(Serialize)]
        struct Later { before: Kind, seq: u64, kind: Kind }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Known { seq: u64, #[serde(default)] missing: Option<u8> }
        let later = Later { before: kind.clone(), seq: after, kind };
        let bytes = packed(&mut Dictionary::default(), &[later]).unwrap();
        let known: Vec<Known> = read(&mut Words::default(), &bytes, 1).unwrap();
        prop_assert_eq!(known, vec![Known { seq: after, missing: None }]);
    }

    #[test]
    fn a_withdrawn_value_leaves_no_trace(values in prop::collection::vec(kind(), 2..6)) {
        let (first, rest) = values.split_at(1);
        let mut dictionary = Dictionary::default();
        let mut out = Vec::new();
        first[0].serialize(&mut Packer::new(&mut out, &mut dictionary)).unwrap();
        let (len, mark) = (out.len(), dictionary.mark());
        for value in rest {
            value.serialize(&mut Packer::new(&mut out, &mut dictionary)).unwrap();
        }
        out.truncate(len);
        dictionary.undo(mark);
        dictionary.put_definitions(&mut out, 0);
        prop_assert_eq!(out, packed(&mut Dictionary::default(), first).unwrap());
        // It is complete: the same names are defined again.
        let again = packed(&mut dictionary, &values).unwrap();
        let mut words = Words::default();
        let bytes = packed(&mut Dictionary::default(), first).unwrap();
        read::<Kind>(&mut words, &bytes, 1).unwrap();
        prop_assert_eq!(read::<Kind>(&mut words, &again, values.len()).unwrap(), values);
    }

    /// Whatever the bytes are, a reader returns.
    #[test]
    fn hostile_bytes_are_errors(
        kind in kind(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = packed(&mut Dictionary::default(), &[kind]).unwrap();
        let _ = read::<Kind>(&mut Words::default(), &bytes[..cut.index(bytes.len())], 1).is_err();
        for (at, with) in flips {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        let _ = read::<Kind>(&mut Words::default(), &bytes, 1);
        let _ = read::<Value>(&mut Words::default(), &bytes, 1);
        let _ = read::<serde::de::IgnoredAny>(&mut Words::default(), &noise, 1);
        let _ = read::<Kind>(&mut Words::default(), &noise, 1);
    }

    #[test]
    fn a_cut_value_is_an_error(kind in kind(), cut in any::<prop::sample::Index>()) {
        let bytes = packed(&mut Dictionary::default(), &[kind]).unwrap();
        prop_assert!(read::<Kind>(&mut Words::default(), &bytes[..cut.index(bytes.len())], 1).is_err());
    }
}

#[test]
fn numbers_have_one_form() {
    for number in [0, 1, 127, 128, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 62, TOP, u64::MAX] {
        let mut out = Vec::new();
        put_number(&mut out, number);
        let mut bytes = Bytes(&out);
        assert_eq!((bytes.number(), bytes.0.len()), (Some(number), 0));
        // Followed by other bytes.
        out.extend_from_slice(&[0xff; 9]);
        let mut bytes = Bytes(&out);
        assert_eq!((bytes.number(), bytes.0.len()), (Some(number), 9));
    }
    for longer in [&[NUMBER, 127][..], &[NUMBER + 1, 255, 0], &[NUMBER_END, 1, 0, 0, 0, 0, 0, 0, 0], &[NUMBER_END, 1]] {
        assert_eq!(Bytes(longer).number(), None, "{longer:?}");
    }
}

#[test]
fn names_are_written_once() {
    let kind = Kind::Named { maybe: Some(Box::new(Kind::Unit)), number: 5 };
    let mut dictionary = Dictionary::default();
    packed(&mut dictionary, std::slice::from_ref(&kind)).unwrap();
    // No definitions; the shape, the word, the number.
    assert_eq!(packed(&mut dictionary, &[kind]).unwrap(), [0, SHAPES, WORDS, 5]);
}

#[test]
fn texts_that_repeat_become_words() {
    let mut dictionary = Dictionary::default();
    let sizes = [0; 4].map(|_| packed(&mut dictionary, &["translate"]).unwrap().len());
    assert_eq!(sizes, [12, 13, 2, 2]);
    let long = "x".repeat(WORD + 1);
    let sizes = [0; 3].map(|_| packed(&mut dictionary, &[&long]).unwrap().len());
    assert_eq!(sizes, [WORD + 4; 3]);
}

/// More words, shapes and items than have numbers of one byte, and more texts than become words.
#[test]
fn large_numbers_of_everything_are_read() {
    let texts: Vec<String> = (0..6_000).map(|number| format!("text {}", number / 2 % 2_500)).collect();
    let more: Vec<String> = (0..12_000).map(|number| format!("more {}", number / 2)).collect();
    same(&[texts.clone(), more, texts]);
    same(&[vec![Kind::Unit; 70_000]]);
}

#[test]
fn dictionaries_are_bounded() {
    let mut dictionary = Dictionary::default();
    assert!(!dictionary.is_full());
    for number in 0..10_000 {
        let text = number.to_string();
        packed(&mut dictionary, &[&text, &text]).unwrap();
    }
    assert!(dictionary.is_full());
    assert_eq!(packed(&mut dictionary, &["9999"]).unwrap().len(), 1 + 2 + 4);
}

#[test]
fn nesting_is_bounded_for_both() {
    let nested = |levels: usize| (0..levels).fold(Value::from(1), |value, _| Value::from(vec![value]));
    same(&[Payload::new(nested(usize::from(DEPTH)))]);
    let deeper = Payload::new(nested(usize::from(DEPTH) + 1));
    assert!(packed(&mut Dictionary::default(), &[deeper]).is_err());
    let mut bytes = vec![0];
    for _ in 0..100_000 {
        bytes.extend_from_slice(&[LIST, 1]);
    }
    bytes.push(NULL);
    assert!(read::<Payload>(&mut Words::default(), &bytes, 1).is_err());
    // Skipping needs no stack.
    assert!(read::<serde::de::IgnoredAny>(&mut Words::default(), &bytes, 1).is_ok());
}

#[test]
fn wrong_data_is_an_error() {
    fn reason<T: DeserializeOwned>(bytes: &[u8]) -> String {
        read::<T>(&mut Words::default(), bytes, 1).map(|_| ()).unwrap_err().to_string()
    }
    let most = [NUMBER_END, 255, 255, 255, 255, 255, 255, 255, 127];
    let claims = |tag: u8| [&[0, tag][..], &most].concat();
    for tag in [LIST, MAP, TEXT, BYTES] {
        assert!(reason::<Vec<u64>>(&claims(tag)).contains("cut short") || tag == MAP);
        assert!(reason::<Value>(&claims(tag)).contains("cut short"));
        assert!(reason::<serde::de::IgnoredAny>(&claims(tag)).contains("cut short"));
    }
    assert!(reason::<Value>(&[0, WORDS]).contains("word is not defined"));
    assert!(reason::<Value>(&[0, SHAPES + 3]).contains("shape is not defined"));
    assert!(reason::<Value>(&[0, 0xc1]).contains("unknown kind"));
    assert!(reason::<Value>(&[1, MAP]).contains("unknown kind"));
    assert!(reason::<Value>(&[1, LIST, 1, 0]).contains("not defined"));
    assert!(reason::<String>(&[0, TEXT, 1, 0xff]).contains("UTF-8"));
    assert!(reason::<i64>(&[&[0, NEGATIVE, HIGH][..], &most].concat()).contains("cut short"));
    let long = [&[1, TEXT, u8::try_from(WORD).unwrap() + 1][..], &[b'x'; WORD + 1], &[NULL]].concat();
    assert!(reason::<()>(&long).contains("too long"));
    // A tuple of two from a list of three.
    assert!(reason::<(u8, u8)>(&[0, LIST, 3, 1, 2, 3]).contains("items remain"));
    assert!(reason::<u8>(&[0, NUMBER + 1, 0, 1]).contains("256"));
    // A variant that the reader does not know, and known ones with other content.
    let of = |kind: &[u8]| [kind, &[LIST, 0]].concat();
    let unknown = [&[2, TEXT, 4][..], b"Late", &[WORD_AT, 0]].concat();
    assert!(reason::<Kind>(&[&unknown[..], &[SHAPES, 1]].concat()).contains("`Late`"));
    assert!(reason::<Kind>(&of(&[0])).contains("variant"));
    let unit = [&[2, TEXT, 4][..], b"Unit", &[WORD_AT, 0]].concat();
    assert!(reason::<Kind>(&[&unit[..], &[SHAPES, 1]].concat()).contains("no content"));
}
