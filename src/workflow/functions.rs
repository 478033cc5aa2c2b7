//! Functions of the host that definitions refer to by name.

use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{Panic, contain};
use crate::definition::{Definition, Reducer};
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

type Predicate = dyn Fn(&Payload) -> bool + Send + Sync;
type Reduce = dyn Fn(&Payload, &Payload) -> Payload + Send + Sync;

/// Predicates and reducers of the host, by name. They are called when events are decided, never in replay.
#[derive(Clone, Default)]
pub(crate) struct Functions {
    predicates: BTreeMap<Name, Contained<Predicate>>,
    reducers: BTreeMap<Name, Contained<Reduce>>,
}

/// A function that is not called again after a panic. Clones share the panic.
struct Contained<F: ?Sized> {
    function: Arc<F>,
    panic: Arc<OnceLock<Panic>>,
}

impl<F: ?Sized> Clone for Contained<F> {
    fn clone(&self) -> Self {
        Self { function: Arc::clone(&self.function), panic: Arc::clone(&self.panic) }
    }
}

impl<F: ?Sized> Contained<F> {
    fn new(function: Arc<F>) -> Self {
        Self { function, panic: Arc::default() }
    }

    /// The result of a call; none if this or an earlier call panicked.
    fn call<T>(&self, call: impl FnOnce(&F) -> T) -> Option<T> {
        if self.panic.get().is_some() {
            return None;
        }
        contain(|| call(&self.function)).map_err(|panic| self.panic.set(panic)).ok()
    }
}

impl Functions {
    pub(crate) fn add_predicate(&mut self, name: Name, asks: impl Fn(&Payload) -> bool + Send + Sync + 'static) {
        self.predicates.insert(name, Contained::new(Arc::new(asks)));
    }

    pub(crate) fn add_reducer(
        &mut self,
        name: Name,
        reduce: impl Fn(&Payload, &Payload) -> Payload + Send + Sync + 'static,
    ) {
        self.reducers.insert(name, Contained::new(Arc::new(reduce)));
    }

    /// The result of a predicate; false if there is none of this name, or it panicked. A run whose definition refers to
    /// such a predicate makes no progress, so that result has no effect.
    pub(crate) fn asks(&self, name: &str, of: &Payload) -> bool {
        self.predicates.get(name).and_then(|asks| asks.call(|asks| asks(of))).unwrap_or(false)
    }

    /// The result of a reducer; the present value if there is none of this name, or it panicked.
    pub(crate) fn reduce(&self, name: &str, there: &Payload, written: &Payload) -> Payload {
        let reduce = self.reducers.get(name);
        reduce.and_then(|reduce| reduce.call(|reduce| reduce(there, written))).unwrap_or_else(|| there.clone())
    }

    pub(crate) fn predicates_that_panicked(&self) -> impl Iterator<Item = (&Name, &Panic)> {
        self.predicates.iter().filter_map(|(name, asks)| Some((name, asks.panic.get()?)))
    }

    pub(crate) fn reducers_that_panicked(&self) -> impl Iterator<Item = (&Name, &Panic)> {
        self.reducers.iter().filter_map(|(name, reduce)| Some((name, reduce.panic.get()?)))
    }

    /// Those of these functions that panicked.
    pub(crate) fn panicked<'a>(&self, names: &'a [Name]) -> impl Iterator<Item = &'a Name> {
        names.iter().filter(|name| {
            let predicate = self.predicates.get(*name).is_some_and(|asks| asks.panic.get().is_some());
            predicate || self.reducers.get(*name).is_some_and(|reduce| reduce.panic.get().is_some())
        })
    }

    /// The functions that a definition refers to, without those of nested workflows.
    pub(crate) fn used(definition: &Definition) -> Vec<Name> {
        let mut used: BTreeSet<&Name> = definition.parts().names().1;
        for node in &definition.nodes {
            used.extend(node.parts().names().1);
        }
        for variable in &definition.variables {
            if let Reducer::Custom(name) = &variable.reducer {
                used.insert(name);
            }
        }
        used.into_iter().cloned().collect()
    }

    /// The first function that a definition or a nested one refers to and that is not registered.
    pub(crate) fn missing_in(&self, definition: &Definition) -> Option<Name> {
        let mut work: Vec<&Definition> = vec![definition];
        while let Some(definition) = work.pop() {
            if let Some(name) = self.missing(definition).into_iter().next() {
                return Some(name);
            }
            work.extend(definition.nodes.iter().flat_map(|node| node.action.flows()));
        }
        None
    }

    /// The functions that a definition refers to and that are not registered, without those of nested workflows.
    pub(crate) fn missing(&self, definition: &Definition) -> Vec<Name> {
        let mut predicates: BTreeSet<&Name> = definition.parts().names().1;
        for node in &definition.nodes {
            predicates.extend(node.parts().names().1);
        }
        let mut missing: Vec<Name> =
            predicates.into_iter().filter(|name| !self.predicates.contains_key(*name)).cloned().collect();
        for variable in &definition.variables {
            if let Reducer::Custom(name) = &variable.reducer
                && !self.reducers.contains_key(name)
            {
                missing.push(name.clone());
            }
        }
        missing
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions")
            .field("predicates", &self.predicates.keys())
            .field("reducers", &self.reducers.keys())
            .finish()
    }
}
