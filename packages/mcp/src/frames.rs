//! Standard input and output: each line is a message.
//!
//! The transport of the SDK leaves lines that are too long or not JSON without an answer; this one answers them.

use rmcp::model::{ErrorCode, ServerJsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ErrorData, RoleServer};
use serde::de::IgnoredAny;
use serde_json::json;
use std::io;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;

/// The size of a message.
pub const FRAME_BYTES: usize = (1 << 20) + (64 << 10);
/// The room between the reader of lines and the transport of the SDK.
const ROOM: usize = 64 << 10;

/// A transport over a reader and a writer of lines.
#[derive(Debug)]
pub struct Frames<W: AsyncWrite> {
    inner: Inner<W>,
    faults: mpsc::Receiver<ErrorData>,
}

struct Inner<W: AsyncWrite>(AsyncRwTransport<RoleServer, DuplexStream, W>);

impl<W: AsyncWrite> std::fmt::Debug for Inner<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncRwTransport").finish_non_exhaustive()
    }
}

impl<W: AsyncWrite + Send + Unpin + 'static> Frames<W> {
    /// Reads messages of up to [`FRAME_BYTES`] from `input`, and writes to `output`. Has to be called within a runtime.
    pub fn new(input: impl AsyncRead + Send + Unpin + 'static, output: W) -> Self {
        let (to_sdk, from_lines) = duplex(ROOM);
        // One fault at a time: a client that does not read its answers is not read either.
        let (report, faults) = mpsc::channel(1);
        tokio::spawn(async move {
            // The client has closed its side, or the transport has ended: both end the session.
            let _ = lines(input, to_sdk, report).await;
        });
        Self { inner: Inner(AsyncRwTransport::new(from_lines, output)), faults }
    }
}

/// Passes lines on that are JSON, and reports the others.
async fn lines(
    input: impl AsyncRead + Unpin,
    mut to_sdk: DuplexStream,
    report: mpsc::Sender<ErrorData>,
) -> io::Result<()> {
    let (mut input, mut line, mut length) = (BufReader::with_capacity(ROOM, input), Vec::new(), 0_usize);
    loop {
        let bytes = input.fill_buf().await?;
        let ended = bytes.is_empty();
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = end.map_or(bytes, |end| bytes.get(..end).unwrap_or_default());
        length = length.saturating_add(part.len());
        if length <= FRAME_BYTES {
            line.extend_from_slice(part);
        } else {
            // The rest is read and dropped.
            line = Vec::new();
        }
        let read = part.len() + usize::from(end.is_some());
        input.consume(read);
        if end.is_none() && !ended {
            continue;
        }
        if let Some(fault) = fault(&line, length) {
            report.send(fault).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
        } else if !line.trim_ascii().is_empty() {
            line.push(b'\n');
            to_sdk.write_all(&line).await?;
        }
        if ended {
            return Ok(());
        }
        (line, length) = (Vec::new(), 0);
    }
}

/// The error for a line that is no JSON or too long.
fn fault(line: &[u8], length: usize) -> Option<ErrorData> {
    if length > FRAME_BYTES {
        let reason = format!("the message has more than {FRAME_BYTES} bytes");
        return Some(ErrorData::new(ErrorCode::INVALID_REQUEST, reason, Some(json!({"code": "too_large"}))));
    }
    if line.trim_ascii().is_empty() {
        return None;
    }
    let error = serde_json::from_slice::<IgnoredAny>(line).err()?;
    let reason = format!("the message is not JSON: {error}");
    Some(ErrorData::new(ErrorCode::PARSE_ERROR, reason, Some(json!({"code": "syntax"}))))
}

impl<W: AsyncWrite + Send + Unpin + 'static> Transport<RoleServer> for Frames<W> {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.0.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            tokio::select! {
                biased;
                Some(fault) = self.faults.recv() => {
                    // In a task of its own: this future may be dropped while the answer is written.
                    tokio::spawn(self.inner.0.send(ServerJsonRpcMessage::error(fault, None)));
                }
                message = self.inner.0.receive() => return message,
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.0.close().await
    }
}
