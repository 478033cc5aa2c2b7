//! Events of workflow definitions.

use crate::base::name::Name;
use crate::definition::{Definition, Difference};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A change of the definitions that runs can be started from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CatalogueEvent {
    /// Runs can be started from this definition.
    Defined {
        /// The definition.
        definition: Arc<Definition>,
    },
    /// A [compatible](Definition::is_compatible_with) definition takes the place of the earlier one of its version: new runs
    /// follow it. Runs that have begun follow the earlier one, unless they [migrate](crate::message::Migration).
    Redefined {
        /// The definition.
        definition: Arc<Definition>,
        /// What differs from the earlier one.
        changed: Vec<Difference>,
    },
    /// New runs that ask for no version take this one.
    DefaultSet {
        /// The workflow's name.
        workflow: Name,
        /// The version; none: the newest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
        /// The operator's reason.
        reason: Name,
    },
    /// No run can be started from this version any more.
    Retired {
        /// The workflow's name.
        workflow: Name,
        /// The version.
        version: u32,
        /// The operator's reason.
        reason: Name,
    },
}

impl CatalogueEvent {
    /// The workflow whose definitions change.
    #[must_use]
    pub fn workflow(&self) -> &Name {
        match self {
            Self::Defined { definition } | Self::Redefined { definition, .. } => &definition.name,
            Self::DefaultSet { workflow, .. } | Self::Retired { workflow, .. } => workflow,
        }
    }
}
