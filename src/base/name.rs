//! Names: short shared texts for kinds, skills, labels, tenants, nodes and signals.

use core::borrow::Borrow;
use core::cell::RefCell;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// A short shared text. Cloning increments a reference count.
///
/// ```
/// use counterpoint::Name;
///
/// let skill = Name::from("translate");
/// assert_eq!(&*skill, "translate");
/// ```
#[derive(Clone, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

impl PartialEq for Name {
    /// Most names that are compared share their text.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || *self.0 == *other.0
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

/// Names repeat, in programs as in journals: a short one shares the text of a recent one of this thread.
impl From<&str> for Name {
    fn from(text: &str) -> Self {
        RECENT.try_with(|recent| share(recent, text)).unwrap_or_else(|_| Self(Arc::from(text)))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(Arc::from(text))
    }
}

impl From<&Self> for Name {
    fn from(name: &Self) -> Self {
        name.clone()
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Name, E> {
        Ok(Name::from(text))
    }
}

/// The number of names that each thread retains.
const SHARED: usize = 64;
/// The most bytes of a name that is retained.
const SHORT: usize = 64;

thread_local! {
    /// Names that were made recently, each at a place that its length and ends determine.
    static RECENT: RefCell<[Option<Name>; SHARED]> = const { RefCell::new([const { None }; SHARED]) };
}

fn share(recent: &RefCell<[Option<Name>; SHARED]>, text: &str) -> Name {
    let (Some(first), Some(last)) = (text.as_bytes().first(), text.as_bytes().last()) else {
        return Name(Arc::from(text));
    };
    let mix = text.len().wrapping_mul(7) ^ usize::from(*first).wrapping_mul(29) ^ usize::from(*last);
    let Ok(mut recent) = recent.try_borrow_mut() else { return Name(Arc::from(text)) };
    match recent.get_mut(mix % SHARED) {
        Some(Some(known)) if **known == *text => known.clone(),
        Some(place) if text.len() <= SHORT => place.insert(Name(Arc::from(text))).clone(),
        Some(_) | None => Name(Arc::from(text)),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
