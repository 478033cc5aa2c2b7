//! Data structures that several modules share: dense slots, an index without iteration, bit sets, a timing wheel,
//! random draws, decay, the median, bounded maps; and the threads and atomics that a model checker can replace.
//!
//! All of them are generic over their content. An invalid index yields `None`, never a panic.

mod anomalies;
mod arena;
mod bits;
mod contain;
#[cfg(feature = "learning")]
mod decay;
mod fewset;
mod idmap;
mod median;
mod random;
mod rules;
mod table;
#[cfg(feature = "threads")]
pub(crate) mod threads;
mod wheel;

pub use anomalies::Anomalies;
pub(crate) use anomalies::{Anomaly, OrAnomaly};
pub(crate) use arena::{Arena, Slot};
pub(crate) use bits::{Bits, next_around, next_in};
pub(crate) use contain::{Panic, contain};
#[cfg(feature = "learning")]
pub(crate) use decay::decay;
pub(crate) use fewset::FewSet;
pub(crate) use idmap::{IdMap, NearMap};
pub(crate) use median::median;
pub use random::Random;
pub(crate) use rules::{rules, with};
pub(crate) use table::Table;
pub(crate) use wheel::{TimerKey, Wheel};
