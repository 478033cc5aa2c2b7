//! Bodies of requests: read within limits, and parsed beside the event loop.

use crate::{Limits, Problem};
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The size up to which a body is parsed at once, on the thread of the event loop.
const SMALL: usize = 8 << 10;
/// The unit in which the memory for bodies is counted.
const UNIT: usize = 1 << 10;

/// Reads and parses bodies. Clones share the limits.
#[derive(Debug, Clone)]
pub struct Bodies {
    limits: Limits,
    held: Arc<Semaphore>,
    parsers: Arc<Semaphore>,
    read: Arc<AtomicU64>,
}

/// The body of a request. Its bytes count as held until it is dropped.
#[derive(Debug)]
pub struct Content {
    /// The bytes.
    pub bytes: Bytes,
    _held: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Reads bodies within these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let units = (limits.held_bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            limits,
            held: Arc::new(Semaphore::new(units)),
            parsers: Arc::new(Semaphore::new(limits.parsers.clamp(1, Semaphore::MAX_PERMITS))),
            read: Arc::default(),
        }
    }

    /// The number of bodies that have been read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Reads a body of up to this many bytes, or up to [`Limits::body_bytes`] if that is less.
    ///
    /// # Errors
    ///
    /// 413 for a body that is too large, 408 for one that arrives too slowly, 400 for one that is cut off, 503 if all bodies
    /// together need too much memory.
    pub async fn read_up_to(&self, body: Body, most: usize) -> Result<Content, Problem> {
        let most = most.min(self.limits.body_bytes);
        let declared = axum::body::HttpBody::size_hint(&body).lower();
        if declared > most as u64 {
            return Err(too_large(most));
        }
        let began = Instant::now();
        let (mut stream, mut bytes, mut held) = (body.into_data_stream(), Vec::new(), None);
        loop {
            let Ok(chunk) = timeout_at(began + self.time_for(bytes.len()), stream.next()).await else {
                let rate = self.limits.body_rate;
                let detail = format!("the body arrives at less than {rate} bytes per second");
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail));
            };
            let Some(chunk) = chunk else { break };
            let chunk =
                chunk.map_err(|error| Problem::malformed("cut_off", format!("the body is cut off: {error}")))?;
            if chunk.len() > most - bytes.len() {
                return Err(too_large(most));
            }
            self.hold(&mut held, bytes.len() + chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        self.read.fetch_add(1, Ordering::Relaxed);
        Ok(Content { bytes: bytes.into(), _held: held })
    }

    /// The time within which more than this many bytes must have arrived.
    fn time_for(&self, bytes: usize) -> Duration {
        let paid = (bytes as f64) / (self.limits.body_rate.max(1) as f64);
        self.limits.body_time.saturating_add(Duration::from_secs_f64(paid))
    }

    /// Counts memory for this many bytes in all.
    fn hold(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Problem> {
        let units = bytes.div_ceil(UNIT);
        let missing = units.saturating_sub(held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if missing == 0 {
            return Ok(());
        }
        let busy = || Problem::busy("the requests under way need all memory for bodies");
        let missing = u32::try_from(missing).map_err(|_| busy())?;
        let more = Arc::clone(&self.held).try_acquire_many_owned(missing).map_err(|_| busy())?;
        match held {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// Parses a body: a large one on a thread of its own, and only so many of these at once.
    ///
    /// # Errors
    ///
    /// 500 if the parser panics.
    pub async fn parse<T: Send + 'static>(
        &self,
        content: Content,
        parser: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        if content.bytes.len() <= SMALL {
            return Ok(parser(&content.bytes));
        }
        // The semaphore is never closed; without a permit the body would be parsed all the same.
        let permit = Arc::clone(&self.parsers).acquire_owned().await.ok();
        let work = move || {
            let parsed = parser(&content.bytes);
            drop((content, permit));
            parsed
        };
        let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the body could not be parsed");
        tokio::task::spawn_blocking(work).await.map_err(failed)
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the body has more than {most} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn limits() -> Limits {
        Limits { body_bytes: 4_096, held_bytes: 8_192, body_rate: 100, ..Limits::default() }
    }

    /// Chunks with this many bytes, one every so many seconds.
    fn dripping(bytes: usize, seconds: u64, chunks: usize) -> Body {
        Body::from_stream(stream::unfold(0, move |sent| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            (sent < chunks).then(|| (Ok::<_, std::io::Error>(vec![b' '; bytes]), sent + 1))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_must_keep_its_rate() {
        let bodies = Bodies::new(limits());
        let code = async |body| bodies.read_up_to(body, usize::MAX).await.map(|_| ()).map_err(|problem| problem.code);
        assert_eq!(code(dripping(1, 1, 4_000)).await, Err("too_slow".to_owned()));
        assert_eq!(code(dripping(110, 1, 30)).await, Ok(()));
        assert_eq!(code(dripping(0, 1, 100)).await, Err("too_slow".to_owned()));
        assert_eq!(bodies.read(), 1);
    }

    #[tokio::test]
    async fn a_body_is_bounded_whether_it_is_declared_or_not() {
        let bodies = Bodies::new(limits());
        let code = async |body, most| bodies.read_up_to(body, most).await.map(|_| ()).map_err(|problem| problem.code);
        let chunks =
            |number: usize| Body::from_stream(stream::iter((0..number).map(|_| Ok::<_, std::io::Error>(vec![0; 64]))));
        assert_eq!(code(Body::from(vec![0; 4_097]), usize::MAX).await, Err("too_large".to_owned()));
        assert_eq!(code(chunks(65), usize::MAX).await, Err("too_large".to_owned()));
        assert_eq!(code(chunks(64), usize::MAX).await, Ok(()));
        assert_eq!(code(chunks(2), 100).await, Err("too_large".to_owned()));
    }

    #[tokio::test]
    async fn all_bodies_together_are_bounded_and_give_their_memory_back() {
        let bodies = Bodies::new(limits());
        let whole = || bodies.read_up_to(Body::from(vec![b'1'; 4_000]), usize::MAX);
        let (first, _second) = (whole().await.unwrap(), whole().await.unwrap());
        assert_eq!(whole().await.unwrap_err().code, "busy");
        assert_eq!(bodies.parse(first, <[u8]>::len).await, Ok(4_000));
        assert!(whole().await.is_ok());
    }
}
