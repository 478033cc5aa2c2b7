//! Functions of the host that definitions refer to by name.

use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Definition, Reducer};
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Predicate = Arc<dyn Fn(&Payload) -> bool + Send + Sync>;
type Reduce = Arc<dyn Fn(&Payload, &Payload) -> Payload + Send + Sync>;

/// Predicates and reducers of the host, by name. They are called when events are decided, never in replay.
#[derive(Clone, Default)]
pub(crate) struct Functions {
    predicates: BTreeMap<Name, Predicate>,
    reducers: BTreeMap<Name, Reduce>,
}

impl Functions {
    pub(crate) fn add_predicate(&mut self, name: Name, asks: impl Fn(&Payload) -> bool + Send + Sync + 'static) {
        self.predicates.insert(name, Arc::new(asks));
    }

    pub(crate) fn add_reducer(
        &mut self,
        name: Name,
        reduce: impl Fn(&Payload, &Payload) -> Payload + Send + Sync + 'static,
    ) {
        self.reducers.insert(name, Arc::new(reduce));
    }

    /// The result of a predicate; false if there is none of this name. A run whose definition refers to a missing
    /// predicate makes no progress, so that result has no effect.
    pub(crate) fn asks(&self, name: &str, of: &Payload) -> bool {
        self.predicates.get(name).is_some_and(|asks| asks(of))
    }

    pub(crate) fn reduce(&self, name: &str, there: &Payload, written: &Payload) -> Payload {
        self.reducers.get(name).map_or_else(|| there.clone(), |reduce| reduce(there, written))
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
