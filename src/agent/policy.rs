//! Who may do what on the agent's API: the policy's files, and by what callers are known.

use super::Error;
use crate::api::{Credentials, Subject};
use crate::command::Dispatcher;
use crate::config::Config;
use crate::extensions::Context;
use crate::keystone::Keystone;
use crate::policy::{self, Attributes, Enforcer, Reload, names};
use crate::root::Root;
use crate::secret::CurrentToken;
use nix::sys::stat;
use serde_json::Value;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Reads the policy: built-in rules, options, files.
///
/// # Errors
/// [`Error::Policy`] and [`Error::PolicyFile`]: a policy that the agent must not live by. It does not fall back to the built-in rules: those may
/// allow what the operator's forbid.
pub(super) fn load(root: &Root, config: &Config) -> Result<Arc<Enforcer>, Error> {
    let settings = policy::Settings {
        enforce_new_defaults: config.policy.enforce_new_defaults,
        enforce_scope: config.policy.enforce_scope,
        default_rule: config.policy.policy_default_rule.clone(),
        given: given(config),
        believed,
        files: Vec::from_iter(file(root, &config.policy.policy_file)?),
        directories: directories(root, &config.policy.policy_dirs),
    };
    let enforcer = Enforcer::load(policy::DEFAULTS, settings).map_err(Error::Policy)?;
    tell(&enforcer);
    Ok(Arc::new(enforcer))
}

/// By what callers are known.
///
/// # Errors
/// [`Error::Keystone`] and [`Error::Tls`]: Keystone is named, and cannot be asked.
pub(super) fn credentials(
    root: &Root,
    config: &Config,
    token: CurrentToken,
) -> Result<Credentials, Error> {
    let keystone = match config.keystone.auth_url {
        Some(_) => {
            let tls = config.tls_client(root).map_err(Error::Tls)?;
            let keystone = Keystone::new(&config.keystone, &tls, root);
            Some(Arc::new(keystone.map_err(Error::Keystone)?))
        }
        None => None,
    };
    Ok(Credentials {
        token,
        observer: config.observer_token_sha256,
        keystone,
    })
}

/// Keeps the rules as the files are until cancelled. A policy that cannot be used leaves the one before it in force.
pub(super) async fn follow(
    enforcer: Arc<Enforcer>,
    dispatcher: Dispatcher,
    cancel: CancellationToken,
) {
    loop {
        dispatcher.keep_secrets(!enforcer.is_never(names::SECRETS_SHOW));
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        match enforcer.reload_if_changed() {
            Ok(Reload::Unchanged) => {}
            Ok(Reload::Replaced) => {
                tracing::info!("the policy has changed");
                tell(&enforcer);
            }
            Err(error) => {
                let error = crate::error::chain(&error);
                tracing::error!(
                    error,
                    "THE CHANGED POLICY IS REFUSED: the one before it stays in force"
                );
            }
        }
    }
}

fn tell(enforcer: &Enforcer) {
    for file in enforcer.files() {
        tracing::info!(file = %file.path.display(), "policy read");
    }
    for warning in enforcer.warnings() {
        tracing::warn!("policy: {warning}");
    }
    if !enforcer.is_never(names::SECRETS_SHOW) {
        tracing::warn!(
            rule = names::SECRETS_SHOW,
            "SECRETS IN RESULTS OF COMMANDS ARE KEPT IN MEMORY AND SHOWN to whoever passes this rule"
        );
    }
}

/// What options say in the place of a file's rules; a file's win.
fn given(config: &Config) -> Vec<(&'static str, &'static str)> {
    if !config.open_command_list {
        return Vec::new();
    }
    tracing::warn!(
        rule = names::COMMAND_LIST,
        "open_command_list: WHOEVER REACHES THIS AGENT READS WHICH COMMANDS RAN, HOW THEY ENDED AND WHY THEY FAILED, without a token. Only conductors of 2023.1 to 2024.2 need this"
    );
    vec![(names::COMMAND_LIST, "@")]
}

/// The policy's file: where it is said to be, or in the first of the configuration's folders that has it. There may be none by the default
/// name, which then is also looked for with JSON's ending (oslo.policy: `opts.py`, `_pick_default_policy_file`).
fn file(root: &Root, named: &Path) -> Result<Option<PathBuf>, Error> {
    let places = places(root, named);
    let is_default = named == Path::new(DEFAULT_FILE);
    let fallback = is_default.then(|| self::places(root, Path::new(DEFAULT_JSON)));
    let found = places.iter().chain(fallback.iter().flatten());
    match found.into_iter().find(|path| path.exists()) {
        Some(path) => Ok(Some(path.clone())),
        None if is_default => Ok(None),
        None => Err(Error::PolicyFile(
            named.to_owned(),
            io::ErrorKind::NotFound.into(),
        )),
    }
}

fn directories(root: &Root, named: &[PathBuf]) -> Vec<PathBuf> {
    let places = named.iter().flat_map(|named| places(root, named));
    places.filter(|path| path.is_dir()).collect()
}

fn places(root: &Root, named: &Path) -> Vec<PathBuf> {
    match named.is_absolute() {
        true => vec![root.path(named)],
        false => FOLDERS
            .iter()
            .map(|folder| root.path(folder).join(named))
            .collect(),
    }
}

/// A policy is taken from the ramdisk alone, where virtual media's files are copied to, too: not from a disk that is mounted somewhere, and
/// not where others may write.
fn believed(found: &Metadata) -> Result<(), &'static str> {
    if found.mode() & 0o022 != 0 {
        return Err("others than its owner may write to it (chmod go-w)");
    }
    // What is in memory has no device (major 0); an installed system has its own.
    let own = fs::metadata("/").map(|root| root.dev());
    if stat::major(found.dev()) != 0 && !own.is_ok_and(|own| own == found.dev()) {
        return Err("it is on a disk: put it into the ramdisk, or onto the virtual media");
    }
    Ok(())
}

/// What the API is about.
#[derive(Debug)]
pub(super) struct Told(pub(super) Arc<Context>);

impl Subject for Told {
    fn attributes(&self) -> Attributes {
        self.0.machine.with_node(|node| {
            let members = ["uuid", "owner", "lessee"].into_iter().filter_map(|name| {
                let value = node?.get(name)?;
                Some((format!("node.{name}"), value.clone()))
            });
            members.collect()
        })
    }

    fn inventory(&self) -> Value {
        self.0.machine.inventory()
    }

    fn log(&self) -> String {
        self.0.log.text()
    }
}

/// Where virtual media's files come to (`boot::media`).
const FOLDERS: &[&str] = &["etc/ironic-python-agent", "etc/ironic-python-agent.d"];
const DEFAULT_FILE: &str = "policy.yaml";
const DEFAULT_JSON: &str = "policy.json";
/// How soon a changed file counts.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
