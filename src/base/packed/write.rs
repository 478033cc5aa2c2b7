//! Writing values.

use super::{
    BYTES, DEPTH, Dictionary, Error, FALSE, FLOAT, HIGH, LIST, MAP, NEGATIVE, NULL, NUMBER, SHAPE_AT, SHAPES,
    SHAPES_END, SMALL, TEXT, TOP, TRUE, WORD_AT, WORDS, wrong,
};
use crate::base::payload::OPEN;
use core::fmt::Display;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Writes a number in its shortest form.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(small) if small < SMALL => out.push(small),
        Ok(_) | Err(_) => {
            let bytes = number.to_le_bytes();
            let len = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
            out.push(NUMBER.saturating_add(u8::try_from(len - 1).unwrap_or_default()));
            out.extend_from_slice(bytes.get(..len).unwrap_or_default());
        }
    }
}

/// Writes a reference to one of a kind that has some references of one byte.
fn put_reference(out: &mut Vec<u8>, id: u32, (first, last): (u8, u8), tag: u8) {
    match u8::try_from(id).ok().and_then(|id| first.checked_add(id)).filter(|short| *short <= last) {
        Some(short) => out.push(short),
        None => {
            out.push(tag);
            put_number(out, id.into());
        }
    }
}

fn put_shape(out: &mut Vec<u8>, id: u32) {
    put_reference(out, id, (SHAPES, SHAPES_END), SHAPE_AT);
}

/// Replaces the byte at `at`, which was written when it was not yet known.
fn replace(out: &mut Vec<u8>, at: usize, put: impl FnOnce(&mut Vec<u8>)) {
    let end = out.len();
    put(out);
    match (out.len() - end, out.last().copied()) {
        (1, Some(byte)) => {
            out.truncate(end);
            if let Some(place) = out.get_mut(at) {
                *place = byte;
            }
        }
        (more, _) => {
            if let Some(tail) = out.get_mut(at..) {
                tail.rotate_right(more);
            }
            // The byte that was replaced.
            let place = at.saturating_add(more);
            if place < out.len() {
                out.remove(place);
            }
        }
    }
}

/// Writes values after each other.
#[derive(Debug)]
pub(crate) struct Packer<'a> {
    out: &'a mut Vec<u8>,
    dictionary: &'a mut Dictionary,
    depth: u8,
    open: bool,
}

impl<'a> Packer<'a> {
    pub(crate) const fn new(out: &'a mut Vec<u8>, dictionary: &'a mut Dictionary) -> Self {
        Self { out, dictionary, depth: 0, open: false }
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEPTH { Err(wrong("the data is nested too deeply")) } else { Ok(()) }
    }

    const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn items(&mut self, tag: u8) -> Result<Items<'_, 'a>, Error> {
        self.enter()?;
        self.out.push(tag);
        let at = self.out.len();
        self.out.push(0);
        Ok(Items { packer: self, at, count: 0 })
    }

    fn fields(&mut self, variant: Option<&'static str>) -> Result<Fields<'_, 'a>, Error> {
        self.enter()?;
        let at = self.out.len();
        self.out.push(NULL);
        let base = self.dictionary.names.len();
        Ok(Fields { packer: self, at, base, variant })
    }

    fn put_single(&mut self, variant: &'static str) -> Result<(), Error> {
        let id = self.dictionary.single(variant)?;
        put_shape(self.out, id);
        Ok(())
    }

    fn put_word(&mut self, id: u32) {
        put_reference(self.out, id, (WORDS, u8::MAX), WORD_AT);
    }
}

impl<'p, 'a> Serializer for &'p mut Packer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'p, 'a>;
    type SerializeTuple = Items<'p, 'a>;
    type SerializeTupleStruct = Items<'p, 'a>;
    type SerializeTupleVariant = Items<'p, 'a>;
    type SerializeMap = Items<'p, 'a>;
    type SerializeStruct = Fields<'p, 'a>;
    type SerializeStructVariant = Fields<'p, 'a>;

    fn is_human_readable(&self) -> bool {
        self.open
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.push(if value { TRUE } else { FALSE });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        if value < 0 {
            self.out.push(NEGATIVE);
            // -1 - value, without overflow.
            put_number(self.out, (!value).unsigned_abs());
            return Ok(());
        }
        self.serialize_u64(value.unsigned_abs())
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        // Ids that the engine makes have the highest bit, and are small otherwise.
        if value & TOP != 0 {
            self.out.push(HIGH);
        }
        put_number(self.out, value & !TOP);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.out.push(FLOAT);
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        if let Some(id) = self.dictionary.text(value) {
            self.put_word(id);
            return Ok(());
        }
        self.out.push(TEXT);
        put_number(self.out, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.out.push(BYTES);
        put_number(self.out, value.len() as u64);
        self.out.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.push(NULL);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), Error> {
        let id = self.dictionary.name(variant)?;
        self.put_word(id);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Error> {
        let before = self.open;
        self.open |= name == OPEN;
        value.serialize(&mut *self)?;
        self.open = before;
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.enter()?;
        self.put_single(variant)?;
        value.serialize(&mut *self)?;
        self.leave();
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Items<'p, 'a>, Error> {
        self.items(LIST)
    }

    fn serialize_tuple(self, _len: usize) -> Result<Items<'p, 'a>, Error> {
        self.items(LIST)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Items<'p, 'a>, Error> {
        self.items(LIST)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items<'p, 'a>, Error> {
        self.put_single(variant)?;
        self.items(LIST)
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Items<'p, 'a>, Error> {
        self.items(MAP)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Fields<'p, 'a>, Error> {
        self.fields(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Fields<'p, 'a>, Error> {
        self.fields(Some(variant))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.serialize_str(&value.to_string())
    }
}

/// A list or map whose number of items is written at its end.
#[derive(Debug)]
pub(crate) struct Items<'p, 'a> {
    packer: &'p mut Packer<'a>,
    at: usize,
    count: u64,
}

impl Items<'_, '_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.count = self.count.saturating_add(1);
        value.serialize(&mut *self.packer)
    }

    fn close(self) -> Result<(), Error> {
        self.packer.leave();
        replace(self.packer.out, self.at, |out| put_number(out, self.count));
        Ok(())
    }
}

impl SerializeSeq for Items<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTuple for Items<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTupleStruct for Items<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTupleVariant for Items<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeMap for Items<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.packer)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

/// A struct or variant whose shape is written at its end, when its fields are known.
#[derive(Debug)]
pub(crate) struct Fields<'p, 'a> {
    packer: &'p mut Packer<'a>,
    at: usize,
    base: usize,
    variant: Option<&'static str>,
}

impl Fields<'_, '_> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.packer.dictionary.names.push(name);
        value.serialize(&mut *self.packer)
    }

    fn close(self) -> Result<(), Error> {
        self.packer.leave();
        let id = self.packer.dictionary.fields(self.variant, self.base)?;
        replace(self.packer.out, self.at, |out| put_shape(out, id));
        Ok(())
    }
}

impl SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeStructVariant for Fields<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}
