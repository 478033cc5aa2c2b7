//! The content of the dashboard, independent of a terminal.

mod board;
mod draw;
mod tape;

pub use board::{AgentRow, Board};
pub use draw::draw;
pub use tape::Tape;
