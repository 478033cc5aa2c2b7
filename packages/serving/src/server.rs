//! Accepts connections.

use crate::seats::{Counters, Figures, Seats};
use crate::{Limits, connection};
use axum::Router;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// The first and the longest pause after the operating system has given no connection.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// The number of connections that are refused at the same time; more are closed without an answer.
const REFUSALS: usize = 32;

/// Serves connections within [`Limits`]. Clones share the limits and the counts.
#[derive(Debug, Clone)]
pub struct Server {
    limits: Limits,
    seats: Seats,
}

/// A source of connections.
pub(crate) trait Listen {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    async fn next(&mut self) -> io::Result<Self::Stream>;
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    async fn next(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // An answer is written at once; without this option it might wait for an acknowledgement.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Server {
    /// A server with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, seats: Seats::new(limits.connections) }
    }

    /// The counts.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.seats.counters.figures()
    }

    /// Serves the connections of a listener for as long as the future is polled. Lack of descriptors does not end it: it
    /// closes connections without requests and continues after a pause.
    pub async fn serve(&self, listener: TcpListener, router: Router) -> Infallible {
        self.serve_all(listener, router).await
    }

    pub(crate) async fn serve_all(&self, mut listener: impl Listen, router: Router) -> Infallible {
        let refusals = Arc::new(Semaphore::new(REFUSALS));
        let mut pause = PAUSES.0;
        loop {
            let stream = match listener.next().await {
                Ok(stream) => stream,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(_) => {
                    Counters::add(&self.seats.counters.exhausted);
                    self.seats.evict();
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                    continue;
                }
            };
            pause = PAUSES.0;
            if let Some(seat) = self.seats.take().await {
                let (router, seats) = (router.clone(), self.seats.clone());
                tokio::spawn(connection::serve(stream, router, seats, seat, self.limits));
                continue;
            }
            Counters::add(&self.seats.counters.refused);
            if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                tokio::spawn(async move {
                    connection::refuse(stream).await;
                    drop(permit);
                });
            }
        }
    }
}

/// Whether an error concerns the connection alone that would have been accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::NotConnected
            | ErrorKind::InvalidInput
            | ErrorKind::Interrupted
    )
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
