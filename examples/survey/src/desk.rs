//! The store of large values that all agents share, so that payloads contain only the names of these values.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use counterpoint::Failure;
use serde::{Deserialize, Serialize};

type Thing = Arc<dyn Any + Send + Sync>;

/// Where a `T` lies on the [`Desk`]. This is what steps give each other and what the journal holds: a short name instead
/// of megabytes. The type stays in it, so that the workflow is checked as if the thing itself travelled.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ref<T> {
    name: String,
    #[serde(skip)]
    of: PhantomData<fn() -> T>,
}

impl<T> Ref<T> {
    /// A name for what `step` makes of this: the same whenever and by whomever it is done.
    pub fn then(&self, step: &str) -> String {
        format!("{}/{step}", self.name)
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A table full of things with names on them. Cloning gives another way to the same desk.
#[derive(Clone, Default)]
pub struct Desk(Arc<Mutex<BTreeMap<String, Thing>>>);

impl Desk {
    /// Makes a thing and puts it down, unless it lies there already: an attempt may be repeated because an answer was lost,
    /// and then the work is done.
    pub fn once<T, F>(&self, name: String, make: F) -> Result<Ref<T>, Failure>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> Result<T, Failure>,
    {
        if !self.things().contains_key(&name) {
            let thing = Arc::new(make()?);
            self.things().insert(name.clone(), thing);
        }
        Ok(Ref { name, of: PhantomData })
    }

    /// The thing, to look at.
    pub fn get<T: Send + Sync + 'static>(&self, at: &Ref<T>) -> Result<Arc<T>, Failure> {
        let thing = self.things().get(&at.name).cloned();
        let thing = thing.ok_or_else(|| Failure::permanent(format!("there is no content at {at:?}")))?;
        thing.downcast().map_err(|_| Failure::permanent(format!("the content at {at:?} has another type")))
    }

    /// Clears away what nobody needs any more.
    pub fn clear<T>(&self, at: &Ref<T>) {
        self.things().remove(&at.name);
    }

    fn things(&self) -> MutexGuard<'_, BTreeMap<String, Thing>> {
        // Nothing is ever left half done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.things().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_there_is_not_made_again() {
        let desk = Desk::default();
        let first = desk.once("a".to_owned(), || Ok(1)).unwrap();
        let again: Ref<i32> = desk.once("a".to_owned(), || Err(Failure::permanent("made twice"))).unwrap();
        assert_eq!((*desk.get(&first).unwrap(), first.then("b")), (1, "a/b".to_owned()));
        desk.clear(&first);
        assert!(desk.get(&again).is_err());
    }

    #[test]
    fn only_the_name_travels() {
        let desk = Desk::default();
        let at = desk.once("big".to_owned(), || Ok(vec![0_u8; 1 << 22])).unwrap();
        let text = serde_json::to_string(&at).unwrap();
        assert_eq!(text, "\"big\"");
        let back: Ref<Vec<u8>> = serde_json::from_str(&text).unwrap();
        assert_eq!(desk.get(&back).unwrap().len(), 1 << 22);
        let wrong: Ref<String> = serde_json::from_str(&text).unwrap();
        assert!(desk.get(&wrong).is_err());
    }
}
