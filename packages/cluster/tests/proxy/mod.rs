//! A proxy that can be cut silently: nothing that is sent arrives, and no connection ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where a proxy forwards to.
#[derive(Clone)]
pub(crate) enum To {
    Socket(PathBuf),
    #[allow(dead_code, reason = "not every test has such a server")]
    Port(u16),
}

/// One direction of the connections.
#[derive(Default)]
struct Way {
    cuts: AtomicU64,
    is_cut: AtomicBool,
}

/// Takes connections and forwards them to a server, until it is cut: then it takes bytes and forwards none. Connections of that time
/// stay as they are when it is mended.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// To the server, and from it.
    ways: [Arc<Way>; 2],
}

impl Proxy {
    pub(crate) fn start(to: To) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, ways: <[Arc<Way>; 2]>::default() };
        let ways = proxy.ways.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let _away = match &to {
                    To::Socket(path) => UnixStream::connect(path).map(|server| join(client, server, &ways)),
                    To::Port(port) => {
                        TcpStream::connect(("127.0.0.1", *port)).map(|server| join(client, server, &ways))
                    }
                };
            }
        });
        proxy
    }

    /// Cuts both ways.
    #[allow(dead_code, reason = "some tests choose the ways")]
    pub(crate) fn cut(&self) {
        self.cut_ways([true, true]);
    }

    /// Cuts the way to the server, the way from it, or both.
    pub(crate) fn cut_ways(&self, which: [bool; 2]) {
        for (way, _) in self.ways.iter().zip(which).filter(|(_, is_cut)| *is_cut) {
            way.is_cut.store(true, Ordering::SeqCst);
            way.cuts.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn mend(&self) {
        self.ways.iter().for_each(|way| way.is_cut.store(false, Ordering::SeqCst));
    }
}

trait Stream: Read + Write + Send + Sized + 'static {
    fn again(&self) -> Self;
    fn close(&self);
}

impl Stream for TcpStream {
    fn again(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn close(&self) {
        let _gone = self.shutdown(std::net::Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn again(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn close(&self) {
        let _gone = self.shutdown(std::net::Shutdown::Both);
    }
}

fn join(client: impl Stream, server: impl Stream, [to, from]: &[Arc<Way>; 2]) {
    forward(client.again(), server.again(), to);
    forward(server, client, from);
}

fn forward(mut from: impl Stream, mut to: impl Stream, way: &Arc<Way>) {
    // A connection that is made during a cut gets nothing on that way, then or later.
    let at = way.cuts.load(Ordering::SeqCst).wrapping_sub(u64::from(way.is_cut.load(Ordering::SeqCst)));
    let way = Arc::clone(way);
    std::thread::spawn(move || {
        let mut bytes = [0; 16_384];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if way.cuts.load(Ordering::SeqCst) == at && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        if way.cuts.load(Ordering::SeqCst) == at {
            to.close();
            from.close();
        }
    });
}
