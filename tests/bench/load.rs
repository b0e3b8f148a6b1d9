//! As many requests as an agent answers: a client that costs little itself.

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is asked, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    /// A header's line with its end; empty for none.
    pub(crate) header: String,
    /// Of the answer.
    pub(crate) status: u16,
    pub(crate) asker: Asker,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The same one again, over a connection that stays open if the agent lets it.
    Same,
    /// Somebody with another loopback address each time.
    Stranger,
}

impl Question {
    /// What everybody may ask.
    pub(crate) fn status() -> Self {
        Self::get("/v1/status".into(), 200, Asker::Same)
    }

    /// What is asked by the target alone.
    pub(crate) fn get(target: String, status: u16, asker: Asker) -> Self {
        Self {
            method: "GET",
            target,
            header: String::new(),
            status,
            asker,
        }
    }
}

/// How many answers came, and how long that took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers {
    pub(crate) number: u32,
    pub(crate) time: Duration,
}

impl Answers {
    pub(crate) fn a_second(self) -> f64 {
        f64::from(self.number) / self.time.as_secs_f64()
    }
}

/// Asks over several connections at once, each from a loopback address of its own.
pub(crate) async fn answers(port: u16, certificate: &str, question: &Question) -> Result<Answers> {
    let connector = connector(certificate)?;
    let mut clients = JoinSet::new();
    let begin = Instant::now();
    for number in 0..CONNECTIONS {
        let client = Client {
            connector: connector.clone(),
            number: number + 1,
            port,
            question: question.clone(),
        };
        clients.spawn(async move { client.ask_until(begin + DURATION).await });
    }
    let mut number = 0;
    while let Some(count) = clients.join_next().await {
        number += count??;
    }
    let time = begin.elapsed();
    Ok(Answers { number, time })
}

/// How long it takes until a question is answered, of an agent that perhaps nobody runs yet.
pub(crate) async fn until_answered(
    port: u16,
    certificate: &str,
    question: &Question,
    limit: Duration,
) -> Result<Duration> {
    let client = Client {
        connector: connector(certificate)?,
        number: 0,
        port,
        question: question.clone(),
    };
    let begin = Instant::now();
    loop {
        match client.ask_until(begin).await {
            Ok(_) => return Ok(begin.elapsed()),
            Err(error) if begin.elapsed() > limit => return Err(error),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// A client that trusts the agent's own certificate and nothing else.
fn connector(certificate: &str) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

struct Client {
    connector: TlsConnector,
    /// Among those who ask at once.
    number: u8,
    port: u16,
    question: Question,
}

impl Client {
    /// Asks at least once, and counts the answers.
    async fn ask_until(&self, end: Instant) -> Result<u32> {
        let Question {
            method,
            target,
            header,
            ..
        } = &self.question;
        let request = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n");
        let mut stream = self.connect(0).await?;
        let mut buffer = Vec::new();
        let mut answers = 0;
        loop {
            stream.write_all(request.as_bytes()).await?;
            let head = answer(&mut stream, &mut buffer).await?;
            let (status, closes) = (status(head)?, closes(head));
            if status != self.question.status {
                bail!("answered {status}");
            }
            answers += 1;
            if Instant::now() >= end {
                return Ok(answers);
            }
            if closes || self.question.asker == Asker::Stranger {
                stream = self.connect(answers).await?;
            }
        }
    }

    async fn connect(&self, answers: u32) -> Result<TlsStream<TcpStream>> {
        let host = IpAddr::from(Ipv4Addr::LOCALHOST);
        let socket = TcpSocket::new_v4()?;
        let stranger = match self.question.asker {
            Asker::Same => 0,
            Asker::Stranger => answers % 0xff00 + 1,
        };
        let [_, _, third, fourth] = stranger.to_be_bytes();
        let from = Ipv4Addr::new(127, 10 + self.number, third, fourth.max(1));
        socket.bind((from, 0).into())?;
        let stream = socket.connect((host, self.port).into()).await?;
        stream.set_nodelay(true)?;
        Ok(self
            .connector
            .connect(ServerName::IpAddress(host.into()), stream)
            .await?)
    }
}

/// Reads one whole answer, and shows its head.
async fn answer<'a>(stream: &mut TlsStream<TcpStream>, buffer: &'a mut Vec<u8>) -> Result<&'a str> {
    buffer.clear();
    let head = loop {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the agent hung up");
        }
        let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?;
        if buffer.len() >= head + 4 + length(text)? {
            break head;
        }
    };
    Ok(std::str::from_utf8(buffer.get(..head).unwrap_or_default())?)
}

fn status(head: &str) -> Result<u16> {
    let status = head
        .split(' ')
        .nth(1)
        .context("an answer without a status")?;
    Ok(status.parse()?)
}

/// Whether nothing more can be asked over this connection.
fn closes(head: &str) -> bool {
    head.lines()
        .any(|line| line.to_ascii_lowercase().starts_with("connection: close"))
}

fn length(head: &str) -> Result<usize> {
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    Ok(value
        .context("an answer without a length")?
        .trim()
        .parse()?)
}

/// Connections at once.
pub(crate) const CONNECTIONS: u8 = 8;
/// How long it is asked.
pub(crate) const DURATION: Duration = Duration::from_secs(4);
/// Between two attempts to reach an agent that is not there yet.
const AGAIN: Duration = Duration::from_millis(2);
