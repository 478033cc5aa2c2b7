//! TLS for accepted connections.

use crate::Server;
use crate::server::Listen;
use axum::Router;
use core::fmt;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// The certificate of a server, with its key.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
}

/// Why a certificate cannot be used. The text contains nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityError(String);

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for IdentityError {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// Reads a chain of certificates, that of the server first, and its key, both in PEM. Connections use TLS 1.2 or 1.3.
    ///
    /// # Errors
    ///
    /// When either is not in that form, or the key is not that of the certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| IdentityError(format!("the certificates are not in PEM: {error}")))?;
        if chain.is_empty() {
            return Err(IdentityError("there is no certificate in PEM".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError("there is no key in PEM".to_owned()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(|error| IdentityError(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config) })
    }
}

impl Server {
    /// Serves the connections of a listener with TLS for as long as the future is polled. The limits are those of
    /// [`serve`](Self::serve): the handshake counts as a part of the first header.
    pub async fn serve_tls(&self, listener: TcpListener, identity: Identity, router: Router) -> Infallible {
        self.serve_all(Secured { listener, acceptor: TlsAcceptor::from(identity.config) }, router).await
    }
}

struct Secured {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listen for Secured {
    type Stream = Shaking;

    async fn next(&mut self) -> io::Result<Shaking> {
        let stream = Listen::next(&mut self.listener).await?;
        Ok(Shaking::Begun(Box::new(self.acceptor.accept(stream))))
    }
}

/// A connection whose handshake is performed by whoever reads from it, and so within the limits on a header.
enum Shaking {
    Begun(Box<Accept<TcpStream>>),
    Done(Box<TlsStream<TcpStream>>),
    Failed,
}

impl Shaking {
    fn stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<TcpStream>>>> {
        if let Self::Begun(accept) = self {
            match ready!(Pin::new(accept.as_mut()).poll(cx)) {
                Ok(stream) => *self = Self::Done(Box::new(stream)),
                Err(error) => {
                    *self = Self::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        match self {
            Self::Done(stream) => Poll::Ready(Ok(Pin::new(stream.as_mut()))),
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }
}

impl AsyncRead for Shaking {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream(cx))?.poll_read(cx, into)
    }
}

impl AsyncWrite for Shaking {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.stream(cx))?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            // Nothing was written before the handshake.
            Self::Begun(_) => Poll::Ready(Ok(())),
            _ => ready!(self.stream(cx))?.poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Done(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use axum::routing::get;
    use core::time::Duration;
    use std::io::{Read as _, Write as _};
    use tokio::time::timeout;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_a_key_belong_together() {
        let ((chain, key), (other, _)) = (made(), made());
        assert!(Identity::from_pem(chain.as_bytes(), key.as_bytes()).is_ok());
        assert!(Identity::from_pem(other.as_bytes(), key.as_bytes()).is_err());
        for (chain, key) in [("", key.as_str()), (&chain, ""), (&key, &key), (&chain, &chain), ("x", "y")] {
            let error = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
            assert!(!key.lines().nth(1).is_some_and(|line| error.contains(line)), "{error}");
        }
    }

    /// A request over TLS, by a client that trusts one certificate.
    fn ask(port: u16, trusted: &str) -> io::Result<String> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        let mut stream = rustls::StreamOwned::new(connection, stream);
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    #[tokio::test]
    async fn requests_are_answered_and_silent_handshakes_are_ended() {
        let (chain, key) = made();
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let limits = Limits { header_time: Duration::from_millis(500), ..Limits::default() };
        let server = Server::new(limits);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/", get(|| async { "hello" }));
        tokio::spawn(async move { server.serve_tls(listener, identity, router).await });
        // A client that says nothing holds nobody up, and its connection ends.
        let mut silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (of_server, of_other) = (chain.clone(), made().0);
        let told = tokio::task::spawn_blocking(move || ask(port, &of_server)).await.unwrap().unwrap();
        assert!(told.starts_with("HTTP/1.1 200") && told.ends_with("hello"), "{told}");
        assert!(tokio::task::spawn_blocking(move || ask(port, &of_other)).await.unwrap().is_err());
        let mut byte = [0; 1];
        let read = timeout(Duration::from_secs(20), tokio::io::AsyncReadExt::read(&mut silent, &mut byte)).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
        // Plain HTTP is not answered.
        let mut plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut all = Vec::new();
        let _ = timeout(Duration::from_secs(20), tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut all)).await;
        assert!(!all.starts_with(b"HTTP"), "{all:?}");
    }
}
