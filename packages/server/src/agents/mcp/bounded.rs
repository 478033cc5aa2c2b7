//! Lines within a limit: a server that prints without end is ended, and not read into memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// A reader that fails when a line is too long.
#[derive(Debug)]
pub(super) struct Lines<R> {
    inner: R,
    most: usize,
    /// The bytes since the last end of a line.
    line: usize,
    /// Set when a line was too long.
    exceeded: Arc<AtomicBool>,
}

impl<R> Lines<R> {
    pub(super) fn new(inner: R, most: usize, exceeded: Arc<AtomicBool>) -> Self {
        Self { inner, most, line: 0, exceeded }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Lines<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, into))?;
        let most = self.most;
        let read = into.filled().get(before..).unwrap_or_default();
        let mut fits = true;
        for piece in read.split_inclusive(|byte| *byte == b'\n') {
            self.line = self.line.saturating_add(piece.len());
            fits &= self.line <= most;
            if piece.ends_with(b"\n") {
                self.line = 0;
            }
        }
        if fits {
            return Poll::Ready(Ok(()));
        }
        self.exceeded.store(true, Ordering::Release);
        // With an error nothing is given to the reader.
        into.set_filled(before);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long")))
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::AsyncReadExt as _;

    async fn read(bytes: &[u8], most: usize) -> (Option<Vec<u8>>, bool) {
        let exceeded = Arc::new(AtomicBool::new(false));
        let mut lines = Lines::new(bytes, most, Arc::clone(&exceeded));
        let mut all = Vec::new();
        let read = lines.read_to_end(&mut all).await;
        (read.ok().map(|_| all), exceeded.load(Ordering::Acquire))
    }

    #[tokio::test]
    async fn lines_up_to_the_limit_pass_and_a_longer_one_fails() {
        let long = b"12345678\n".repeat(1_000);
        assert_eq!(read(&long, 9).await, (Some(long.clone()), false));
        assert_eq!(read(&long, 8).await, (None, true));
        assert_eq!(read(b"1234\n123456", 5).await, (None, true));
    }
}
