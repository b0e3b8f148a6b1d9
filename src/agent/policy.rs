//! Who may do what on the agent's API: the policy's files, and by what callers are known.

use super::error::Error;
use crate::api::{Authenticator, Resources};
use crate::command::Dispatcher;
use crate::config::Config;
use crate::extensions::Context;
use crate::json::Json;
use crate::keystone::Keystone;
use crate::policy::{self, Attributes, DEFAULTS, Enforcer, Found, Reload, names};
use crate::root::Root;
use crate::secret::CurrentToken;
use nix::sys::statfs::{FsType, statfs};
use nix::sys::statvfs::statvfs;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Reads the policy: built-in rules, options, files.
///
/// # Errors
/// [`Error::Policy`] and [`Error::NoPolicyFile`]: a policy that the agent must not live by. It does not fall back to the built-in
/// rules: those may allow what the operator's forbid.
pub(super) fn load(root: &Root, config: &Config) -> Result<Arc<Enforcer>, Error> {
    let settings = policy::Settings {
        enforce_new_defaults: config.policy.enforce_new_defaults,
        enforce_scope: config.policy.enforce_scope,
        default_rule: config.policy.policy_default_rule.clone(),
        option_rules: given(config),
        is_trusted,
        files: Vec::from_iter(file(root, &config.policy.policy_file)?),
        directories: directories(root, &config.policy.policy_dirs),
    };
    let enforcer = Enforcer::load(DEFAULTS, settings).map_err(Error::Policy)?;
    log_policy(&enforcer);
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
) -> Result<Authenticator, Error> {
    let keystone = match config.keystone.auth_url {
        Some(_) => {
            let tls = config.tls_client(root).map_err(Error::Tls)?;
            let keystone = Keystone::new(&config.keystone, &tls, root);
            Some(Arc::new(keystone.map_err(Error::Keystone)?))
        }
        None => None,
    };
    Ok(Authenticator {
        token,
        observer: config.observer_token_sha256,
        keystone,
    })
}

/// Keeps the rules as the files are until cancelled. A policy that cannot be used leaves the one before it in force.
pub(super) async fn watch(
    enforcer: Arc<Enforcer>,
    dispatcher: Dispatcher,
    cancel: CancellationToken,
) {
    let mut refusals = ReloadErrors::default();
    loop {
        dispatcher.retain_secrets(!enforcer.always_denies(names::SECRETS_SHOW));
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
        let looked = enforcer.reload_if_changed();
        if let Some(error) = refusals.changed(&looked) {
            tracing::error!(
                error,
                "THE CHANGED POLICY IS REFUSED: the one before it stays in force"
            );
        }
        if matches!(looked, Ok(Reload::Replaced)) {
            tracing::info!("the policy has changed");
            log_policy(&enforcer);
        }
    }
}

/// What the log knows of a refused policy: each look at the files says it again, and the log keeps what else happens.
#[derive(Default)]
struct ReloadErrors(Option<String>);

impl ReloadErrors {
    /// Why the files are refused, where that is not what was told last.
    fn changed(&mut self, looked: &Result<Reload, policy::Error>) -> Option<&str> {
        let refusal = looked
            .as_ref()
            .err()
            .map(|error| crate::error::chain(error));
        if refusal == self.0 {
            return None;
        }
        self.0 = refusal;
        self.0.as_deref()
    }
}

fn log_policy(enforcer: &Enforcer) {
    for file in enforcer.files() {
        tracing::info!(file = %file.path.display(), "policy read");
    }
    for warning in enforcer.warnings() {
        tracing::warn!("policy: {warning}");
    }
    if !enforcer.always_denies(names::SECRETS_SHOW) {
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

/// The policy's file: where it is said to be, or in the first of the configuration's folders that has it. There may be none by the
/// default name, which then is also looked for with JSON's ending (oslo.policy: `opts.py`, `_pick_default_policy_file`).
fn file(root: &Root, named: &Path) -> Result<Option<PathBuf>, Error> {
    let is_default = named == Path::new(DEFAULT_FILE);
    let mut candidates = search_paths(root, named);
    if is_default {
        candidates.extend(search_paths(root, Path::new(DEFAULT_JSON)));
    }
    match candidates.into_iter().find(|path| path.exists()) {
        None if !is_default => Err(Error::NoPolicyFile(named.to_owned())),
        found => Ok(found),
    }
}

fn directories(root: &Root, named: &[PathBuf]) -> Vec<PathBuf> {
    let places = named.iter().flat_map(|named| search_paths(root, named));
    places.filter(|path| path.is_dir()).collect()
}

fn search_paths(root: &Root, named: &Path) -> Vec<PathBuf> {
    match named.is_absolute() {
        true => vec![root.path(named)],
        false => FOLDERS
            .iter()
            .map(|folder| root.path(folder).join(named))
            .collect(),
    }
}

/// A policy is taken from the ramdisk alone, where virtual media's files are copied to, too: not from a disk that is mounted
/// somewhere, and not where others may write.
fn is_trusted(found: &Found) -> Result<(), &'static str> {
    if found.metadata.mode() & 0o022 != 0 {
        return Err("others than its owner may write to it (chmod go-w)");
    }
    let is_in_memory = IN_MEMORY.contains(&found.file_system.filesystem_type());
    if !is_in_memory && !is_of_root(found) {
        return Err("it is on a disk: put it into the ramdisk, or onto the virtual media");
    }
    Ok(())
}

/// Whether something lies in the file system of `/`: an installed system has its own, and a live one a stack of others, whose files may
/// have other device numbers.
fn is_of_root(found: &Found) -> bool {
    let is_same_device = fs::metadata("/").is_ok_and(|root| root.dev() == found.metadata.dev());
    let is_same_kind =
        statfs("/").is_ok_and(|root| root.filesystem_type() == found.file_system.filesystem_type());
    let is_same = statvfs("/").is_ok_and(|root| {
        root.filesystem_id() != 0 && root.filesystem_id() == found.file_system_id
    });
    is_same_device || is_same_kind && is_same
}

/// What the API is about: this machine and its node.
#[derive(Debug)]
pub(super) struct AgentResources(pub(super) Arc<Context>);

impl Resources for AgentResources {
    fn attributes(&self) -> Attributes {
        let value = |json: Option<&Json>| json.map(|json| json.as_value().clone());
        self.0.machine.with_node(|node| {
            let uuid = node.map(|node| Value::from(node.uuid.as_str()));
            let members = [
                ("node.uuid", uuid),
                (
                    "node.owner",
                    value(node.and_then(|node| node.owner.as_ref())),
                ),
                (
                    "node.lessee",
                    value(node.and_then(|node| node.lessee.as_ref())),
                ),
            ];
            let known = members.into_iter();
            known
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect()
        })
    }

    fn inventory(&self) -> Value {
        self.0.machine.inventory()
    }

    fn log(&self) -> String {
        self.0.log.text()
    }
}

/// Where virtual media's files come to (`virtual_media`).
const FOLDERS: &[&str] = &["etc/ironic-python-agent", "etc/ironic-python-agent.d"];
const DEFAULT_FILE: &str = "policy.yaml";
const DEFAULT_JSON: &str = "policy.json";
/// `TMPFS_MAGIC` and `RAMFS_MAGIC` (linux/magic.h): a ramdisk's root is either.
const IN_MEMORY: [FsType; 2] = [FsType(0x0102_1994), FsType(0x8584_58f6)];
/// How soon a changed file counts.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str) -> Result<Reload, policy::Error> {
        Err(policy::Error::TooLarge { path: path.into() })
    }

    #[test]
    fn a_refused_policy_is_told_once_until_it_is_another_or_over() {
        let mut refusals = ReloadErrors::default();
        let told = |path| format!("{path} is larger than 262144 bytes: no policy needs that many");
        let (a, b) = (told("a"), told("b"));
        for (looked, news) in [
            (Ok(Reload::Unchanged), None),
            (refused("a"), Some(&a)),
            (refused("a"), None),
            (refused("b"), Some(&b)),
            (Ok(Reload::Unchanged), None),
            (refused("b"), Some(&b)),
            (Ok(Reload::Replaced), None),
        ] {
            assert_eq!(refusals.changed(&looked), news.map(String::as_str));
        }
    }

    #[test]
    fn the_first_folder_with_the_file_has_it_and_json_is_the_second_choice() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let write = |path: &str| {
            let path = root.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "{}").unwrap();
            path
        };
        let default = Path::new(DEFAULT_FILE);
        assert_eq!(file(&root, default).unwrap(), None);
        let json = write("etc/ironic-python-agent/policy.json");
        assert_eq!(file(&root, default).unwrap(), Some(json));
        let second = write("etc/ironic-python-agent.d/policy.yaml");
        assert_eq!(file(&root, default).unwrap(), Some(second));
        let first = write("etc/ironic-python-agent/policy.yaml");
        assert_eq!(file(&root, default).unwrap(), Some(first.clone()));
        let absolute = Path::new("/etc/ironic-python-agent/policy.yaml");
        assert_eq!(file(&root, absolute).unwrap(), Some(first));
        assert!(matches!(
            file(&root, Path::new("mine.yaml")),
            Err(Error::NoPolicyFile(named)) if named == Path::new("mine.yaml")
        ));
    }
}
