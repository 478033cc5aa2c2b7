//! Sessions over HTTP, bounded in number: of all callers together, and of each caller.
//!
//! Only versions of the protocol before 2026-07-28 have sessions.

use counterpoint::Name;
use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionError,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

tokio::task_local! {
    /// The caller of the request that is being handled.
    pub(crate) static CALLER: Name;
}

/// Bounds on sessions over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLimits {
    /// The number of sessions; 256 by default. A caller can have a quarter of them. A further session closes the one of the
    /// caller that has been without a request for the longest time; if each has a request under way, the new one is
    /// rejected. Protects memory: a session needs about 60 KB.
    pub sessions: usize,
    /// The time without a request after which a session ends; 15 minutes by default.
    pub idle: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { sessions: 256, idle: Duration::from_secs(900) }
    }
}

impl SessionLimits {
    /// The number of sessions of each caller.
    pub(crate) fn of_caller(&self) -> usize {
        self.sessions.div_ceil(4).max(1)
    }
}

#[derive(Debug)]
struct Session {
    caller: Name,
    /// The order of the last request.
    used: u64,
    /// The number of streams of answers.
    streams: usize,
}

#[derive(Debug, Default)]
struct Book {
    sessions: BTreeMap<SessionId, Session>,
    next: u64,
}

impl Book {
    /// The session that has been without a request for the longest time, of this caller or of all.
    fn idlest(&self, caller: Option<&Name>) -> Option<SessionId> {
        let idle = self.sessions.iter().filter(|(_, session)| session.streams == 0);
        let of = idle.filter(|(_, session)| caller.is_none_or(|caller| session.caller == *caller));
        of.min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone())
    }

    fn of_caller(&self, caller: &Name) -> usize {
        self.sessions.values().filter(|session| session.caller == *caller).count()
    }

    fn touch(&mut self, id: &SessionId, streams: fn(usize) -> usize) {
        self.next += 1;
        if let Some(session) = self.sessions.get_mut(id) {
            session.used = self.next;
            session.streams = streams(session.streams);
        }
    }
}

type Shared = Arc<Mutex<Book>>;

fn book(shared: &Shared) -> MutexGuard<'_, Book> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sessions of the SDK, with their owners.
#[derive(Debug)]
pub(crate) struct Sessions {
    inner: LocalSessionManager,
    limits: SessionLimits,
    book: Shared,
    /// One session is created at a time, so that the bounds are exact.
    creating: tokio::sync::Mutex<()>,
}

impl Sessions {
    pub(crate) fn new(limits: SessionLimits) -> Self {
        let mut inner = LocalSessionManager::default();
        inner.session_config.keep_alive = Some(limits.idle);
        Self { inner, limits, book: Shared::default(), creating: tokio::sync::Mutex::default() }
    }

    /// Whether this is a session of this caller.
    pub(crate) fn is_of(&self, id: &str, caller: &Name) -> bool {
        book(&self.book).sessions.get(id).is_some_and(|session| session.caller == *caller)
    }

    /// Whether the caller can have one more session.
    pub(crate) fn has_room(&self, caller: &Name) -> bool {
        let book = book(&self.book);
        let own = book.of_caller(caller) < self.limits.of_caller() || book.idlest(Some(caller)).is_some();
        own && (book.sessions.len() < self.limits.sessions || book.idlest(None).is_some())
    }

    /// The session that ends for a new one of this caller.
    fn in_the_way(&self, caller: &Name) -> Result<Option<SessionId>, LocalSessionManagerError> {
        let book = book(&self.book);
        let whose = if book.of_caller(caller) >= self.limits.of_caller() {
            Some(caller)
        } else if book.sessions.len() >= self.limits.sessions.max(1) {
            None
        } else {
            return Ok(None);
        };
        let full = || SessionError::Io(std::io::Error::other("each session has a request under way"));
        Ok(Some(book.idlest(whose).ok_or_else(full)?))
    }

    fn follow(&self, id: &SessionId, stream: impl Stream<Item = ServerSseMessage> + Send + Sync + 'static) -> Followed {
        book(&self.book).touch(id, |streams| streams + 1);
        Followed { stream: Box::pin(stream), id: id.clone(), book: Arc::clone(&self.book) }
    }
}

/// A stream of answers; while it exists, its session is in use.
struct Followed {
    stream: Pin<Box<dyn Stream<Item = ServerSseMessage> + Send + Sync>>,
    id: SessionId,
    book: Shared,
}

impl Stream for Followed {
    type Item = ServerSseMessage;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(cx)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        book(&self.book).touch(&self.id, |streams| streams.saturating_sub(1));
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let _one = self.creating.lock().await;
        let caller = CALLER.try_with(Name::clone).unwrap_or_else(|_| Name::from(""));
        while let Some(victim) = self.in_the_way(&caller)? {
            self.close_session(&victim).await?;
        }
        let (id, transport) = self.inner.create_session().await?;
        let mut book = book(&self.book);
        book.next += 1;
        let session = Session { caller, used: book.next, streams: 0 };
        book.sessions.insert(id.clone(), session);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.inner.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        book(&self.book).touch(id, |streams| streams);
        self.inner.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        book(&self.book).sessions.remove(id);
        self.inner.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.follow(id, self.inner.create_stream(id, message).await?))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.inner.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.follow(id, self.inner.create_standalone_stream(id).await?))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.follow(id, self.inner.resume(id, last_event_id).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn create(sessions: &Sessions, caller: &str) -> Result<SessionId, LocalSessionManagerError> {
        CALLER.scope(caller.into(), async { sessions.create_session().await.map(|(id, _)| id) }).await
    }

    #[tokio::test]
    async fn abandoned_sessions_make_room() {
        let sessions = Sessions::new(SessionLimits { sessions: 16, ..SessionLimits::default() });
        let mut of_ada = Vec::new();
        for _ in 0..2_610 {
            of_ada.push(create(&sessions, "ada").await.unwrap());
        }
        assert_eq!(book(&sessions.book).sessions.len(), 4);
        assert_eq!(sessions.inner.sessions.read().await.len(), 4);
        let (gone, kept) = (of_ada.first().unwrap(), of_ada.last().unwrap());
        assert!(sessions.is_of(kept, &"ada".into()) && !sessions.is_of(gone, &"ada".into()));
        assert!(!sessions.is_of(kept, &"bob".into()));
        for caller in 0..100 {
            create(&sessions, &format!("caller {caller}")).await.unwrap();
        }
        assert_eq!(book(&sessions.book).sessions.len(), 16);
    }

    #[tokio::test]
    async fn a_session_with_a_request_under_way_stays() {
        let sessions = Sessions::new(SessionLimits { sessions: 4, ..SessionLimits::default() });
        let (ada, bob) = ("ada".into(), "bob".into());
        let used = create(&sessions, "ada").await.unwrap();
        let stream = sessions.follow(&used, futures_util::stream::pending());
        assert!(!sessions.has_room(&ada) && sessions.has_room(&bob));
        assert!(create(&sessions, "ada").await.is_err());
        drop(stream);
        assert!(sessions.has_room(&ada));
        let next = create(&sessions, "ada").await.unwrap();
        assert!(sessions.is_of(&next, &ada) && !sessions.is_of(&used, &ada));
    }
}
