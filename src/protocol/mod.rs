//! Messages between a host and remote agents, tools and clients: versioned data in JSON, over any transport.
//!
//! A [`Message`] is an envelope around a [`Body`]. An incoming message becomes a [`Command`](crate::Command)
//! ([`Message::into_command`]), an [`Effect`](crate::Effect) becomes a message to an agent, and the answer to a command
//! becomes a message to its sender ([`Body::registered`], [`Body::rejected`]).
//!
//! ```
//! use counterpoint::protocol::{Body, Message, MessageId, WireLimits};
//! use counterpoint::{AgentId, AgentSpec, Command, Config, Outbox, Scheduler, TaskId, TaskSpec, Time};
//!
//! let mut scheduler = Scheduler::new(Config::default());
//! let mut outbox = Outbox::default();
//! let bytes = br#"{"v":1,"id":"a-1","body":{"register":{"agent":{"id":"7","skills":{"greet":1},"capacity":2}}}}"#;
//! let message = Message::decode(bytes, &WireLimits::default())?;
//! let asked = message.id().clone();
//! let answer = match scheduler.handle(Time::ZERO, message.into_command()?, &mut outbox) {
//!     Ok(accepted) => Body::registered(accepted, None),
//!     Err(rejected) => Some(Body::rejected(&rejected)),
//! };
//! let answer = answer.map(|body| Message::new(MessageId::new("h-1").unwrap(), body).in_reply_to(asked));
//!
//! scheduler.handle(Time::ZERO, Command::submit(TaskSpec::new(TaskId::new(1), "greet")), &mut outbox)?;
//! let messages: Vec<Message> = outbox.effects().iter().map(Message::from).collect();
//! assert_eq!(messages[0].id().as_str(), "assign-1.1");
//! # let _ = answer;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rules
//!
//! - `v` is the version, [`VERSION`]. A message of another version is rejected before the rest of it is decoded.
//!   Unknown fields are rejected, too: a new field requires a new version, so that no requested option is silently
//!   ignored.
//! - Size and depth are checked before a message is parsed ([`WireLimits`]).
//! - `id` is chosen by the sender; a message with the same id is a repetition. `re` is the id of the message that this
//!   one answers. The id of a message for an effect is derived from the effect, so that repetitions are recognised.
//! - Ids and times are 64-bit numbers in decimal text; JSON numbers are accepted, too.
//! - Times are those of the host's clock. A message can contain the time of its sending (`at`), so that a receiver with
//!   another clock can compute the time left.
//! - Durations are text such as `"1m 30s"`, or numbers of nanoseconds.
//! - The transport must provide confidentiality. The optional `token` identifies the sender, and the gate in
//!   [`access`](crate::access) decides what the sender may do.

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
pub use body::{BatchedAttempt, Body, Kind, RefusalReason, Verdict};
pub use card::{AgentCard, Submission};
pub use convert::{NotACommand, NotAMessage};
pub use decode::{Malformed, WireLimits};
pub use message::{BadMessageId, Message, MessageId, VERSION};
pub use negotiation::{Act, Proposal};
pub use schema::schema;
