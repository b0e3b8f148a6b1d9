//! Tests of precedence between sources.

use super::*;
use std::fs;
use zeroize::Zeroizing;

struct Machine {
    folder: tempfile::TempDir,
    kernel: &'static str,
    media: Option<&'static str>,
    environment: Vec<(&'static str, &'static str)>,
    arguments: Vec<&'static str>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/ironic-python-agent.d")).unwrap();
        Self {
            folder,
            kernel: "",
            media: None,
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn load(&self) -> Result<Loaded, Error> {
        load(&Root::at(self.folder.path()), self.sources())
    }

    fn sources(&self) -> Sources {
        let words = |text: &str| KernelArgs::parse(Zeroizing::new(text.to_owned()));
        let command = CommandLine::arguments(clap::Command::new("agent"));
        let arguments = [&["agent"], self.arguments.as_slice()].concat();
        Sources {
            kernel: words(self.kernel),
            media: self.media.map(words),
            environment: self
                .environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            command_line: CommandLine::taken_from(
                &mut command.try_get_matches_from(arguments).unwrap(),
            ),
        }
    }

    fn port(&self) -> u16 {
        self.load().unwrap().config.listen_port
    }
}

#[test]
fn each_source_beats_the_ones_before_it() {
    let mut machine = Machine::new();
    assert_eq!(machine.port(), 9999);
    machine.media = Some("ipa-listen-port=1");
    assert_eq!(machine.port(), 1);
    machine.kernel = "ipa-listen-port=2";
    assert_eq!(machine.port(), 2);
    machine.file("etc/ironic-python-agent.conf", "[DEFAULT]\nlisten_port=3\n");
    assert_eq!(machine.port(), 3);
    machine.file(
        "etc/ironic-python-agent.d/b.conf",
        "[DEFAULT]\nlisten_port=5\n",
    );
    machine.file(
        "etc/ironic-python-agent.d/a.conf",
        "[DEFAULT]\nlisten_port=4\n",
    );
    assert_eq!(machine.port(), 5);
    machine.environment = vec![("OS_DEFAULT__LISTEN_PORT", "6")];
    assert_eq!(machine.port(), 6);
    machine.arguments = vec!["--listen_port", "7"];
    assert_eq!(machine.port(), 7);
}

#[test]
fn the_token_comes_from_every_static_source() {
    let token = |machine: &Machine| {
        let config = machine.load().unwrap().config;
        config
            .agent_token
            .map(|token| token.expose_with(str::to_owned))
    };
    let mut machine = Machine::new();
    assert_eq!(token(&machine), None);
    machine.kernel = "boot_method=vmedia ipa-api-url=https://prepared";
    machine.media = Some("ipa-agent-token=of-media");
    assert_eq!(token(&machine).unwrap(), "of-media");
    machine.kernel = "boot_method=vmedia ipa-agent-token=of-kernel";
    assert_eq!(token(&machine).unwrap(), "of-kernel");
    machine.file(
        "etc/ironic-python-agent.d/t.conf",
        "[DEFAULT]\nagent_token = of-file\n",
    );
    assert_eq!(token(&machine).unwrap(), "of-file");
    machine.environment = vec![("OS_DEFAULT__AGENT_TOKEN", "of-environment")];
    assert_eq!(token(&machine).unwrap(), "of-environment");
    machine.arguments = vec!["--agent_token", "of-arguments"];
    assert_eq!(token(&machine).unwrap(), "of-arguments");
    machine.media = None;
    assert_eq!(machine.load().unwrap().warnings.len(), 1);
}

#[test]
fn a_covered_token_is_none_and_its_origin_is_named() {
    let mut machine = Machine::new();
    machine.kernel = "ipa-agent-token=****** boot_method=vmedia";
    let loaded = machine.load().unwrap();
    assert!(loaded.config.agent_token.is_none());
    let setting = loaded
        .settings
        .iter()
        .find(|setting| setting.name == "agent_token");
    assert_eq!(setting.unwrap().origin(), "kernel argument ipa-agent-token");
    machine.media = Some("ipa-agent-token=of-media");
    let loaded = machine.load().unwrap();
    assert!(loaded.config.agent_token.is_none());
    assert_eq!(loaded.warnings, []);
}

/// Every kernel argument of the option table, each with a value other than its default.
const EVERYTHING: &str = "ipa-api-url=http://former ipa-agent-token=former ipa-insecure=1 \
    ferrite-api-pin=sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= \
    ferrite-observer-token-sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 \
    ferrite-keystone-auth-url=https://former ferrite-open-command-list=1 ipa-use-mdns=1 ipa-ntp-server=former \
    ipa-listen-host=192.0.2.1 ipa-listen-port=1 ipa-advertise-host=former ipa-advertise-port=1 \
    ipa-advertise-protocol=https ipa-network-interface=former ipa-tls-min-version=1.3 ipa-tls-cipher-suites=ALL \
    ipa-tls-certificate-curve=p256 ipa-ironic-api-version=1.1 ipa-guard-special-filesystems=0 \
    ipa-inject-files-priority=9 ipa-ignore-bootloader-failure=1 ferrite-listen-interface=former \
    ipa-inspection-callback-url=http://former ipa-inspection-collectors=former ipa-inspection-dhcp-wait-timeout=1 \
    ipa-inspection-dhcp-all-interfaces=1 ipa-lldp-timeout=1 ipa-collect-lldp=1 ipa-enable-vlan-interfaces=former \
    ipa-enable-discard-erase=1 ipa-debug=1 ipa-global-request-id=req-1 ipa-http-request-timeout=1 ipa-lookup-timeout=1 \
    ipa-lookup-interval=9 ipa-ip-lookup-attempts=1 ipa-ip-lookup-timeout=1 ipa-hardware-initialization-delay=1 \
    ipa-disk-wait-attempts=1 ipa-disk-wait-delay=1 ipa-image-download-connection-timeout=1 \
    ipa-image-download-connection-retries=1 ipa-image-download-connection-retry-interval=1 \
    ipa-image-download-max-duration=1";

#[test]
fn a_medium_sets_nothing_that_matters_beside_a_command_line_that_ironic_wrote() {
    let mut machine = Machine::new();
    machine.kernel =
        "boot_method=vmedia ir_pub_id=1 ipa-api-url=https://ironic ipa-agent-token=******";
    machine.media = Some(EVERYTHING);
    let arguments = EVERYTHING.split_whitespace().count();
    let known = registry::all().filter(|spec| !spec.kernel_argument.is_empty());
    assert_eq!(arguments, known.count(), "every argument is tried");

    let loaded = machine.load().unwrap();
    let changed = |origin: &str| -> Vec<String> {
        let settings = loaded.settings.iter();
        let changed = settings.filter(|setting| setting.origin().starts_with(origin));
        changed.map(Setting::full_name).collect()
    };
    assert_eq!(changed("kernel argument"), ["api_url", "agent_token"]);
    let mut added = changed("parameter");
    added.sort();
    assert_eq!(
        added,
        [
            "debug",
            "disk_wait_attempts",
            "disk_wait_delay",
            "global_request_id",
            "hardware_initialization_delay",
            "http_request_timeout",
            "image_download_connection_retries",
            "image_download_connection_retry_interval",
            "image_download_connection_timeout",
            "image_download_max_duration",
            "ip_lookup_attempts",
            "ip_lookup_sleep",
            "lookup_interval",
            "lookup_timeout",
        ]
    );
    // All but those, and the token, which may be the same.
    assert_eq!(loaded.warnings.len(), arguments - added.len() - 1);
}

#[test]
fn a_byte_order_mark_hides_no_first_key() {
    let mut machine = Machine::new();
    machine.media = Some("\u{feff}ipa-lookup-timeout=9\nipa-lookup-interval=8\n");
    machine.file(
        "etc/ironic-python-agent.conf",
        "\u{feff}[DEFAULT]\nlisten_port = 7\ncafile = /ca.crt\n",
    );
    let made = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
    machine.file("ca.crt", &format!("\u{feff}{}", made.cert.pem()));
    let config = machine.load().unwrap().config;
    assert_eq!(config.lookup_timeout.as_secs(), 9);
    assert_eq!(config.lookup_interval.as_secs(), 8);
    assert_eq!(config.listen_port, 7);
    let root = Root::at(machine.folder.path());
    assert!(config.tls_client(&root).unwrap().config(&root).is_ok());
}

#[test]
fn a_medium_adds_no_trust_to_a_ramdisk_that_is_configured() {
    let mut machine = Machine::new();
    machine.kernel = "boot_method=vmedia";
    machine.media = Some("ipa-api-url=https://i ipa-agent-token=t ipa-insecure=1");
    let config = machine.load().unwrap().config;
    assert!(config.insecure && config.agent_token.is_some());
    assert_eq!(config.api_url.urls().len(), 1);

    machine.file(
        "etc/ironic-python-agent.conf",
        "[DEFAULT]\ncafile = /etc/site.crt\n",
    );
    let Loaded {
        config, warnings, ..
    } = machine.load().unwrap();
    assert!(!config.insecure && config.agent_token.is_some());
    assert_eq!(config.api_url.urls().len(), 1);
    let told: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "parameter ipa-insecure on virtual media: insecure is not taken from this medium: put it on the kernel command line \
          or into the ramdisk"
        ]
    );
}

#[test]
fn every_trusted_source_says_whether_media_are_needed() {
    let known = |machine: &Machine| {
        let root = Root::at(machine.folder.path());
        machine.sources().known(&root)
    };
    let (nothing, all) = (
        Known::default(),
        Known {
            configured: true,
            conductor: true,
        },
    );
    let mut machine = Machine::new();
    machine.kernel = "boot_method=vmedia";
    machine.media = Some("ipa-api-url=https://media");
    machine.environment = vec![("OS_DEFAULT__API_URL", "")];
    assert_eq!(known(&machine), nothing);
    machine.environment = vec![("OS_DEFAULT__API_URL", "https://e")];
    assert_eq!(known(&machine), all);
    machine.kernel = "boot_method=pxe";
    assert_eq!(known(&machine), nothing);
    machine.kernel = "boot_method=vmedia";
    machine.environment.clear();
    machine.arguments = vec!["--api_url", "https://c"];
    assert_eq!(known(&machine), all);
    machine.arguments = vec!["--standalone"];
    assert_eq!(known(&machine), all);
    machine.arguments.clear();
    machine.file(
        "etc/ironic-python-agent.d/x.conf",
        "[mdns]\nuse_mdns = yes\n",
    );
    assert_eq!(known(&machine), all);
}

#[test]
fn the_boots_debug_argument_beats_everything() {
    let mut machine = Machine::new();
    machine.arguments = vec!["--debug"];
    assert!(machine.load().unwrap().config.debug);
    machine.kernel = "ipa-debug=0";
    assert!(!machine.load().unwrap().config.debug);
    machine.kernel = "ipa-debug=1";
    machine.arguments = vec!["--nodebug"];
    assert!(machine.load().unwrap().config.debug);
    machine.kernel = "ipa-debug=maybe";
    machine.arguments = vec!["--debug"];
    assert!(!machine.load().unwrap().config.debug);
    // A medium may set it only if no other source does.
    machine.kernel = "";
    machine.media = Some("ipa-debug=0");
    assert!(machine.load().unwrap().config.debug);
    machine.arguments.clear();
    machine.media = Some("ipa-debug=1");
    assert!(machine.load().unwrap().config.debug);
}

#[test]
fn all_bad_values_are_told_with_their_origins() {
    let mut machine = Machine::new();
    machine.kernel = "ipa-listen-port=70000";
    let file = machine.file(
        "etc/ironic-python-agent.d/x.conf",
        "[DEFAULT]\n# a comment\ninsecure = maybe\n",
    );
    machine.environment = vec![("OS_DEFAULT__LOOKUP_TIMEOUT", "soon")];
    machine.arguments = vec!["--advertise_protocol=ftp"];
    let told = machine.load().unwrap_err().to_string();
    for wanted in [
        r#"kernel argument ipa-listen-port: listen_port must be a port, 0 to 65535, not "70000""#,
        &format!(
            "{}, line 3: insecure must be true or false, not \"maybe\"",
            file.display()
        ),
        "environment, OS_DEFAULT__LOOKUP_TIMEOUT: lookup_timeout must be a whole number of seconds",
        "command line, --advertise_protocol: advertise_protocol must be http or https",
    ] {
        assert!(told.contains(wanted), "{wanted}\nis not in\n{told}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_told() {
    for (option, text, wanted) in [
        (
            "observer_token_sha256",
            "canary-plain",
            "observer_token_sha256 ",
        ),
        ("api_pin", "canary-plain", "api_pin "),
        ("api_url", "u:canary@h:6385", "api_url must be http"),
        ("api_url", "http://h,u:ca,canary@h", "api_url must be http"),
        ("api_url", "u%3Acanary%40h", "api_url must be http"),
        ("api_url", "ftp://u:canary@h", "not \"ftp://******@h\""),
    ] {
        let mut machine = Machine::new();
        let file = machine.file(
            "etc/ironic-python-agent.d/x.conf",
            &format!("[DEFAULT]\n{option} = {text}\n"),
        );
        let loaded = machine.load().unwrap_err().to_string();
        let checked = check(vec![file]).errors;
        let checked: Vec<_> = checked.iter().map(ToString::to_string).collect();
        machine.file("etc/ironic-python-agent.d/x.conf", "");
        machine.arguments = vec![Box::leak(format!("--{option}={text}").into_boxed_str())];
        let given = machine.load().unwrap_err().to_string();
        for told in [loaded, checked.join("\n"), given] {
            assert!(told.contains(wanted) && !told.contains("canary"), "{told}");
        }
    }
}

#[test]
fn who_asks_is_not_shown_where_the_scheme_of_a_url_was_forgotten() {
    let mut machine = Machine::new();
    machine.kernel = "ipa-inspection-callback-url=u:canary@h";
    let loaded = machine.load().unwrap();
    assert!(!format!("{:?}", loaded.settings).contains("canary"));
}

#[test]
fn a_bad_value_that_is_overruled_does_no_harm() {
    let mut machine = Machine::new();
    machine.kernel = "ipa-listen-port=x";
    machine.arguments = vec!["--listen_port=1"];
    assert_eq!(machine.port(), 1);
}

#[test]
fn an_empty_text_is_the_default() {
    let mut machine = Machine::new();
    machine.kernel = "ipa-listen-port= ipa-debug= ipa-agent-token= ipa-api-url=";
    let config = machine.load().unwrap().config;
    assert_eq!((config.listen_port, config.debug), (9999, false));
    assert!(config.agent_token.is_none() && config.api_url.urls().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_and_one_that_cannot_be_understood_are_told_together() {
    let mut machine = Machine::new();
    machine.file("etc/ironic-python-agent.d/x.conf", "listen_port = 1\n");
    machine.arguments = vec!["--config-file", "/nonexistent/a.conf"];
    let problems = machine.load().unwrap_err().0;
    assert_eq!(problems.len(), 2);
}

#[test]
fn a_file_that_does_not_exist_is_named_without_a_line() {
    let mut machine = Machine::new();
    machine.arguments = vec![
        "--config-file=/nonexistent/a.conf",
        "--config-dir=/nonexistent",
    ];
    let told = machine.load().unwrap_err().to_string();
    assert_eq!(
        told,
        "configuration cannot be used: /nonexistent: cannot be read: No such file or directory (os error 2); \
         /nonexistent/a.conf: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_file_and_line() {
    let machine = Machine::new();
    let path = machine
        .folder
        .path()
        .join("etc/ironic-python-agent.d/x.conf");
    fs::write(
        &path,
        b"[DEFAULT]\n# caf\xc3\xa9\nimage_server_password = h\xfcsh\n",
    )
    .unwrap();
    let told = machine.load().unwrap_err().to_string();
    assert_eq!(
        told,
        format!(
            "configuration cannot be used: {}, line 3: the line holds bytes that are not UTF-8: save the file as UTF-8",
            path.display()
        )
    );
}

/// PID 1 and the environment pass text on in which such bytes are replaced.
#[test]
fn bytes_that_are_not_utf8_are_refused_in_every_source() {
    let mut machine = Machine::new();
    machine.kernel = "other=\u{fffd} ipa-ntp-server=\u{fffd}";
    machine.media = Some("ipa-agent-token=h\u{fffd}sh");
    machine.environment = vec![
        ("OTHER", "\u{fffd}"),
        ("OS_DEFAULT__IMAGE_SERVER_PASSWORD", "h\u{fffd}sh"),
    ];
    let told = machine.load().unwrap_err().0;
    let shown: Vec<_> = told.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "kernel argument ipa-ntp-server: ntp_server holds bytes that are not UTF-8",
            "environment, OS_DEFAULT__IMAGE_SERVER_PASSWORD: image_server_password holds bytes that are not UTF-8",
        ]
    );
}

/// A device that a former user left must not prevent the agent from starting.
#[test]
fn what_a_medium_says_and_is_no_value_is_passed_over_and_told() {
    let mut machine = Machine::new();
    machine.kernel = "boot_method=vmedia ipa-api-url=https://k";
    machine.media = Some(
        "ipa-http-request-timeout=0 ipa-lookup-timeout=hush ipa-ip-lookup-attempts=$lookup_timeout \
         ipa-agent-token=h\u{fffd}sh ipa-debug=1",
    );
    let loaded = machine.load().unwrap();
    assert_eq!(loaded.config.http_request_timeout.as_secs(), 30);
    assert_eq!(loaded.config.ip_lookup_attempts, 6);
    assert!(loaded.config.debug && loaded.config.agent_token.is_none());
    let told: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    for name in ["agent-token", "http-request-timeout", "lookup-timeout"] {
        let beginning = format!("parameter ipa-{name} on virtual media: ");
        let of_it: Vec<_> = told
            .iter()
            .filter(|told| told.starts_with(&beginning))
            .collect();
        assert!(
            of_it.len() == 1 && of_it[0].ends_with(": passed over"),
            "{told:?}"
        );
    }
    assert!(!told.iter().any(|told| told.contains("hush")));
    // In any other source the same value is an error.
    machine.kernel = "boot_method=vmedia ipa-api-url=https://k ipa-http-request-timeout=0";
    machine.load().unwrap_err();
}

#[test]
fn what_a_medium_says_a_thousand_times_in_vain_is_told_once() {
    let mut machine = Machine::new();
    machine.kernel = "boot_method=vmedia ir_pub_id=1 ipa-api-url=https://k";
    let text = "ipa-insecure=1 ipa-debgu=1 ipa-lookup-timeout=hush ".repeat(1000);
    machine.media = Some(text.leak());
    let warnings = machine.load().unwrap().warnings;
    let told: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn a_mediums_contradiction_to_others_is_passed_over() {
    let mut machine = Machine::new();
    let pin = "ferrite-api-pin=sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    machine.kernel = pin;
    machine.media = Some("ipa-api-url=http://m ipa-debug=1");
    let loaded = machine.load().unwrap();
    assert!(loaded.config.debug && loaded.config.api_url.urls().is_empty());
    assert_eq!(loaded.warnings.len(), 1);
}

/// A device that a former user left must not prevent the agent from starting.
#[test]
fn bytes_that_are_not_utf8_are_no_problem_in_what_is_not_taken_from_media() {
    let mut machine = Machine::new();
    machine.kernel = "ipa-api-url=https://k ipa-debug=1";
    machine.media = Some("ipa-api-url=\u{fffd} ipa-debug=\u{fffd} ipa-insecure=\u{fffd}");
    let config = machine.load().unwrap().config;
    assert!(config.debug && !config.insecure);
    let urls: Vec<_> = config
        .api_url
        .urls()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(urls, ["https://k/"]);
}

/// As in oslo.config: a list that restricts something must not fall back to the entries it was
/// meant to remove.
#[test]
fn an_empty_list_is_a_value_where_the_default_is_not_empty() {
    let mut machine = Machine::new();
    machine.file(
        "etc/ironic-python-agent.d/x.conf",
        "[DEFAULT]\npermitted_image_formats =\n[mdns]\nallowed_overrides =\n[oslo_policy]\npolicy_dirs =\n",
    );
    let loaded = machine.load().unwrap();
    let config = &loaded.config;
    let nothing: [String; 0] = [];
    assert_eq!(config.permitted_image_formats, nothing);
    assert_eq!(config.mdns.allowed_overrides, nothing);
    assert_eq!(config.policy.policy_dirs, Vec::<PathBuf>::new());
    let shown = loaded.settings.iter();
    let shown: Vec<_> = shown
        .filter(|setting| setting.is_set())
        .map(|setting| format!("{} {}", setting.name, setting.value))
        .collect();
    assert_eq!(
        shown,
        [
            "permitted_image_formats (none)",
            "allowed_overrides (none)",
            "policy_dirs (none)"
        ]
    );
    machine.environment = vec![("OS_DEFAULT__PERMITTED_IMAGE_FORMATS", "raw")];
    assert_eq!(
        machine.load().unwrap().config.permitted_image_formats,
        ["raw"]
    );
    machine.arguments = vec!["--permitted_image_formats="];
    assert_eq!(
        machine.load().unwrap().config.permitted_image_formats,
        nothing
    );
}

#[test]
fn named_files_and_directories_replace_the_usual_ones() {
    let mut machine = Machine::new();
    machine.file("etc/ironic-python-agent.conf", "[DEFAULT]\nlisten_port=1\n");
    machine.file(
        "etc/ironic-python-agent.d/a.conf",
        "[DEFAULT]\nadvertise_port=1\n",
    );
    let named = machine.file("named.conf", "[DEFAULT]\nlisten_port=2\n");
    machine.arguments = vec!["--config-file", named.to_str().unwrap().to_owned().leak()];
    let config = machine.load().unwrap().config;
    assert_eq!((config.listen_port, config.advertise_port), (2, 1));
}

#[test]
fn roots_own_file_comes_before_that_of_etc() {
    let machine = Machine::new();
    machine.file("etc/ironic-python-agent.conf", "[DEFAULT]\nlisten_port=1\n");
    fs::create_dir_all(machine.folder.path().join("root")).unwrap();
    machine.file(
        "root/ironic-python-agent.conf",
        "[DEFAULT]\nlisten_port=2\n",
    );
    assert_eq!(machine.port(), 2);
}

#[test]
fn a_reference_of_a_kernel_argument_is_read_and_a_broken_one_told_with_its_origin() {
    let mut machine = Machine::new();
    machine.kernel = "ipa-network-interface=e$listen_port";
    let config = machine.load().unwrap().config;
    assert_eq!(config.network_interface.unwrap(), "e9999");
    machine.kernel = "ipa-network-interface=$nosuch";
    assert_eq!(
        machine.load().unwrap_err().to_string(),
        "configuration cannot be used: kernel argument ipa-network-interface: \
         network_interface refers to $nosuch, which is no option"
    );
}

#[test]
fn a_word_of_the_kernel_command_line_without_a_name_sets_nothing() {
    let mut machine = Machine::new();
    machine.kernel = "=nonsense ipa-debug=1";
    let loaded = machine.load().unwrap();
    assert!(loaded.config.debug);
    assert_eq!(loaded.warnings.len(), 0);
}

#[test]
fn an_unknown_option_and_one_without_effect_are_told() {
    let machine = Machine::new();
    machine.file(
        "etc/ironic-python-agent.conf",
        "[DEFAULT]\nntp_port=1\n[metrics]\nbackend=noop\n",
    );
    let loaded = machine.load().unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.without_effect.len(), 1);
}

#[test]
fn an_assertion_about_the_token_is_kept_with_its_origin_and_changes_nothing() {
    let mut machine = Machine::new();
    machine.kernel = "ipa-agent-token-required=0 ipa-agent-token=x";
    machine.media = Some("ipa-agent-token-required=perhaps");
    let path = machine.file(
        "etc/ironic-python-agent.d/x.conf",
        "[DEFAULT]\nagent_token_required = true\n",
    );
    let loaded = machine.load().unwrap();
    let argument = "ipa-agent-token-required";
    assert_eq!(
        loaded.token_required,
        [
            TokenRequired {
                origin: Origin::KernelArgument(argument.to_owned()),
                asserted: Some(false)
            },
            TokenRequired {
                origin: Origin::MediaParameter(argument.to_owned()),
                asserted: None
            },
            TokenRequired {
                origin: Origin::File(path, 2),
                asserted: Some(true)
            },
        ]
    );
    assert!(loaded.config.agent_token.is_some());
}

#[test]
fn debug_of_everything_shows_no_secret() {
    let mut machine = Machine::new();
    machine.kernel = "ipa-agent-token=hush-hush";
    machine.environment = vec![("OS_DEFAULT__IMAGE_SERVER_PASSWORD", "hush-hush")];
    let loaded = machine.load().unwrap();
    assert!(!format!("{loaded:?}").contains("hush"));
}

#[test]
fn a_client_certificate_needs_both_files() {
    let machine = Machine::new();
    machine.file("etc/ironic-python-agent.conf", "[DEFAULT]\ncertfile=/c\n");
    let loaded = machine.load().unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    let root = Root::at(machine.folder.path());
    assert!(loaded.config.tls_client(&root).unwrap().identity.is_none());
}

#[test]
fn an_authority_that_cannot_be_read_is_named() {
    let machine = Machine::new();
    machine.file(
        "etc/ironic-python-agent.conf",
        "[DEFAULT]\ncafile=/etc/none.crt\n",
    );
    let root = Root::at(machine.folder.path());
    let error = machine
        .load()
        .unwrap()
        .config
        .tls_client(&root)
        .unwrap_err();
    assert!(error.to_string().ends_with("etc/none.crt"));
}

#[test]
fn a_certificate_or_key_that_is_none_is_named_with_its_file() {
    let machine = Machine::new();
    let made = rcgen::generate_simple_self_signed(["agent".to_owned()]).unwrap();
    let certificate = machine.file("c.pem", &made.cert.pem());
    let nothing = machine.file("nothing.pem", "nothing\n");
    let root = Root::at(machine.folder.path());
    let told = |certificate: &str, key: &str| {
        let text = format!("[DEFAULT]\ncertfile=/{certificate}\nkeyfile=/{key}\n");
        machine.file("etc/ironic-python-agent.conf", &text);
        let config = machine.load().unwrap().config;
        crate::error::chain(&config.tls_client(&root).unwrap_err())
    };
    let reading = |path: &std::path::Path, what: &str| {
        format!(
            "using {}: reading {what} from PEM: no items found",
            path.display()
        )
    };
    assert_eq!(
        told("nothing.pem", "c.pem"),
        reading(&nothing, "certificates")
    );
    assert_eq!(
        told("c.pem", "c.pem"),
        reading(&certificate, "a private key")
    );
}

#[test]
fn credentials_for_keystone_are_whole_and_one() {
    let mut machine = Machine::new();
    let told = |machine: &Machine| -> Vec<_> {
        let Error(problems) = machine.load().unwrap_err();
        problems.into_iter().map(|problem| problem.reason).collect()
    };
    let variable = |name: &str| -> &'static str { format!("OS_KEYSTONE_AUTHTOKEN__{name}").leak() };
    machine.kernel = "ferrite-keystone-auth-url=https://k";
    machine.environment = vec![(variable("PASSWORD"), "hush")];
    assert_eq!(
        told(&machine),
        ["[keystone_authtoken] password is set and username is not"]
    );
    machine.environment = vec![
        (variable("USERNAME"), "u"),
        (variable("PASSWORD"), "hush"),
        (variable("APPLICATION_CREDENTIAL_ID"), "i"),
    ];
    assert_eq!(
        told(&machine),
        [
            "[keystone_authtoken] application_credential_id is set and application_credential_secret is not",
            "[keystone_authtoken] application_credential_id is set, and so is username: the agent is one user",
        ]
    );
    machine.environment.truncate(2);
    machine.environment.push((variable("SYSTEM_SCOPE"), "all"));
    let keystone = machine.load().unwrap().config.keystone;
    assert_eq!(keystone.auth_url.unwrap().as_str(), "https://k/");
    assert_eq!(keystone.system_scope, Some(SystemScope::All));
    assert_eq!(keystone.user_domain_name, "Default");
    machine.environment.push((variable("PROJECT_NAME"), "p"));
    assert_eq!(
        told(&machine),
        ["[keystone_authtoken] system_scope is set, and so is project_name: a token has one scope"]
    );
}

#[test]
fn tokens_in_clear_and_a_keystone_that_is_not_verified_are_told() {
    let mut machine = Machine::new();
    machine.kernel = "ferrite-keystone-auth-url=http://k ipa-insecure=1";
    let loaded = machine.load().unwrap();
    let [warning] = &loaded.warnings[..] else {
        panic!("{:?}", loaded.warnings);
    };
    assert!(warning.to_string().starts_with(
        "kernel argument ferrite-keystone-auth-url: [keystone_authtoken] auth_url is without TLS"
    ));
    let root = Root::at(machine.folder.path());
    let every = loaded.config.tls_client(&root).unwrap();
    let keystones = loaded.config.keystone.tls_client(&every, &root).unwrap();
    assert!(every.insecure && !keystones.insecure);
    machine.kernel = "";
    machine.environment = vec![
        ("OS_KEYSTONE_AUTHTOKEN__INSECURE", "yes"),
        ("OS_KEYSTONE_AUTHTOKEN__USERNAME", "u"),
        ("OS_KEYSTONE_AUTHTOKEN__PASSWORD", "hush"),
    ];
    let loaded = machine.load().unwrap();
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
}

#[test]
fn values_that_contradict_each_other_are_told_with_their_origin() {
    const PIN: &str = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let mut machine = Machine::new();
    machine.environment = vec![
        ("OS_DEFAULT__API_PIN", PIN),
        ("OS_DEFAULT__LISTEN_HOST", "192.0.2.1"),
    ];
    machine.kernel = "ipa-api-url=https://a,http://b ferrite-listen-interface=eth0";
    let Error(problems) = machine.load().unwrap_err();
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "environment, OS_DEFAULT__API_PIN: api_pin is set, and api_url has http:// URLs: an API without TLS has no key to show",
            "kernel argument ferrite-listen-interface: listen_interface is set, and so is listen_host: the API is bound to one of them",
        ]
    );
    machine.kernel = "ipa-api-url=https://a,https://b";
    assert!(machine.load().unwrap().config.api_pin.is_some());
    let file = machine.file(
        "pinned.conf",
        &format!("[DEFAULT]\napi_url = http://a\napi_pin = {PIN}\n"),
    );
    let Checked { errors, .. } = check(vec![file.clone()]);
    let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let wanted = format!(
        "{}, line 3: api_pin is set, and api_url has http:// URLs: an API without TLS has no key to show",
        file.display()
    );
    assert_eq!(told, [wanted]);
}
