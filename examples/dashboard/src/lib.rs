//! What the dashboard shows, apart from the terminal that it is shown in.

mod board;
mod draw;
mod tape;

pub use board::{AgentRow, Board};
pub use draw::draw;
pub use tape::Tape;
