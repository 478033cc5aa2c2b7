//! The stream below a connection: bounds the time of a write, and gives hyper's own refusals a content.

use crate::Problem;
use axum::http::StatusCode;
use std::future::Future as _;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream whose writes make progress or fail.
pub(crate) struct Wire<S> {
    stream: S,
    write_time: Duration,
    /// The end of the time for the write that waits.
    waiting: Option<Pin<Box<Sleep>>>,
    /// What is written in the place of a refusal of hyper, with the number of bytes of that.
    instead: Option<(Vec<u8>, usize, usize)>,
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S, write_time: Duration) -> Self {
        Self { stream, write_time, waiting: None, instead: None }
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.waiting = None;
                Poll::Ready(written)
            }
            Poll::Pending => {
                let end = self.waiting.get_or_insert_with(|| Box::pin(sleep(self.write_time)));
                ready!(end.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client does not read")))
            }
        }
    }
}

/// The answer in the place of one that hyper makes for what it cannot parse: those have no content.
fn in_place_of(bytes: &[u8]) -> Option<Problem> {
    let head = std::str::from_utf8(bytes).ok()?;
    let (status, code, detail) = match head.strip_prefix("HTTP/1.1 ")?.get(..3)? {
        "400" => (StatusCode::BAD_REQUEST, "not_http", "the request is not HTTP/1.1"),
        "414" => (StatusCode::URI_TOO_LONG, "uri_too_long", "the target of the request is too long"),
        "431" => {
            let detail = "the header of the request has too many fields or bytes";
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "header_too_large", detail)
        }
        _ => return None,
    };
    let empty = head.ends_with("\r\n\r\n") && head.to_ascii_lowercase().contains("\r\ncontent-length: 0\r\n");
    empty.then(|| Problem::new(status, code, detail))
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.instead.is_none()
            && let Some(problem) = in_place_of(bytes)
        {
            this.instead = Some((problem.to_bytes(), 0, bytes.len()));
        }
        let Some((instead, written, of)) = this.instead.take() else { return this.write(cx, bytes) };
        let mut written = written;
        while let Some(rest) = instead.get(written..).filter(|rest| !rest.is_empty()) {
            match this.write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(more)) => written += more,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.instead = Some((instead, written, of));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(of.min(bytes.len())))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}
