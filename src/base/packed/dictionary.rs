//! The definitions of a writer.

use super::write::put_number;
use super::{Error, LIST, SHAPE_AT, TEXT, WORD, WORD_AT, wrong};
use crate::base::id::stable_hash;
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};

/// From this number of words on, texts that repeat define no more.
const MOST: usize = 4_096;
/// The number of texts that are remembered until they repeat.
const SEEN: usize = 1_024;

/// Words and shapes that a writer has defined, and the definitions that are not yet written.
///
/// The names of fields and variants are always words. A short text becomes a word when it occurs for the second time, as far as
/// the writer remembers, so that texts that never repeat define nothing. What a text becomes depends on the texts before it
/// alone, so equal data has equal bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dictionary {
    words: Vec<Box<str>>,
    word_index: HashTable<u32>,
    shapes: Vec<Shape>,
    shape_index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Hashes of texts that occurred once, each at a place that its hash determines.
    seen: Vec<u64>,
    definitions: Vec<u8>,
    defined: u64,
    /// The names of the fields of the structs that are being written.
    pub(super) names: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Shape {
    variant: Option<&'static str>,
    /// None: one value without a name.
    fields: Option<Box<[&'static str]>>,
}

/// A state of a dictionary, to return to.
#[cfg(any(feature = "sealed", test))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    words: usize,
    shapes: usize,
    definitions: usize,
    defined: u64,
}

impl Dictionary {
    /// Whether it has as many words as it takes: time to begin another.
    pub(crate) fn is_full(&self) -> bool {
        self.words.len() >= MOST
    }

    /// The size of the definitions that are not yet written.
    pub(crate) fn size(&self) -> usize {
        self.definitions.len().saturating_add(9)
    }

    /// Writes the new definitions at `at`, in front of the values that need them.
    pub(crate) fn put_definitions(&mut self, out: &mut Vec<u8>, at: usize) {
        let mut front = Vec::with_capacity(self.size());
        put_number(&mut front, self.defined);
        front.append(&mut self.definitions);
        self.defined = 0;
        let at = at.min(out.len());
        out.splice(at..at, front);
    }

    /// The state to which [`undo`](Self::undo) returns.
    #[cfg(any(feature = "sealed", test))]
    pub(crate) const fn mark(&self) -> Mark {
        Mark {
            words: self.words.len(),
            shapes: self.shapes.len(),
            definitions: self.definitions.len(),
            defined: self.defined,
        }
    }

    /// Withdraws the definitions since `mark`, which are not yet written.
    #[cfg(any(feature = "sealed", test))]
    pub(crate) fn undo(&mut self, mark: Mark) {
        while self.words.len() > mark.words {
            let Some(word) = self.words.pop() else { break };
            let last = self.words.len();
            let hash = self.hasher.hash_one(&*word);
            if let Ok(found) = self.word_index.find_entry(hash, |id| *id as usize == last) {
                found.remove();
            }
        }
        while self.shapes.len() > mark.shapes {
            let Some(shape) = self.shapes.pop() else { break };
            let last = self.shapes.len();
            let hash = self.hasher.hash_one((shape.variant, shape.fields.as_deref()));
            if let Ok(found) = self.shape_index.find_entry(hash, |id| *id as usize == last) {
                found.remove();
            }
        }
        self.definitions.truncate(mark.definitions);
        self.defined = mark.defined;
        self.names.clear();
    }

    /// The number of the word for a text, if it is one or becomes one.
    pub(super) fn text(&mut self, text: &str) -> Option<u32> {
        if text.is_empty() || text.len() > WORD {
            return None;
        }
        let hash = self.hasher.hash_one(text);
        if let Some(id) = self.find_word(hash, text) {
            return Some(id);
        }
        if self.is_full() {
            return None;
        }
        // This hash is the same in every process, so the bytes are, too.
        let stable = stable_hash(text.as_bytes());
        if self.seen.is_empty() {
            self.seen.resize(SEEN, 0);
        }
        let place = usize::try_from(stable % SEEN as u64).ok().and_then(|place| self.seen.get_mut(place))?;
        if *place == stable {
            return self.define_word(hash, text);
        }
        *place = stable;
        None
    }

    /// The number of the word for the name of a field or variant.
    pub(super) fn name(&mut self, name: &'static str) -> Result<u32, Error> {
        if name.len() > WORD {
            return Err(wrong("the name of a field or variant is too long"));
        }
        let hash = self.hasher.hash_one(name);
        let id = self.find_word(hash, name).or_else(|| self.define_word(hash, name));
        id.ok_or_else(|| wrong("there are too many names"))
    }

    fn find_word(&self, hash: u64, text: &str) -> Option<u32> {
        let is = |id: &u32| self.words.get(*id as usize).is_some_and(|word| &**word == text);
        self.word_index.find(hash, is).copied()
    }

    fn define_word(&mut self, hash: u64, text: &str) -> Option<u32> {
        let id = u32::try_from(self.words.len()).ok()?;
        self.words.push(text.into());
        let Self { word_index, words, hasher, .. } = self;
        word_index.insert_unique(hash, id, |id| words.get(*id as usize).map_or(0, |word| hasher.hash_one(&**word)));
        self.definitions.push(TEXT);
        put_number(&mut self.definitions, text.len() as u64);
        self.definitions.extend_from_slice(text.as_bytes());
        self.defined = self.defined.saturating_add(1);
        Some(id)
    }

    /// The number of the shape of a variant with one value.
    pub(super) fn single(&mut self, variant: &'static str) -> Result<u32, Error> {
        let hash = self.hasher.hash_one((Some(variant), None::<&[&'static str]>));
        let is = |shape: &Shape| shape.variant == Some(variant) && shape.fields.is_none();
        match self.find_shape(hash, is) {
            Some(id) => Ok(id),
            None => self.define_shape(hash, Shape { variant: Some(variant), fields: None }),
        }
    }

    /// The number of the shape of a struct or variant whose fields are the names from `base` on, which it removes.
    pub(super) fn fields(&mut self, variant: Option<&'static str>, base: usize) -> Result<u32, Error> {
        let fields = self.names.get(base..).unwrap_or_default();
        let hash = self.hasher.hash_one((variant, Some(fields)));
        let is = |shape: &Shape| shape.variant == variant && shape.fields.as_deref() == Some(fields);
        let found = match self.find_shape(hash, is) {
            Some(id) => Ok(id),
            None => {
                let fields = Some(fields.into());
                self.define_shape(hash, Shape { variant, fields })
            }
        };
        self.names.truncate(base);
        found
    }

    fn find_shape(&self, hash: u64, is: impl Fn(&Shape) -> bool) -> Option<u32> {
        self.shape_index.find(hash, |id| self.shapes.get(*id as usize).is_some_and(&is)).copied()
    }

    fn define_shape(&mut self, hash: u64, shape: Shape) -> Result<u32, Error> {
        // The words of its names come first.
        let variant = shape.variant.map(|name| self.name(name)).transpose()?;
        let mut fields = Vec::new();
        for name in shape.fields.iter().flatten() {
            fields.push(self.name(name)?);
        }
        match (variant, &shape.fields) {
            (Some(_), None) => self.definitions.push(WORD_AT),
            (Some(_), Some(_)) => self.definitions.push(SHAPE_AT),
            (None, _) => self.definitions.push(LIST),
        }
        if let Some(variant) = variant {
            put_number(&mut self.definitions, variant.into());
        }
        if shape.fields.is_some() {
            put_number(&mut self.definitions, fields.len() as u64);
            fields.iter().for_each(|field| put_number(&mut self.definitions, (*field).into()));
        }
        self.defined = self.defined.saturating_add(1);
        let id = u32::try_from(self.shapes.len()).map_err(|_| wrong("there are too many shapes"))?;
        self.shapes.push(shape);
        let Self { shape_index, shapes, hasher, .. } = self;
        let hash_of = |shape: &Shape| hasher.hash_one((shape.variant, shape.fields.as_deref()));
        shape_index.insert_unique(hash, id, |id| shapes.get(*id as usize).map_or(0, hash_of));
        Ok(id)
    }
}
