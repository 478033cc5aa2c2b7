//! Messages between a host and agents, tools and clients elsewhere: data with a version, in JSON, over whatever carries
//! bytes.
//!
//! A [`Message`] is an envelope around a [`Body`]. What comes from outside becomes a [`Command`](crate::Command)
//! ([`Message::into_command`]), an [`Effect`](crate::Effect) becomes a message to an agent, and the answer to a command
//! becomes one to whoever asked ([`Body::registered`], [`Body::rejected`]).
//!
//! ```
//! use counterpoint::protocol::{Body, Message, MessageId, WireLimits};
//! use counterpoint::{AgentId, AgentSpec, Command, Config, Outbox, Scheduler, TaskId, TaskSpec, Time};
//!
//! let mut scheduler = Scheduler::new(Config::default());
//! let mut outbox = Outbox::default();
//! let heard = br#"{"v":1,"id":"a-1","body":{"register":{"agent":{"id":"7","skills":{"greet":1},"capacity":2}}}}"#;
//! let message = Message::decode(heard, &WireLimits::default())?;
//! let asked = message.id().clone();
//! let answer = match scheduler.handle(Time::ZERO, message.into_command()?, &mut outbox) {
//!     Ok(accepted) => Body::registered(accepted, None),
//!     Err(rejected) => Some(Body::rejected(&rejected)),
//! };
//! let answer = answer.map(|body| Message::new(MessageId::new("h-1").unwrap(), body).in_reply_to(asked));
//!
//! scheduler.handle(Time::ZERO, Command::submit(TaskSpec::new(TaskId::new(1), "greet")), &mut outbox)?;
//! let told: Vec<Message> = outbox.effects().iter().map(Message::from).collect();
//! assert_eq!(told[0].id().as_str(), "assign-1.1");
//! # let _ = answer;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rules
//!
//! - `v` is the version, [`VERSION`]. A message of another is refused before anything else of it is read. Unknown fields are
//!   refused, too: a field more is a version more, so that nothing that somebody asked for is quietly left out.
//! - Size, then depth, are measured before a message is parsed ([`WireLimits`]).
//! - `id` is the sender's; the same id means the same message, sent again. `re` is the id of the message that this one
//!   answers. The id of a message made from an effect follows from the effect, so that a repeated one is recognised.
//! - Ids and moments are 64-bit numbers in decimal text; plain numbers are read, too.
//! - Moments are those of the host's clock. A message may carry the moment at which it was sent (`at`), so that a reader
//!   with another clock can tell how long it has.
//! - Lengths of time are text such as `"1m 30s"`, or numbers of nanoseconds.
//! - What is secret is the transport's affair. Who speaks is proved by the `token` that a message may carry, and who may say
//!   what is the affair of the gate in [`access`](crate::access).

mod body;
mod card;
mod convert;
mod decode;
mod message;
mod negotiation;
mod schema;
mod wire;

pub use crate::base::token::Token;
pub use crate::task::trace::{BadTrace, TraceContext};
pub use body::{Body, Kind, Piece, Unwilling, Verdict};
pub use card::{AgentCard, Submission};
pub use convert::{NotACommand, NotAMessage};
pub use decode::{Malformed, WireLimits};
pub use message::{BadMessageId, Message, MessageId, VERSION};
pub use negotiation::{Act, Proposal};
pub use schema::schema;
