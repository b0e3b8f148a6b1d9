//! The table of options. The fields of [`Config`], their parsers, the command line and the
//! documentation are generated from it.
//!
//! A row has these columns: help; name and type; parser; syntax on the command line; default and
//! kernel argument, empty if there is none. Names, defaults and kernel arguments are those of IPA
//! 13 (`config.py`, `mdns.py`), oslo.log, keystonemiddleware (`auth_token/_opts.py`), keystoneauth1
//! and oslo.policy (`opts.py`). Options of `[DEFAULT]` are arguments too; other groups are set in
//! files and the environment only.

use super::keystone::{Interface, Sha256Digest, SystemScope, cache_time, service_url};
use super::merge::Merged;
use super::spec::{Effect, Kind, Scope, Spec};
use super::values::{
    ApiUrl, Facility, ImageServerAuth, Reason, Scheme, address, addresses, agent_token, boolean,
    count, host, known, list, optional, path, paths, port, priority, request_id, seconds, secret,
    text,
};
use crate::secret::{AgentToken, Secret};
use crate::tls::certificate::Curve;
use crate::tls::client::pin::Pins;
use crate::tls::{CipherSuites, MinVersion};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::{Host, Url};

macro_rules! options {
    ($($(#[doc = $what:literal])+ $group:ident [$section:literal, $reach:ident] {
        $($(#[doc = $help:literal])+ $name:ident: $type:ty =
            $parse:expr, $kind:expr, $default:literal, $kernel_argument:literal;)+
        $(with { $($(#[doc = $part_help:literal])+ $part:ident: $Part:ident,)+ })?
    })+) => {
        $($(#[doc = $what])+
        #[derive(Debug)]
        pub struct $group {
            $($(#[doc = $help])+ pub $name: $type,)+
            $($($(#[doc = $part_help])+ pub $part: $Part,)+)?
        }

        impl $group {
            /// Parses every option before it fails, so that all invalid values are reported at
            /// once.
            pub(super) fn parse(merged: &mut Merged) -> Option<Self> {
                $(let $name = merged.parse($section, stringify!($name), $default, $parse);)+
                $($(let $part = $Part::parse(merged);)+)?
                Some(Self { $($name: $name?,)+ $($($part: $part?,)+)? })
            }
        })+

        pub(super) static OPTIONS: &[Spec] = &[$($(Spec {
            group: $section,
            name: stringify!($name),
            negation: concat!("no", stringify!($name)),
            kind: $kind,
            default: $default,
            kernel_argument: $kernel_argument,
            help: concat!($($help),+),
            check: |text| {
                let parsed: Result<$type, Reason> = $parse(text);
                parsed.map(|_| ())
            },
            reach: Scope::$reach,
            effect: Effect::Used,
        },)+)+];
    };
}

use Kind::{Flag, List, Number, Secret as Hidden, Switch, Value};

options! {
    /// What the operator wants: one field an option, immutable after start. Not `Clone`: it holds secrets.
    Config ["DEFAULT", Everywhere] {
        /// Addresses of Ironic's API, separated by commas, or mdns to ask the network; without one there is no lookup and no
        /// heartbeat.
        api_url: ApiUrl = known, List("URLS"), "", "ipa-api-url";
        /// Sent as X-OpenStack-Request-ID with every request to Ironic.
        global_request_id: Option<String> = optional(request_id), Value("ID"), "", "ipa-global-request-id";
        /// Ironic's API version; asked from Ironic if not set.
        ironic_api_version: Option<String> = optional(text), Value("VERSION"), "", "ipa-ironic-api-version";
        /// Seconds a request to Ironic may take.
        http_request_timeout: Duration = seconds::<1>, Number("SECONDS"), "30", "ipa-http-request-timeout";
        /// Seconds after which the agent stops looking for its node and starts anew.
        lookup_timeout: Duration = seconds::<0>, Number("SECONDS"), "600", "ipa-lookup-timeout";
        /// Fewest seconds between two lookups.
        lookup_interval: Duration = seconds::<0>, Number("SECONDS"), "1", "ipa-lookup-interval";

        /// The agent token, where Ironic does not give it with the lookup.
        agent_token: Option<AgentToken> = agent_token, Hidden("TOKEN"), "", "ipa-agent-token";
        /// SHA-256, in hexadecimal digits, of the secret that an observer shows as Authorization: Bearer; it reads and changes
        /// nothing.
        observer_token_sha256: Option<Sha256Digest> = optional(known), Value("SHA256"), "", "ferrite-observer-token-sha256";

        /// Address the agent's API listens on; every address if not set.
        listen_host: Option<IpAddr> = optional(address), Value("ADDRESS"), "", "ipa-listen-host";
        /// Network interface to whose address the agent's API is bound, or auto for the address by which Ironic is reached; every
        /// address if not set. The interface itself is not checked: a packet for that address is taken wherever it comes in.
        listen_interface: Option<String> = optional(text), Value("NAME"), "", "ferrite-listen-interface";
        /// Port the agent's API listens on.
        listen_port: u16 = port, Number("PORT"), "9999", "ipa-listen-port";
        /// Serve with tls_cert_file and tls_key_file; no certificate is made.
        listen_tls: bool = boolean, Flag, "false", "";
        /// Certificate of the agent's API.
        tls_cert_file: Option<PathBuf> = optional(path), Value("FILE"), "", "";
        /// Private key of the agent's API.
        tls_key_file: Option<PathBuf> = optional(path), Value("FILE"), "", "";
        /// Make a certificate for the agent's API.
        enable_auto_tls: bool = boolean, Flag, "true", "";
        /// Seconds the reader's clock may at least be behind the agent's for the made certificate.
        auto_tls_allowed_clock_skew: Duration = seconds::<0>, Number("SECONDS"), "3600", "";
        /// Oldest TLS version, both ways: 1.2 or 1.3.
        tls_min_version: MinVersion = known, Value("VERSION"), "1.2", "ipa-tls-min-version";
        /// Cipher suites of TLS 1.2, by OpenSSL's names, separated by colons.
        tls_cipher_suites: Option<CipherSuites> = optional(known), Value("SUITES"), "", "ipa-tls-cipher-suites";
        /// Key of the made certificate: p256, p384 or p521.
        tls_certificate_curve: Curve = known, Value("CURVE"), "p384", "ipa-tls-certificate-curve";

        /// Host that Ironic is told to call; found by the route to Ironic if not set.
        advertise_host: Option<Host> = optional(host), Value("HOST"), "", "ipa-advertise-host";
        /// Port that Ironic is told to call.
        advertise_port: u16 = port, Number("PORT"), "9999", "ipa-advertise-port";
        /// Protocol that Ironic is told to call: http or https; https where a certificate is made.
        advertise_protocol: Scheme = known, Value("PROTOCOL"), "http", "ipa-advertise-protocol";
        /// How often the route to Ironic is looked for.
        ip_lookup_attempts: u32 = count::<1>, Number("NUMBER"), "6", "ipa-ip-lookup-attempts";
        /// Seconds between two such looks.
        ip_lookup_sleep: Duration = seconds::<0>, Number("SECONDS"), "10", "ipa-ip-lookup-timeout";
        /// Network interface whose address Ironic is told.
        network_interface: Option<String> = optional(text), Value("NAME"), "", "ipa-network-interface";

        /// Do not verify TLS servers: Ironic's API and image servers.
        insecure: bool = boolean, Flag, "false", "ipa-insecure";
        /// Keys of which Ironic's API must show one, instead of a chain to an authority, and with insecure too: the SHA-256 of the
        /// certificate's public key (SubjectPublicKeyInfo) as curl writes it, sha256//BASE64, or in hexadecimal digits, separated
        /// by commas. Image servers are verified as ever.
        api_pin: Option<Pins> = optional(known), List("PINS"), "", "ferrite-api-pin";
        /// The only authorities that are trusted, in PEM (CERTIFICATE or OpenSSL's TRUSTED CERTIFICATE); the system's if not set.
        /// A server's own certificate may be one of them, also one that calls itself an authority (CA:TRUE), as openssl req -x509
        /// makes them: its times, its names and its uses count. Only authorities vouch for other certificates, as OpenSSL has it; the
        /// times of their own do not count then (RFC 5280, section 6.1).
        cafile: Option<PathBuf> = optional(path), Value("FILE"), "", "";
        /// Certificate the agent shows to servers.
        certfile: Option<PathBuf> = optional(path), Value("FILE"), "", "";
        /// Private key of that certificate.
        keyfile: Option<PathBuf> = optional(path), Value("FILE"), "", "";

        /// Seconds to wait before the hardware is looked at.
        hardware_initialization_delay: Duration = seconds::<0>, Number("SECONDS"), "0", "ipa-hardware-initialization-delay";
        /// How often to look for the first disk; 0 does not wait.
        disk_wait_attempts: u32 = count::<0>, Number("NUMBER"), "10", "ipa-disk-wait-attempts";
        /// Seconds between two such looks.
        disk_wait_delay: Duration = seconds::<0>, Number("SECONDS"), "3", "ipa-disk-wait-delay";
        /// Refuse to erase disks that hold a shared file system.
        guard_special_filesystems: bool = boolean, Flag, "true", "ipa-guard-special-filesystems";

        /// Priority of the inject_files deploy step, 0 to 99; 0 leaves it out.
        inject_files_priority: u8 = priority, Number("NUMBER"), "0", "ipa-inject-files-priority";

        /// Time server to set the clock by, at start and before the machine is switched off.
        ntp_server: Option<String> = optional(text), Value("HOST"), "", "ipa-ntp-server";
        /// Fail where the clock cannot be set.
        fail_if_clock_not_set: bool = boolean, Flag, "false", "";

        /// User name for image servers.
        image_server_user: Option<String> = optional(text), Value("NAME"), "", "";
        /// Password for image servers.
        image_server_password: Option<Secret<String>> = optional(secret), Hidden("PASSWORD"), "", "";
        /// How image servers are told who asks: noauth or http_basic. Servers of images and of checksum files are told, and the
        /// same host where it redirects to itself (also from http to https on their own ports), but no other that is redirected to,
        /// and none that somebody else than Ironic names, whom a policy lets write images.
        image_server_auth_strategy: ImageServerAuth = known, Value("STRATEGY"), "noauth", "";
        /// Seconds an image server may be silent.
        image_download_connection_timeout: Duration = seconds::<1>, Number("SECONDS"), "60", "ipa-image-download-connection-timeout";
        /// How often a failed download is tried again.
        image_download_connection_retries: u32 = count::<0>, Number("NUMBER"), "9", "ipa-image-download-connection-retries";
        /// Seconds between two such tries.
        image_download_connection_retry_interval: Duration = seconds::<0>, Number("SECONDS"), "10", "ipa-image-download-connection-retry-interval";
        /// Seconds the download of an image may take, all attempts together but without the time the disk needs; 0 is no limit.
        image_download_max_duration: Duration = seconds::<0>, Number("SECONDS"), "0", "ipa-image-download-max-duration";
        /// Accept MD5 checksums, also in os_hash_algo.
        md5_enabled: bool = boolean, Flag, "false", "";
        /// Do not look into images before they are written.
        disable_deep_image_inspection: bool = boolean, Flag, "false", "";
        /// Image formats that may be written, separated by commas; an empty list permits none.
        permitted_image_formats: Vec<String> = list, List("FORMATS"), "raw,gpt,qcow2", "";
        /// Make the config drive's file system anew, always.
        config_drive_rebuild: bool = boolean, Flag, "false", "";
        /// Go on when the boot loader cannot be installed; the image's own wish counts if not set.
        ignore_bootloader_failure: Option<bool> = optional(boolean), Flag, "", "ipa-ignore-bootloader-failure";
        /// Install a BIOS boot loader by programs of the image.
        enable_bios_bootloader_install: bool = boolean, Flag, "false", "";

        /// Log what helps to find a fault.
        debug: bool = boolean, Flag, "false", "ipa-debug";
        /// A configuration of Python's logging, which means nothing here.
        log_config_append: Option<PathBuf> = optional(path), Value("FILE"), "", "";
        /// Write the log to this file instead of standard error.
        log_file: Option<PathBuf> = optional(path), Value("FILE"), "", "";
        /// Folder of log_file where that is no absolute path.
        log_dir: Option<PathBuf> = optional(path), Value("FOLDER"), "", "";
        /// How the time of an event is written, in strftime's words; RFC 3339 with milliseconds if not set.
        log_date_format: Option<String> = optional(text), Value("FORMAT"), "", "";
        /// Write each event as a JSON object.
        use_json: bool = boolean, Flag, "false", "";
        /// Send the log to the journal.
        use_journal: bool = boolean, Flag, "false", "";
        /// Send the log to syslog.
        use_syslog: bool = boolean, Flag, "false", "";
        /// Facility that syslog is told: LOG_USER, LOG_DAEMON, LOG_LOCAL0, ….
        syslog_log_facility: Facility = known, Value("FACILITY"), "LOG_USER", "";
        /// Log to standard error beside a file, syslog or the journal.
        use_stderr: bool = boolean, Flag, "false", "";

        /// Do what destroys even where the root file system is no ramdisk.
        allow_installed_system: bool = boolean, Switch, "false", "";
        /// Show the list of commands, without results, to conductors that send no token there (2023.1 to 2024.2).
        open_command_list: bool = boolean, Flag, "false", "ferrite-open-command-list";
        /// Serve commands without a lookup and without heartbeats.
        standalone: bool = boolean, Switch, "false", "";

        with {
            /// `[mdns]`.
            mdns: Mdns,
            /// `[keystone_authtoken]`.
            keystone: KeystoneAuth,
            /// `[oslo_policy]`.
            policy: OsloPolicy,
        }
    }

    /// `[mdns]`: asking the network for Ironic.
    Mdns ["mdns", Files] {
        /// Ask the network for Ironic's API where no address is given.
        use_mdns: bool = boolean, Flag, "false", "ipa-use-mdns";
        /// Options that the answer may override; an empty list permits none.
        allowed_overrides: Vec<String> = list, List("NAMES"), "inspection_callback_url,ntp_server", "";
        /// How often to ask.
        lookup_attempts: u32 = count::<1>, Number("NUMBER"), "3", "";
        /// Addresses of the interfaces to ask by; all interfaces if not set.
        interfaces: Vec<IpAddr> = addresses, List("ADDRESSES"), "", "";
    }

    /// `[keystone_authtoken]`: who shows a Keystone token.
    KeystoneAuth ["keystone_authtoken", Files] {
        /// Where Keystone is, with or without /v3 at its end; without it, nobody is let in by a Keystone token.
        auth_url: Option<Url> = optional(service_url), Value("URL"), "", "ferrite-keystone-auth-url";
        /// Which of the catalogue's endpoints of Keystone is asked about tokens: internal, public or admin. There is a catalogue
        /// only where the agent has credentials of its own; else auth_url is asked.
        interface: Interface = known, Value("INTERFACE"), "internal", "";
        /// Region of that endpoint; any region if not set.
        region_name: Option<String> = optional(text), Value("NAME"), "", "";
        /// The only authorities that are trusted for Keystone; those of every other client if not set.
        cafile: Option<PathBuf> = optional(path), Value("FILE"), "", "";
        /// Do not verify Keystone's TLS server; the option of all other clients is not for Keystone.
        insecure: bool = boolean, Flag, "false", "";
        /// Seconds in which Keystone must have told whose a token is.
        http_connect_timeout: Duration = seconds::<1>, Number("SECONDS"), "10", "";
        /// Seconds for which Keystone's answer is remembered, and so at most how late a revoked token is refused; 0 always asks.
        token_cache_time: Duration = cache_time, Number("SECONDS"), "60", "";
        /// User as whom the agent asks Keystone; without credentials, a token is shown to Keystone to ask about itself.
        username: Option<String> = optional(text), Value("NAME"), "", "";
        /// Domain of that user, by its identifier; by its name if not set.
        user_domain_id: Option<String> = optional(text), Value("ID"), "", "";
        /// Domain of that user.
        user_domain_name: String = text, Value("NAME"), "Default", "";
        /// Password of that user.
        password: Option<Secret<String>> = optional(secret), Hidden("PASSWORD"), "", "";
        /// Project in which that user asks.
        project_name: Option<String> = optional(text), Value("NAME"), "", "";
        /// Domain of that project, by its identifier; by its name if not set.
        project_domain_id: Option<String> = optional(text), Value("ID"), "", "";
        /// Domain of that project.
        project_domain_name: String = text, Value("NAME"), "Default", "";
        /// Scope in which that user asks, instead of a project: all.
        system_scope: Option<SystemScope> = optional(known), Value("SCOPE"), "", "";
        /// Application credential with which the agent asks Keystone, instead of a user's name and password.
        application_credential_id: Option<String> = optional(text), Value("ID"), "", "";
        /// Secret of that application credential.
        application_credential_secret: Option<Secret<String>> = optional(secret), Hidden("SECRET"), "", "";
    }

    /// `[oslo_policy]`: who may do what on the agent's API.
    OsloPolicy ["oslo_policy", Files] {
        /// File with rules that replace built-in ones, below the configuration's folder where that is no absolute path.
        policy_file: PathBuf = path, Value("FILE"), "policy.yaml", "";
        /// Folders with more such files, separated by commas; an empty list names none.
        policy_dirs: Vec<PathBuf> = paths, List("FOLDERS"), "policy.d", "";
        /// Rule that decides where one is named that does not exist.
        policy_default_rule: String = text, Value("NAME"), "default", "";
        /// Refuse tokens of another scope than a rule is made for.
        enforce_scope: bool = boolean, Flag, "true", "";
        /// Do not let in by deprecated rules too.
        enforce_new_defaults: bool = boolean, Flag, "true", "";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value() {
        let mut merged = Merged::default();
        let config = Config::parse(&mut merged);
        assert_eq!(merged.problems, []);
        let config = config.unwrap();
        assert_eq!(config.listen_port, 9999);
        assert_eq!(config.lookup_timeout, Duration::from_secs(600));
        assert_eq!(config.permitted_image_formats, ["raw", "gpt", "qcow2"]);
        assert!(config.agent_token.is_none() && config.api_url.urls().is_empty());
    }
}
