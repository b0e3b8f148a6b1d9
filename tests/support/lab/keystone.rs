//! The real Keystone, on SQLite, served by Python's own library.
//!
//! It can be stopped and started again: what it knows (users, roles, keys) is in its files.

use crate::checkout;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::authority::Authority;
use super::identity::{Identity, User};
use super::parts::Parts;
use super::process::{Service, program, run, wait_until};
use super::sandbox::ADDRESS;

/// A Keystone, running or stopped. Its API, as its administrator uses it, is `identity`.
#[derive(Debug)]
pub struct Keystone {
    service: Option<Service>,
    command: Command,
    logs: PathBuf,
    /// Its API, as an administrator uses it.
    pub identity: Identity,
    /// Whose certificate it shows, if it speaks TLS.
    pub authority: Option<Authority>,
    /// Whom Ironic asks about tokens as.
    pub ironic: User,
}

impl Keystone {
    /// Starts Keystone with its state in `work` and its log in `logs`. Its tokens live for `life`, in whole seconds.
    ///
    /// With an authority its API speaks TLS with a certificate of it.
    pub fn start(
        parts: &Parts,
        work: &Path,
        logs: &Path,
        life: Duration,
        authority: Option<Authority>,
    ) -> Result<Self> {
        parts.find_keystone()?;
        let state = work.join("keystone");
        fs::create_dir_all(&state)?;
        let config = state.join("keystone.conf");
        fs::write(&config, configuration(&state, logs, life))?;
        let url = url(authority.is_some());
        prepare(parts, &config, &url)?;
        let command = server(parts, &config, authority.as_ref());
        let pem = authority.as_ref().map(|authority| authority.pem.as_str());
        let identity = Identity::new(&url, pem, PASSWORD)?;
        let mut service = Service::start(NAME, logs, &command)?;
        service.wait_ready(PATIENCE, || identity.answers())?;
        let ironic = identity.service_user("ironic")?;
        Ok(Self {
            service: Some(service),
            command,
            logs: logs.into(),
            identity,
            authority,
            ironic,
        })
    }

    /// Where it is: `http://ADDRESS:5000/v3`.
    pub fn url(&self) -> String {
        url(self.authority.is_some())
    }

    /// Ends it, until nobody answers at its address.
    pub fn stop(&mut self) -> Result<()> {
        self.service = None;
        wait_until("Keystone to be gone", PATIENCE, || {
            Ok((!self.identity.answers()).then_some(()))
        })
    }

    /// Starts it again with all it knew.
    pub fn resume(&mut self) -> Result<()> {
        let mut service = Service::start(NAME, &self.logs, &self.command)?;
        service.wait_ready(PATIENCE, || self.identity.answers())?;
        self.service = Some(service);
        Ok(())
    }

    /// Has it take connections and answer nothing.
    pub fn fall_silent(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Has it go on.
    pub fn go_on(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let service = self.service.as_ref().context("Keystone is stopped")?;
        for process in service.descendants()? {
            kill(Pid::from_raw(process.try_into()?), signal)?;
        }
        Ok(())
    }

    /// The section of a configuration file (Ironic's, and whatever else is built on keystonemiddleware) with which
    /// a service's user asks about tokens.
    pub fn authtoken(&self, user: &User) -> String {
        let url = self.url();
        let authority = self.authority.as_ref().map_or_else(String::new, |found| {
            format!("cafile = {}\n", found.authority.display())
        });
        format!(
            "[keystone_authtoken]
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
username = {name}
password = {password}
user_domain_id = default
project_name = service
project_domain_id = default
{authority}",
            name = user.name,
            password = user.password,
        )
    }
}

fn url(tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{ADDRESS}:{PORT}/v3")
}

/// Makes database, keys, roles and administrator.
fn prepare(parts: &Parts, config: &Path, url: &str) -> Result<()> {
    let owner = ["--keystone-user", "root", "--keystone-group", "root"];
    let administrator = [
        ["--bootstrap-password", PASSWORD],
        ["--bootstrap-public-url", url],
        // Where keystonemiddleware looks.
        ["--bootstrap-internal-url", url],
    ];
    for (command, arguments) in [
        ("db_sync", &[][..]),
        ("fernet_setup", &owner),
        ("credential_setup", &owner),
        ("bootstrap", administrator.as_flattened()),
    ] {
        let mut manage = program(parts.keystone("keystone-manage"));
        manage.arg("--config-file").arg(config).arg(command);
        run(manage.args(arguments))?;
    }
    Ok(())
}

fn server(parts: &Parts, config: &Path, authority: Option<&Authority>) -> Command {
    let script = "tests/support/lab/serve_keystone.py";
    let mut command = program(parts.keystone("python"));
    command
        .env("OS_KEYSTONE_CONFIG_FILES", config)
        .arg(checkout().join(script))
        .args([ADDRESS, &PORT.to_string()]);
    if let Some(authority) = authority {
        command.arg(&authority.certificate).arg(&authority.key);
    }
    command
}

fn configuration(state: &Path, logs: &Path, life: Duration) -> String {
    format!(
        "[DEFAULT]
log_file = {logs}/keystone.log

[database]
connection = sqlite:///{state}/keystone.sqlite

[token]
expiration = {life}

[fernet_tokens]
key_repository = {state}/fernet

[credential]
key_repository = {state}/credential

# What is revoked or taken away is so at once.
[cache]
enabled = false

# Nobody guesses passwords in a lab, and half a second for each would add up.
[identity]
password_hash_rounds = 4
",
        state = state.display(),
        logs = logs.display(),
        life = life.as_secs(),
    )
}

const NAME: &str = "keystone";
const PASSWORD: &str = "the administrator's";
const PORT: u16 = 5000;
const PATIENCE: Duration = Duration::from_secs(60);
