//! Reading values.

use super::{
    BYTES, DEPTH, Error, FALSE, FLOAT, HIGH, LIST, MAP, NEGATIVE, NULL, NUMBER, NUMBER_END, SHAPE_AT, SHAPES,
    SHAPES_END, SMALL, TEXT, TOP, TRUE, WORD, WORD_AT, WORDS, wrong,
};
use crate::base::payload::OPEN;
use core::ops::Range;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Reads from the front of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number in its shortest form.
    pub(crate) fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ ..SMALL => Some(small.into()),
            tag => self.long_number(tag),
        }
    }

    fn long_number(&mut self, tag: u8) -> Option<u64> {
        let len = usize::from(tag.checked_sub(NUMBER)?) + 1;
        let unused = u32::try_from(64_usize.checked_sub(len * 8)?).ok()?;
        let number = if let Some(eight) = self.0.first_chunk::<8>() {
            self.0 = self.0.get(len..)?;
            u64::from_le_bytes(*eight) & (u64::MAX >> unused)
        } else {
            let mut eight = [0; 8];
            eight.get_mut(..len)?.copy_from_slice(self.take(len)?);
            u64::from_le_bytes(eight)
        };
        // Another form would be shorter.
        let least = if len == 1 { u64::from(SMALL) } else { 1 << (8 * (len - 1)) };
        (number >= least).then_some(number)
    }

    /// Bytes after their number.
    fn run(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.take(len)
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        let bytes = self.run().ok_or_else(cut)?;
        core::str::from_utf8(bytes).map_err(|_| wrong("a text is not UTF-8"))
    }
}

#[cold]
fn cut() -> Error {
    wrong("the data is cut short or has a number that is not as short as possible")
}

/// The words and shapes that a reader knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words<'a> {
    words: Vec<&'a str>,
    shapes: Vec<Shape<'a>>,
    /// The names of the fields of all shapes.
    names: Vec<&'a str>,
}

#[derive(Debug, Clone)]
struct Shape<'a> {
    variant: Option<&'a str>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    One,
    /// Fields: a range of the names.
    Fields(Range<usize>),
}

impl<'a> Words<'a> {
    #[cfg(feature = "sealed")]
    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.shapes.clear();
        self.names.clear();
    }

    /// Reads definitions.
    pub(crate) fn define(&mut self, bytes: &mut Bytes<'a>) -> Result<(), Error> {
        for _ in 0..bytes.number().ok_or_else(cut)? {
            match bytes.byte().ok_or_else(cut)? {
                TEXT => {
                    let word = bytes.text()?;
                    if word.len() > WORD {
                        return Err(wrong("a word is too long"));
                    }
                    self.words.push(word);
                }
                LIST => self.define_shape(None, bytes)?,
                SHAPE_AT => {
                    let variant = self.word(bytes)?;
                    self.define_shape(Some(variant), bytes)?;
                }
                WORD_AT => {
                    let variant = self.word(bytes)?;
                    self.shapes.push(Shape { variant: Some(variant), body: Body::One });
                }
                _ => return Err(wrong("a definition is of an unknown kind")),
            }
        }
        Ok(())
    }

    fn define_shape(&mut self, variant: Option<&'a str>, bytes: &mut Bytes<'a>) -> Result<(), Error> {
        let begin = self.names.len();
        for _ in 0..bytes.number().ok_or_else(cut)? {
            let name = self.word(bytes)?;
            self.names.push(name);
        }
        self.shapes.push(Shape { variant, body: Body::Fields(begin..self.names.len()) });
        Ok(())
    }

    fn word(&self, bytes: &mut Bytes<'a>) -> Result<&'a str, Error> {
        self.word_at(bytes.number().ok_or_else(cut)?)
    }

    fn word_at(&self, id: u64) -> Result<&'a str, Error> {
        let word = usize::try_from(id).ok().and_then(|id| self.words.get(id));
        word.copied().ok_or_else(|| wrong("a word is not defined"))
    }

    fn shape_at(&self, id: u64) -> Result<Token<'a, '_>, Error> {
        let shape = usize::try_from(id).ok().and_then(|id| self.shapes.get(id));
        let shape = shape.ok_or_else(|| wrong("a shape is not defined"))?;
        let fields = match &shape.body {
            Body::One => None,
            Body::Fields(range) => Some(self.names.get(range.clone()).unwrap_or_default()),
        };
        Ok(match (shape.variant, fields) {
            (None, fields) => Token::Struct(fields.unwrap_or_default()),
            (Some(name), Some(fields)) => Token::Variant(name, Content::Fields(fields)),
            (Some(name), None) => Token::Variant(name, Content::One),
        })
    }
}

/// The beginning of a value.
enum Token<'a, 'w> {
    Null,
    Bool(bool),
    Number(u64),
    /// -1 - number.
    Negative(u64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    List(u64),
    Map(u64),
    Struct(&'w [&'a str]),
    Variant(&'a str, Content<'a, 'w>),
}

/// What follows the name of a variant.
#[derive(Clone, Copy)]
enum Content<'a, 'w> {
    One,
    Fields(&'w [&'a str]),
}

/// Reads values after each other.
#[derive(Debug)]
pub(crate) struct Reader<'a, 'w> {
    bytes: Bytes<'a>,
    words: &'w Words<'a>,
    depth: u8,
    open: bool,
}

impl<'a, 'w> Reader<'a, 'w> {
    pub(crate) const fn new(bytes: Bytes<'a>, words: &'w Words<'a>) -> Self {
        Self { bytes, words, depth: 0, open: false }
    }

    /// What has not been read.
    pub(crate) const fn rest(&mut self) -> &mut Bytes<'a> {
        &mut self.bytes
    }

    fn token(&mut self) -> Result<Token<'a, 'w>, Error> {
        let tag = self.bytes.byte().ok_or_else(cut)?;
        Ok(match tag {
            ..SMALL => Token::Number(tag.into()),
            SHAPES..=SHAPES_END => self.words.shape_at((tag - SHAPES).into())?,
            WORDS.. => Token::Text(self.words.word_at((tag - WORDS).into())?),
            NUMBER..=NUMBER_END => Token::Number(self.bytes.long_number(tag).ok_or_else(cut)?),
            NULL => Token::Null,
            FALSE => Token::Bool(false),
            TRUE => Token::Bool(true),
            TEXT => Token::Text(self.bytes.text()?),
            WORD_AT => Token::Text(self.words.word(&mut self.bytes)?),
            SHAPE_AT => self.words.shape_at(self.number()?)?,
            LIST => Token::List(self.number()?),
            MAP => Token::Map(self.number()?),
            HIGH => Token::Number(self.number()? | TOP),
            NEGATIVE => Token::Negative(self.number()?),
            FLOAT => {
                let bytes = self.bytes.take(8).and_then(|bytes| bytes.try_into().ok());
                Token::Float(f64::from_le_bytes(bytes.ok_or_else(cut)?))
            }
            BYTES => Token::Bytes(self.bytes.run().ok_or_else(cut)?),
            _ => return Err(wrong("a value is of an unknown kind")),
        })
    }

    fn number(&mut self) -> Result<u64, Error> {
        self.bytes.number().ok_or_else(cut)
    }

    /// Skips a value.
    fn skip(&mut self) -> Result<(), Error> {
        let mut left = 1_u64;
        while left > 0 {
            let more = match self.token()? {
                Token::List(count) => count,
                Token::Map(count) => count.saturating_mul(2),
                Token::Struct(fields) | Token::Variant(_, Content::Fields(fields)) => fields.len() as u64,
                Token::Variant(_, Content::One) => 1,
                Token::Null
                | Token::Bool(_)
                | Token::Number(_)
                | Token::Negative(_)
                | Token::Float(_)
                | Token::Text(_)
                | Token::Bytes(_) => 0,
            };
            left = (left - 1).saturating_add(more);
        }
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEPTH { Err(wrong("the data is nested too deeply")) } else { Ok(()) }
    }

    const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn fields<V: Visitor<'a>>(&mut self, names: &'w [&'a str], visitor: V) -> Result<V::Value, Error> {
        self.enter()?;
        let mut fields = Fields { reader: self, names };
        let value = visitor.visit_map(&mut fields)?;
        if !fields.names.is_empty() {
            return Err(wrong("fields remain"));
        }
        self.leave();
        Ok(value)
    }

    fn list<V: Visitor<'a>>(&mut self, count: u64, visitor: V) -> Result<V::Value, Error> {
        self.enter()?;
        let mut items = Items { reader: self, count };
        let value = visitor.visit_seq(&mut items)?;
        if items.count != 0 {
            return Err(wrong("items remain"));
        }
        self.leave();
        Ok(value)
    }

    fn map<V: Visitor<'a>>(&mut self, count: u64, visitor: V) -> Result<V::Value, Error> {
        self.enter()?;
        let mut items = Items { reader: self, count };
        let value = visitor.visit_map(&mut items)?;
        if items.count != 0 {
            return Err(wrong("items remain"));
        }
        self.leave();
        Ok(value)
    }

    fn visit<V: Visitor<'a>>(&mut self, token: Token<'a, 'w>, visitor: V) -> Result<V::Value, Error> {
        match token {
            Token::Null => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Number(value) => visitor.visit_u64(value),
            Token::Negative(value) => match i64::try_from(value) {
                Ok(value) => visitor.visit_i64(!value),
                Err(_) => Err(wrong("a negative number is too large")),
            },
            Token::Float(value) => visitor.visit_f64(value),
            Token::Text(value) => visitor.visit_borrowed_str(value),
            Token::Bytes(value) => visitor.visit_borrowed_bytes(value),
            Token::List(count) => self.list(count, visitor),
            Token::Map(count) => self.map(count, visitor),
            Token::Struct(names) => self.fields(names, visitor),
            Token::Variant(name, content) => {
                self.enter()?;
                let value = visitor.visit_map(Single { reader: self, name: Some(name), content })?;
                self.leave();
                Ok(value)
            }
        }
    }
}

impl<'a> Deserializer<'a> for &mut Reader<'a, '_> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        self.open
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        let token = self.token()?;
        self.visit(token, visitor)
    }

    fn deserialize_u64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut bytes = self.bytes;
        let Some(number) = bytes.number() else { return self.deserialize_any(visitor) };
        self.bytes = bytes;
        visitor.visit_u64(number)
    }

    fn deserialize_u32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some((&NULL, rest)) = self.bytes.0.split_first() {
            self.bytes.0 = rest;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        let before = self.open;
        self.open |= name == OPEN;
        let value = visitor.visit_newtype_struct(&mut *self)?;
        self.open = before;
        Ok(value)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.enter()?;
        let value = match self.token()? {
            Token::Variant(name, content) => visitor.visit_enum(Variant { reader: self, name, content: Some(content) }),
            Token::Text(name) => visitor.visit_enum(Variant { reader: self, name, content: None }),
            Token::Null
            | Token::Bool(_)
            | Token::Number(_)
            | Token::Negative(_)
            | Token::Float(_)
            | Token::Bytes(_)
            | Token::List(_)
            | Token::Map(_)
            | Token::Struct(_) => Err(wrong("a variant was expected")),
        }?;
        self.leave();
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 u8 u16 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier
    }
}

/// The fields of a struct.
struct Fields<'r, 'a, 'w> {
    reader: &'r mut Reader<'a, 'w>,
    names: &'w [&'a str],
}

impl<'a> MapAccess<'a> for Fields<'_, 'a, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((name, rest)) = self.names.split_first() else { return Ok(None) };
        self.names = rest;
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.names.len())
    }
}

/// The items of a list, or the keys and values of a map.
struct Items<'r, 'a, 'w> {
    reader: &'r mut Reader<'a, 'w>,
    count: u64,
}

impl Items<'_, '_, '_> {
    /// Each item has at least one byte, so a wrong number does not cause a large allocation.
    fn bound(&self) -> Option<usize> {
        usize::try_from(self.count).ok().map(|count| count.min(self.reader.bytes.0.len()))
    }
}

impl<'a> SeqAccess<'a> for Items<'_, 'a, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.count.checked_sub(1) else { return Ok(None) };
        self.count = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.bound()
    }
}

impl<'a> MapAccess<'a> for Items<'_, 'a, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        self.bound()
    }
}

/// A variant of an enum.
struct Variant<'r, 'a, 'w> {
    reader: &'r mut Reader<'a, 'w>,
    name: &'a str,
    /// None: the variant has no content.
    content: Option<Content<'a, 'w>>,
}

impl<'a> EnumAccess<'a> for Variant<'_, 'a, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = seed.deserialize(BorrowedStrDeserializer::<Error>::new(self.name))?;
        Ok((name, self))
    }
}

impl<'a> VariantAccess<'a> for Variant<'_, 'a, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Error::custom(format_args!("`{}` has no content", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Error> {
        match self.content {
            Some(Content::One) => seed.deserialize(self.reader),
            None | Some(Content::Fields(_)) => Err(Error::custom(format_args!("`{}` has one value", self.name))),
        }
    }

    fn tuple_variant<V: Visitor<'a>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        match self.content {
            Some(Content::One) => self.reader.deserialize_any(visitor),
            None | Some(Content::Fields(_)) => Err(Error::custom(format_args!("`{}` has a list", self.name))),
        }
    }

    fn struct_variant<V: Visitor<'a>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match self.content {
            Some(Content::Fields(names)) => self.reader.fields(names, visitor),
            None | Some(Content::One) => Err(Error::custom(format_args!("`{}` has fields", self.name))),
        }
    }
}

/// A variant as a map with one key, for readers that do not expect an enum.
struct Single<'r, 'a, 'w> {
    reader: &'r mut Reader<'a, 'w>,
    name: Option<&'a str>,
    content: Content<'a, 'w>,
}

impl<'a> MapAccess<'a> for Single<'_, 'a, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.name.take().map(|name| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.content {
            Content::One => seed.deserialize(&mut *self.reader),
            Content::Fields(names) => seed.deserialize(Named { reader: self.reader, names }),
        }
    }
}

/// Fields whose shape has been read.
struct Named<'r, 'a, 'w> {
    reader: &'r mut Reader<'a, 'w>,
    names: &'w [&'a str],
}

impl<'a> Deserializer<'a> for Named<'_, 'a, '_> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        self.reader.open
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.reader.fields(self.names, visitor)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
