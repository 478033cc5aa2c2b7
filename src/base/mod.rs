//! Values that every module uses: identifiers, time, payloads, names, limits, errors, and private data structures.
//!
//! The module is private; its public types are re-exported at the root of the crate and by the modules that use them.

pub(crate) mod canonical;
pub(crate) mod clock;
#[cfg(feature = "codecs")]
#[cfg_attr(not(any(feature = "threads", feature = "async")), allow(dead_code, reason = "hosts use it"))]
pub(crate) mod codec;
pub(crate) mod digest;
#[cfg(any(feature = "observe", feature = "planning"))]
#[allow(
    dead_code,
    unused_imports,
    reason = "plans and timelines use parts of it, and the charts of the examples the rest"
)]
pub(crate) mod draw;
pub(crate) mod error;
pub(crate) mod id;
pub(crate) mod limits;
pub(crate) mod meter;
pub(crate) mod name;
pub(crate) mod nearest;
pub(crate) mod packed;
pub(crate) mod payload;
pub(crate) mod structure;
pub(crate) mod time;
#[cfg(any(feature = "access", feature = "protocol"))]
pub(crate) mod token;
