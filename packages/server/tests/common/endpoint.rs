//! HTTP endpoints that give written answers.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that answers each request with the next text, and the last one again; an empty text closes the connection.
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    pub(crate) fn new(answers: &[&str]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, kept): (Vec<String>, _) = (answers.iter().map(ToString::to_string).collect(), Arc::clone(&seen));
        thread::spawn(move || serve(&listener, &answers, &kept, Some));
        Self { port, seen }
    }

    /// The same with TLS, for the name `localhost`; with its certificate.
    pub(crate) fn with_tls(answers: &[&str]) -> (Self, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, kept): (Vec<String>, _) = (answers.iter().map(ToString::to_string).collect(), Arc::clone(&seen));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.pem();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        thread::spawn(move || {
            serve(&listener, &answers, &kept, |mut stream| {
                let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that does not know the certificate ends the connection here.
                connection.complete_io(&mut stream).ok()?;
                Some(rustls::StreamOwned::new(connection, stream))
            });
        });
        (Self { port, seen }, certificate)
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve<S: Read + Write + Send + 'static>(
    listener: &TcpListener,
    answers: &[String],
    seen: &Mutex<Vec<String>>,
    begin: impl Fn(TcpStream) -> Option<S>,
) {
    for stream in listener.incoming() {
        let Some(mut stream) = begin(stream.unwrap()) else { continue };
        let Some(request) = read(&mut stream) else { continue };
        let index = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            seen.len() - 1
        };
        let answer = answers.get(index).or(answers.last()).cloned().unwrap_or_default();
        if answer == "hang" {
            thread::spawn(move || stream.read(&mut [0; 1]));
            continue;
        }
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.flush();
    }
}

/// A request as text, or nothing if the connection ends before.
fn read(stream: &mut impl Read) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8(body).unwrap())
}

/// An answer with a body.
pub(crate) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
