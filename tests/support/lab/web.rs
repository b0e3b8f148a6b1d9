//! The lab's image servers: nginx, and one that sends half of every file.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::parts::Parts;
use super::process::{Service, program};
use super::sandbox::ADDRESS;

/// nginx serving a folder.
#[derive(Debug)]
pub struct WebServer {
    _service: Service,
    /// What is published.
    pub root: PathBuf,
}

/// Where the web server is.
pub(crate) fn base_url() -> String {
    format!("http://{ADDRESS}:{PORT}")
}

impl WebServer {
    /// Serves the folder `http` of `work` at the lab's address.
    pub fn start(parts: &Parts, work: &Path, logs: &Path) -> Result<Self> {
        let root = work.join("http");
        fs::create_dir_all(root.join("images"))?;
        let state = work.join("nginx");
        fs::create_dir_all(&state)?;
        let config = state.join("nginx.conf");
        fs::write(&config, configuration(&root, work, &state, logs))?;
        let mut nginx = program(parts.unpacked("usr/sbin/nginx"));
        nginx
            .arg("-e")
            .arg(logs.join("nginx-error.log"))
            .arg("-p")
            .arg(&state);
        let mut service = Service::start("nginx", logs, nginx.arg("-c").arg(&config))?;
        service.wait_ready(Duration::from_secs(10), || {
            TcpStream::connect((ADDRESS, PORT)).is_ok()
        })?;
        Ok(Self {
            _service: service,
            root,
        })
    }

    /// Publishes a file and returns its URL.
    pub fn publish(&self, file: &Path) -> Result<String> {
        let name = file.file_name().context("a file without a name")?;
        let published = self.root.join("images").join(name);
        if !published.exists() {
            fs::hard_link(file, &published)
                .or_else(|_| fs::copy(file, &published).map(|_| ()))
                .with_context(|| format!("could not publish {}", file.display()))?;
        }
        Ok(format!("{}/images/{}", base_url(), name.to_string_lossy()))
    }
}

/// An image server that promises the whole file and sends its first half, every time.
#[derive(Debug)]
pub struct FailingServer {
    url: String,
}

/// What it does in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// It closes the connection.
    HangUp,
    /// It sends no more, and leaves the connection open.
    Stall,
}

impl FailingServer {
    /// Serves `file`, until the harness ends.
    pub fn start(file: &Path, half: Half) -> Result<Self> {
        let listener =
            TcpListener::bind((ADDRESS, 0)).context("could not listen for image requests")?;
        let url = format!("http://{}/image", listener.local_addr()?);
        let file = file.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that went away is as good as one that was served its half.
                let _ = serve_half(stream, &file, half);
            }
        });
        Ok(Self { url })
    }

    /// The image's URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn serve_half(mut stream: TcpStream, path: &Path, half: Half) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    )?;
    if request.starts_with("GET ") {
        std::io::copy(&mut file.take(size / 2), &mut stream)?;
        if half == Half::Stall {
            // Another request may come meanwhile; this one waits for its client to go.
            thread::spawn(move || reader.read(&mut [0]));
            return Ok(());
        }
    }
    Ok(stream.shutdown(Shutdown::Both)?)
}

/// The second server is for UEFI's HTTP boot: GRUB 2.06 knows no port but 80, and Ironic's `http` boot interface leaves
/// GRUB's configuration where `pxe` does, under the absolute path that it has on Ironic's computer.
fn configuration(root: &Path, work: &Path, state: &Path, logs: &Path) -> String {
    let (root, state, logs) = (root.display(), state.display(), logs.display());
    let tftp = work.join("tftp");
    let (tftp, work) = (tftp.display(), work.display());
    format!(
        "daemon off;\nmaster_process off;\nuser root;\npid {state}/nginx.pid;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n\
           access_log {logs}/nginx-access.log;\n\
           client_body_temp_path {state}/body;\n  proxy_temp_path {state}/proxy;\n  fastcgi_temp_path {state}/fastcgi;\n\
           uwsgi_temp_path {state}/uwsgi;\n  scgi_temp_path {state}/scgi;\n\
           sendfile on;\n\
           server {{ listen {ADDRESS}:{PORT}; root {root}; }}\n\
           server {{ listen {ADDRESS}:80; root {tftp}; location /http/ {{ root {work}; }} location {tftp}/ {{ root /; }} }}\n\
         }}\n"
    )
}

const PORT: u16 = 8088;
