//! Durable functions as asynchronous code: the context with which a function requests its calls, and the execution of its turns.
//!
//! Nothing here waits for anything: a turn polls the future of a function until it waits only for calls, and the engine performs
//! the calls. So every host can execute turns, with or without an async runtime.

mod call;
mod ctx;
mod decided;
mod execution;
mod facts;
mod functions;
mod request;
mod spec;
mod state;
mod turns;

pub use call::FunctionFuture;
pub use ctx::Ctx;
pub use decided::Decided;
pub(crate) use facts::{EndedCall, Facts, OpenCall};
pub use functions::DurableFunctions;
pub use spec::FunctionSpec;
pub(crate) use turns::{Begun, Turns};
