//! Extract: lists the files, in portions.

use std::path::PathBuf;

use counterpoint::workflow::{Attempt, Step};
use counterpoint::{Failure, Policy};
use serde::{Deserialize, Serialize};

use super::{Order, patient};
use crate::desk::{Desk, Ref};
use crate::model::{Entry, Inventory, Limits};
use crate::walk::{deal, walk};

/// Fewer files than this are not worth a portion of their own.
const FILES: usize = 16;
/// More portions than this do not make it faster.
const MAX_PORTIONS: usize = 96;

/// What the walk found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listing {
    pub root: PathBuf,
    pub inventory: Ref<Inventory>,
}

/// Some files, to be read together.
#[derive(Debug, Serialize, Deserialize)]
pub struct Portion {
    pub root: PathBuf,
    pub entries: Ref<Vec<Entry>>,
}

/// Lists the files.
#[derive(Debug)]
pub struct Walk(pub Desk);

impl Step for Walk {
    const KIND: &'static str = "walk";
    type Input = Order;
    type Output = Listing;

    fn run(&self, order: Order, _: &Attempt) -> Result<Listing, Failure> {
        let inventory = self.0.once("inventory".to_owned(), || Ok(walk(&order.root, &Limits::default())))?;
        Ok(Listing { root: order.root, inventory })
    }

    fn policy(&self) -> Policy {
        patient()
    }
}

/// Splits the files into portions of about equal weight.
#[derive(Debug)]
pub struct Split(pub Desk);

impl Step for Split {
    const KIND: &'static str = "split";
    type Input = Listing;
    type Output = Vec<Portion>;

    fn run(&self, listing: Listing, _: &Attempt) -> Result<Vec<Portion>, Failure> {
        let inventory = self.0.get(&listing.inventory)?;
        let portions = deal(&inventory, inventory.entries.len().div_ceil(FILES).min(MAX_PORTIONS));
        let keep = |(number, entries): (usize, Vec<Entry>)| {
            let entries = self.0.once(format!("portion-{number:02}"), || Ok(entries))?;
            Ok(Portion { root: listing.root.clone(), entries })
        };
        (1..).zip(portions).map(keep).collect()
    }

    fn policy(&self) -> Policy {
        patient()
    }
}
