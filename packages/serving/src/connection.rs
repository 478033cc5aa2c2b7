//! One connection, from its first byte to its end.

use crate::seats::{Counters, Seat, Seats};
use crate::wire::Wire;
use crate::{Limits, Problem};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tower_service::Service as _;

/// The time for which a closed connection is read, so that the client receives its answer: closing a socket with unread
/// bytes discards what was sent.
const LINGER: Duration = Duration::from_secs(1);
/// The number of bytes that are read in that time.
const LINGER_BYTES: usize = 2 << 20;

/// A response body; when it is dropped, the request has ended.
struct Answering {
    body: Body,
    seat: Arc<Seat>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.seat.end();
    }
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The requests of a connection.
struct Requests {
    router: Router,
    seat: Arc<Seat>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<Answering>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (mut router, seat) = (self.router.clone(), Arc::clone(&self.seat));
        seat.begin();
        Box::pin(async move {
            // A router is always ready.
            let response = router.call(request.map(Body::new)).await?;
            Ok(response.map(|body| Answering { body, seat }))
        })
    }
}

/// Serves a connection until it ends or makes room for another one.
pub(crate) async fn serve<S>(stream: S, router: Router, seats: Seats, seat: Arc<Seat>, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    let header_bytes = limits.header_bytes.max(8 << 10);
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_time);
    builder.max_buf_size(header_bytes).max_header_size(header_bytes);
    let wire = TokioIo::new(Wire::new(stream, limits.write_time));
    let mut connection = builder.serve_connection(wire, Requests { router, seat: Arc::clone(&seat) });
    let ended = tokio::select! {
        biased;
        () = seat.evicted() => return,
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner().into_inner();
    if ended.is_err_and(|error| error.is_timeout()) {
        Counters::add(&seats.counters.silent);
        if parts.read_buf.is_empty() {
            return;
        }
        let detail = format!("no complete header arrived within {:?}", limits.header_time);
        let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail);
        if timeout(LINGER, stream.write_all(&problem.to_bytes())).await.is_err() {
            return;
        }
    }
    tokio::select! {
        () = seat.evicted() => {}
        () = close(stream) => {}
    }
}

/// Answers a connection for which there is no room.
pub(crate) async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let problem = Problem::busy("all connections of the server have requests under way");
    if let Ok(Ok(())) = timeout(LINGER, stream.write_all(&problem.to_bytes())).await {
        close(stream).await;
    }
}

/// Closes the side of the server, and reads what the client still sends.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let rest = async {
        stream.shutdown().await?;
        let (mut buffer, mut read) = ([0; 4 << 10], 0);
        while read < LINGER_BYTES {
            match stream.read(&mut buffer).await? {
                0 => break,
                more => read += more,
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // The connection has ended, however this ends.
    let _ = timeout(LINGER, rest).await;
}
