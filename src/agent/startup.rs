//! From configuration and the lookup's answer to what the rooms are told: each gets plain values.

use super::error::Error;
use crate::conductor::{AGENT_VERSION, lookup};
use crate::config::{self, CommandLine, Config, ImageServerAuth, KernelArgs, Loaded, Sources};
use crate::imaging;
use crate::logging::{self, Log, Verbosity};
use crate::machine::wait::WaitPolicy;
use crate::machine::{InstalledSystem, Permit, clock, marks};
use crate::root::Root;
use crate::secret::Vault;
use crate::steps;
use crate::tls::client::ClientOptions;
use crate::virtual_media::{self, Media};
use std::path::PathBuf;
use tokio::runtime::Handle;

/// What this process and the kernel were given, read without waiting for anything.
pub(super) fn sources(root: &Root, command_line: CommandLine) -> Result<Sources, Error> {
    let kernel = KernelArgs::of_kernel(root).map_err(Error::KernelArguments)?;
    Ok(Sources::of_process(kernel, None, command_line))
}

/// Reads every other source of configuration, the boot's media first, unless an agent before this one did. Only an agent whose
/// configuration can be used says that it starts.
pub(super) fn configure(
    root: &Root,
    sources: Sources,
    log: &Log,
    vault: &Vault,
) -> Result<Config, Error> {
    let loaded = load(root, sources, vault)?;
    if loaded.config.debug {
        log.set_verbosity(Verbosity::Debug);
    }
    log.send_to(root, &log_settings(&loaded.config));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        ipa_version = AGENT_VERSION,
        "the agent starts"
    );
    loaded.log();
    Ok(loaded.config)
}

/// Media are read once in a session: it outlives the agent, and they may be gone or others by then. What they said, be it nothing, is in
/// the vault; files of theirs are among the ramdisk's own since.
fn load(root: &Root, mut sources: Sources, vault: &Vault) -> Result<Loaded, Error> {
    let kept = vault.media(|text| KernelArgs::parse(text.to_owned()));
    if sources.kernel.booted_from_media()
        && let Some(kept) = kept
    {
        tracing::info!("what virtual media said is known from the agent before this one");
        sources.media = Some(kept);
        return config::load(root, sources).map_err(Error::Config);
    }
    if marks::is_marked(root) {
        // Nobody is served any more: what media would say does not matter.
        return config::load(root, sources).map_err(Error::Config);
    }
    let known = sources.known(root);
    let media = virtual_media::read(root, &sources.kernel, known).map_err(Error::Media)?;
    let are_final = are_final(&sources.kernel, &media);
    log_media(&media.copied);
    let said = media.parameters.as_ref().map(KernelArgs::without_secrets);
    sources.media = media.parameters;
    let mut loaded = config::load(root, sources).map_err(Error::Config)?;
    if are_final {
        keep(
            &mut loaded,
            said.as_deref().map_or("", String::as_str),
            vault,
        );
    }
    Ok(loaded)
}

/// Whether media said all that they will in this session. The ISO that the command line vouches for may be late: where nothing was
/// there, the next agent may look for it, and believes no other. What a volume with parameters said is kept: it may be gone by then.
fn are_final(kernel: &KernelArgs, media: &Media) -> bool {
    kernel.booted_from_media() && (media.were_found || kernel.publisher().is_none())
}

/// Keeps what media said, without secrets, for the next agent; a token of theirs goes where one of the kernel's command line is.
fn keep(loaded: &mut Loaded, said: &str, vault: &Vault) {
    let mut of_media = loaded.settings.iter().filter(|it| it.is_of_media());
    if of_media.any(|it| it.full_name() == "agent_token") {
        let token = loaded.config.agent_token.take();
        loaded.config.agent_token = token.map(|token| vault.store_boot_token(token));
    }
    vault.store_media(said);
}

/// What the agent would be configured by if it was started with this command line, for somebody who asks. Virtual media are
/// read, and none of their files copied.
///
/// # Errors
/// [`Error`]: what keeps the agent from starting.
pub fn preview(root: &Root, command_line: CommandLine) -> Result<Loaded, Error> {
    let mut sources = sources(root, command_line)?;
    let known = sources.known(root);
    sources.media =
        virtual_media::parameters(root, &sources.kernel, known).map_err(Error::Media)?;
    config::load(root, sources).map_err(Error::Config)
}

/// Where the log goes; a folder alone gives the file IPA's name, which others look for.
fn log_settings(config: &Config) -> logging::Settings {
    let file = config.log_file.as_deref().map(PathBuf::from);
    let file = match &config.log_dir {
        Some(folder) => Some(folder.join(file.unwrap_or_else(|| "ironic-python-agent.log".into()))),
        None => file,
    };
    logging::Settings {
        file,
        journal: config.use_journal,
        syslog: config.use_syslog.then(|| config.syslog_log_facility.code()),
        standard_error: config.use_stderr,
        json: config.use_json,
        date_format: config.log_date_format.clone(),
    }
}

fn log_media(copied: &[PathBuf]) {
    for file in copied {
        tracing::info!(file = %file.display(), "configuration came from virtual media");
    }
}

pub(super) fn log_permit(root: &Root, config: &Config) {
    if installed_system(config) == InstalledSystem::Allowed {
        tracing::warn!(
            "--allow-installed-system: the agent writes to disks, firmware and power state of THIS machine when it is told to"
        );
    } else if let Err(refusal) = Permit::obtain(root, InstalledSystem::Protected) {
        tracing::warn!(%refusal, "commands that write will be refused");
    }
}

/// Tells loudly where servers are taken at their word; each client that is made says so again.
pub(super) fn log_trust(config: &Config) {
    if !config.insecure {
        return;
    }
    if config.api_pin.is_some() {
        tracing::warn!(
            "insecure is set: IMAGE SERVERS ARE NOT VERIFIED, whoever is between chooses what is written to disks; Ironic's API must show its pinned key"
        );
    } else {
        tracing::warn!(
            "insecure is set: NEITHER IRONIC'S API NOR IMAGE SERVERS ARE VERIFIED: whoever is between learns the agent token, commands this machine and chooses what is written to its disks"
        );
    }
}

pub(super) fn installed_system(config: &Config) -> InstalledSystem {
    if config.allow_installed_system {
        InstalledSystem::Allowed
    } else {
        InstalledSystem::Protected
    }
}

/// How the machine is to be treated. Takes the image server's password out of the configuration: it has one owner.
pub(super) fn machine_settings(
    root: &Root,
    config: &mut Config,
    settings: &lookup::ConductorSettings,
    tls: ClientOptions,
) -> steps::Settings {
    steps::Settings {
        imaging: imaging::Settings {
            network: imaging::Network {
                tls,
                root: root.clone(),
                runtime: Handle::current(),
                timeout: config.image_download_connection_timeout,
            },
            retries: config.image_download_connection_retries,
            interval: config.image_download_connection_retry_interval,
            max_duration: Some(config.image_download_max_duration).filter(|limit| !limit.is_zero()),
            basic_auth: match config.image_server_auth_strategy {
                ImageServerAuth::NoAuth => None,
                ImageServerAuth::HttpBasic => Some(imaging::BasicAuth {
                    user: config.image_server_user.take(),
                    password: config.image_server_password.take(),
                }),
            },
            md5: if settings.md5_enabled {
                imaging::Md5::Allowed
            } else {
                imaging::Md5::Refused
            },
            rules: imaging::Rules {
                deep_inspection: !settings.disable_deep_image_inspection,
                permitted: settings.permitted_image_formats.clone(),
            },
        },
        config_drive: if config.config_drive_rebuild {
            imaging::configdrive::Form::Rebuilt
        } else {
            imaging::configdrive::Form::Verbatim
        },
        guard_shared_file_systems: config.guard_special_filesystems,
        disk_wait: WaitPolicy {
            attempts: config.disk_wait_attempts,
            delay: config.disk_wait_delay,
        },
        installed_system: installed_system(config),
        clock: clock_settings(config),
        priorities: steps::Priorities::from([(
            "inject_files",
            config.inject_files_priority.into(),
        )]),
        boot_interface: boot_interface(root),
        skip_bmc: settings.skip_bmc_detect,
    }
}

pub(super) fn clock_settings(config: &Config) -> clock::ClockSettings {
    clock::ClockSettings {
        server: config.ntp_server.clone(),
        needed: config.fail_if_clock_not_set,
    }
}

/// `BOOTIF` as the boot loader wrote it.
fn boot_interface(root: &Root) -> Option<String> {
    KernelArgs::of_kernel(root)
        .ok()?
        .value("BOOTIF")
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an agent is configured by; there are no media.
    fn loaded(kernel: &str, vault: &Vault) -> Config {
        let sources = Sources {
            kernel: KernelArgs::parse(kernel.to_owned()),
            media: None,
            environment: Vec::new(),
            command_line: CommandLine::default(),
        };
        load(&Root::at("/nonexistent"), sources, vault)
            .unwrap()
            .config
    }

    #[test]
    fn what_media_said_is_known_to_the_next_agent_without_them() {
        let vault = Vault::create().unwrap();
        vault.store_media("ipa-api-url=https://i ipa-agent-token=******");
        // Without it, it would wait for media for ever.
        let config = loaded("boot_method=vmedia", &vault);
        assert_eq!(config.api_url.urls().len(), 1);
        assert!(config.agent_token.is_none(), "it is in the vault");
        // Nothing else is overruled by it.
        let config = loaded("boot_method=vmedia ipa-api-url=https://k,https://l", &vault);
        assert_eq!(config.api_url.urls().len(), 2);
        let config = loaded("boot_method=pxe", &vault);
        assert!(config.api_url.urls().is_empty());
    }

    #[test]
    fn media_that_said_nothing_are_not_looked_at_by_the_next_agent() {
        // An ISO that cannot be mounted: there is nothing to wait for, and nothing to read.
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        std::fs::create_dir_all(root.path("sys/class/block/sr0/device")).unwrap();
        std::fs::write(root.path("sys/class/block/sr0/device/type"), "5\n").unwrap();
        let mut head = vec![b' '; 34 << 10];
        head[32768..32774].copy_from_slice(b"\x01CD001");
        head[32808..32816].copy_from_slice(b"config-2");
        std::fs::create_dir(root.path("dev")).unwrap();
        std::fs::write(root.path("dev/sr0"), head).unwrap();
        let kernel = "boot_method=vmedia ipa-api-url=https://k ipa-agent-token=t";
        let vault = Vault::create().unwrap();
        let sources = Sources {
            kernel: KernelArgs::parse(kernel.to_owned()),
            media: None,
            environment: Vec::new(),
            command_line: CommandLine::default(),
        };
        load(&root, sources, &vault).unwrap();
        assert_eq!(
            vault.media(|text| text.trim().to_owned()),
            Some(String::new())
        );
        // It would wait for others for ever.
        let next = loaded("boot_method=vmedia", &vault);
        assert!(next.api_url.urls().is_empty());
    }

    #[test]
    fn an_iso_that_is_late_is_looked_for_by_the_next_agent_where_the_command_line_vouches_for_it() {
        for (kernel, were_found, are) in [
            ("boot_method=vmedia ir_pub_id=1", false, false),
            ("boot_method=vmedia ir_pub_id=1", true, true),
            ("boot_method=vmedia", false, true),
            ("boot_method=pxe ir_pub_id=1", true, false),
        ] {
            let media = Media {
                were_found,
                ..Media::default()
            };
            let kernel = KernelArgs::parse(kernel.to_owned());
            assert_eq!(are_final(&kernel, &media), are);
        }
    }

    #[test]
    fn nothing_of_media_is_kept_where_the_machine_was_not_booted_from_them() {
        let vault = Vault::create().unwrap();
        loaded("boot_method=pxe", &vault);
        assert_eq!(vault.media(|_| ()), None);
    }

    #[test]
    fn a_token_of_media_has_one_place_and_only_where_it_counts() {
        let root = Root::at("/nonexistent");
        for (kernel, counts) in [
            ("boot_method=vmedia", true),
            (
                "boot_method=vmedia ir_pub_id=1 ipa-api-url=https://k",
                false,
            ),
        ] {
            let said = KernelArgs::parse("ipa-agent-token=hush ipa-debug=1".to_owned());
            let text = said.without_secrets();
            let sources = Sources {
                kernel: KernelArgs::parse(kernel.to_owned()),
                media: Some(said),
                environment: Vec::new(),
                command_line: CommandLine::default(),
            };
            let mut first = config::load(&root, sources).unwrap();
            let vault = Vault::create().unwrap();
            keep(&mut first, &text, &vault);
            assert_eq!(vault.media(|text| text.contains("hush")), Some(false));
            let of_boot = vault
                .boot_token()
                .is_some_and(|token| token.matches(b"hush"));
            assert_eq!(of_boot, counts);
            let token = first.config.agent_token;
            assert_eq!(token.is_some_and(|token| token.matches(b"hush")), counts);
            let next = loaded(kernel, &vault);
            assert!(next.agent_token.is_none() && next.debug);
        }
    }

    #[tokio::test]
    async fn what_ironic_wants_of_the_machine_goes_over_configuration() {
        let root = Root::at("/nonexistent");
        let nothing = Sources {
            kernel: KernelArgs::default(),
            media: None,
            environment: Vec::new(),
            command_line: CommandLine::default(),
        };
        let mut config = config::load(&root, nothing).unwrap().config;
        let mut wanted = lookup::ConductorSettings::of(&config);
        let mut settings = |wanted: &lookup::ConductorSettings| {
            machine_settings(&root, &mut config, wanted, ClientOptions::default())
        };
        let default = settings(&wanted);
        assert!(!default.skip_bmc);
        assert!(matches!(default.imaging.md5, imaging::Md5::Refused));
        assert!(default.imaging.rules.deep_inspection);

        wanted.skip_bmc_detect = true;
        wanted.md5_enabled = true;
        wanted.disable_deep_image_inspection = true;
        wanted.permitted_image_formats = vec!["qcow2".into()];
        let asked_for = settings(&wanted);
        assert!(asked_for.skip_bmc);
        assert!(matches!(asked_for.imaging.md5, imaging::Md5::Allowed));
        assert!(!asked_for.imaging.rules.deep_inspection);
        assert_eq!(asked_for.imaging.rules.permitted, ["qcow2"]);
    }
}
