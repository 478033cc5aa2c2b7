//! HTTP connections and request bodies within limits, for the servers of Counterpoint.
//!
//! [`Server`] accepts connections for a router of axum. A caller without a token can hold neither descriptors, nor memory,
//! nor processor time: see [`Limits`] for each limit, its default and what it protects. A refused request is answered by a
//! [`Problem`] (RFC 9457).
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use counterpoint_serving::{Limits, Server};
//!
//! # async fn serve() -> std::io::Result<()> {
//! let server = Server::new(Limits::default());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! match server.serve(listener, Router::new().route("/", get(|| async { "hello" }))).await {}
//! # }
//! ```

mod body;
#[cfg(feature = "client")]
mod client;
mod connection;
mod key;
mod limits;
mod problem;
mod rate;
mod recent;
mod seats;
mod server;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use body::{Bodies, Content};
#[cfg(feature = "client")]
pub use client::{Client, Undelivered};
pub use key::{Key, KeyError, Scope};
pub use limits::{Limits, Options};
pub use problem::Problem;
pub use rate::Rates;
pub use recent::Recent;
pub use seats::Figures;
pub use server::Server;
#[cfg(feature = "tls")]
pub use tls::{Identity, IdentityError};
