//! An image server that does what a test says, and remembers what it was asked.

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What was asked: the request's lines.
pub(crate) type Request = Vec<String>;

/// What the server does next.
pub(crate) enum Answer {
    /// 200 and then a byte now and then, until the test is over.
    Drip(Receiver<()>),
    /// 200 with this body.
    Image(Arc<Vec<u8>>),
    /// 200 with this `Content-Encoding` and body.
    Encoded(&'static str, Arc<Vec<u8>>),
    /// 200 and no `Content-Length`; the connection's end is the body's.
    Endless(Arc<Vec<u8>>),
    /// 200 that announces the whole body and sends so many bytes of it.
    CutOff(Arc<Vec<u8>>, usize),
    /// 302 to a place.
    Redirect(String),
    /// 200 that sends so many bytes of the body and then says nothing: until the test is over, or says that the rest is to come.
    Silence(Arc<Vec<u8>>, usize, Receiver<()>),
    /// A status and no content.
    Status(u16),
    /// A status with this body.
    Refusal(u16, String),
}

pub(crate) struct Server {
    scheme: &'static str,
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// A server that answers by a function of the number of requests before this one.
    pub(crate) fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(None, answer)
    }

    /// The same over TLS, with a certificate that nobody signed.
    pub(crate) fn start_tls(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        Self::start_certified(&params, answer).0
    }

    /// The same with the certificate that is wanted, which it signs itself, and which is returned in PEM.
    pub(crate) fn start_certified(
        params: &CertificateParams,
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> (Self, String) {
        let (tls, certificate) = tls_config(params);
        (Self::start_with(Some(tls), answer), certificate)
    }

    fn start_with(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer, tls) = (Arc::clone(&seen), Arc::clone(&answer), tls.clone());
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    match tls {
                        None => serve(stream, &seen, &*answer),
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).unwrap();
                            serve(StreamOwned::new(connection, stream), &seen, &*answer);
                        }
                    }
                });
            }
        });
        Self {
            scheme,
            port,
            requests,
        }
    }

    /// A server that always gives this.
    pub(crate) fn of(image: &[u8]) -> Self {
        let image = Arc::new(image.to_vec());
        Self::start(move |_| Answer::Image(Arc::clone(&image)))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}/{path}", self.scheme, self.port)
    }

    /// The same server under another name.
    pub(crate) fn url_by_name(&self, path: &str) -> String {
        format!("http://localhost:{}/{path}", self.port)
    }

    /// Its URL with user and password, as they stand in one.
    pub(crate) fn url_with(&self, credentials: &str, path: &str) -> String {
        self.url(path)
            .replacen("://", &format!("://{credentials}@"), 1)
    }

    /// Host and port.
    pub(crate) fn host_and_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// A server that sends so many bytes of an image, and the rest when the returned sender is told; it goes when that is dropped.
pub(crate) fn silent_after(image: &[u8], sent: usize) -> (Sender<()>, Server) {
    let (keep, wait) = channel();
    let answer = Answer::Silence(Arc::new(image.to_vec()), sent, wait);
    let answer = Mutex::new(Some(answer));
    let server = Server::start(move |_| answer.lock().unwrap().take().unwrap());
    (keep, server)
}

/// A server that sends a byte now and then until the returned sender is dropped.
pub(crate) fn dripping() -> (Sender<()>, Server) {
    let (keep, over) = channel();
    let answer = Mutex::new(Some(Answer::Drip(over)));
    let server = Server::start(move |_| answer.lock().unwrap().take().unwrap());
    (keep, server)
}

fn tls_config(params: &CertificateParams) -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(ferrite::tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    (Arc::new(config.unwrap()), certificate.pem())
}

fn serve(stream: impl Read + Write, seen: &Mutex<Vec<Request>>, answer: &dyn Fn(usize) -> Answer) {
    let mut reader = BufReader::new(stream);
    let mut request = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
        request.push(line.trim_end().to_owned());
        line.clear();
    }
    if request.is_empty() {
        return;
    }
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request);
        seen.len() - 1
    };
    // A client that goes away in the middle is part of many tests.
    let _ = give(reader.into_inner(), answer(number));
}

fn give(mut stream: impl Write, answer: Answer) -> std::io::Result<()> {
    let head =
        |status: u16, more: &str| format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{more}\r\n");
    match answer {
        Answer::Drip(over) => {
            stream.write_all(head(200, "").as_bytes())?;
            while over.recv_timeout(DRIP_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                stream.write_all(b".")?;
            }
            Ok(())
        }
        Answer::Image(body) => {
            let length = format!("Content-Length: {}\r\n", body.len());
            stream.write_all(head(200, &length).as_bytes())?;
            stream.write_all(&body)
        }
        Answer::Encoded(encoding, body) => {
            let more = format!(
                "Content-Encoding: {encoding}\r\nContent-Length: {}\r\n",
                body.len()
            );
            stream.write_all(head(200, &more).as_bytes())?;
            stream.write_all(&body)
        }
        Answer::Endless(body) => {
            stream.write_all(head(200, "").as_bytes())?;
            stream.write_all(&body)
        }
        Answer::CutOff(body, sent) => {
            let length = format!("Content-Length: {}\r\n", body.len());
            stream.write_all(head(200, &length).as_bytes())?;
            stream.write_all(&body[..sent])
        }
        Answer::Redirect(to) => {
            let location = format!("Location: {to}\r\nContent-Length: 0\r\n");
            stream.write_all(head(302, &location).as_bytes())
        }
        Answer::Silence(body, sent, wait) => {
            let length = format!("Content-Length: {}\r\n", body.len());
            stream.write_all(head(200, &length).as_bytes())?;
            stream.write_all(&body[..sent])?;
            match wait.recv() {
                Ok(()) => stream.write_all(&body[sent..]),
                Err(_) => Ok(()),
            }
        }
        Answer::Status(status) => give(stream, Answer::Refusal(status, "sorry".into())),
        Answer::Refusal(status, body) => {
            let length = format!("Content-Length: {}\r\n", body.len());
            stream.write_all(head(status, &length).as_bytes())?;
            stream.write_all(body.as_bytes())
        }
    }
}

const DRIP_INTERVAL: Duration = Duration::from_millis(50);
