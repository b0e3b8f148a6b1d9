//! Options of parts that this agent lacks. A configuration that sets them works unchanged, and the
//! agent reports that they have no effect. A row has the columns of [`super::options`], without a
//! type.

use super::spec::{Effect, Kind, Scope, Spec};
use super::values::{
    Reason, boolean, count, float, list, number, one_of, pairs, port, seconds, text,
};

macro_rules! accepted {
    ($([$section:literal, $reach:ident] {
        $($(#[doc = $help:literal])+ $name:ident = $parse:expr, $kind:expr, $default:literal, $kernel_argument:literal;)+
    })+) => {
        pub(super) static ACCEPTED: &[Spec] = &[$($(Spec {
            group: $section,
            name: stringify!($name),
            negation: concat!("no", stringify!($name)),
            kind: $kind,
            default: $default,
            kernel_argument: $kernel_argument,
            help: concat!($($help),+),
            check: |text| checked($parse(text)),
            reach: Scope::$reach,
            effect: Effect::None,
        },)+)+];
    };
}

fn checked<T>(parsed: Result<T, Reason>) -> Result<(), Reason> {
    parsed.map(|_| ())
}

use Kind::{Flag, List, Number, Value};

accepted! {
    ["DEFAULT", Everywhere] {
        /// Where inspection data are sent; or mdns.
        inspection_callback_url = text, Value("URL"), "", "ipa-inspection-callback-url";
        /// What inspection collects.
        inspection_collectors = text, List("NAMES"), "", "ipa-inspection-collectors";
        /// Seconds to wait for an address before inspection.
        inspection_dhcp_wait_timeout = seconds::<0>, Number("SECONDS"), "60", "ipa-inspection-dhcp-wait-timeout";
        /// Wait for every interface's address before inspection.
        inspection_dhcp_all_interfaces = boolean, Flag, "false", "ipa-inspection-dhcp-all-interfaces";
        /// Repeat inspection.
        introspection_daemon = boolean, Flag, "false", "";
        /// Seconds between two inspections.
        introspection_daemon_post_interval = number, Number("SECONDS"), "300", "";
        /// Seconds to listen for LLDP.
        lldp_timeout = float, Number("SECONDS"), "30.0", "ipa-lldp-timeout";
        /// Listen for LLDP when the inventory is made.
        collect_lldp = boolean, Flag, "false", "ipa-collect-lldp";
        /// VLAN interfaces to make.
        enable_vlan_interfaces = text, List("NAMES"), "", "ipa-enable-vlan-interfaces";
        /// Erase disks by discarding where nothing better is known.
        enable_discard_erase = boolean, Flag, "false", "ipa-enable-discard-erase";
        /// Do not deploy by bootc.
        disable_bootc_deploy = boolean, Flag, "false", "";
    }

    ["DEFAULT", Files] {
        /// Colour of the log.
        log_color = boolean, Flag, "false", "";
        /// How the log is rotated.
        log_rotation_type = text, Value("TYPE"), "none", "";
        /// After how long the log is rotated.
        log_rotate_interval = number, Number("NUMBER"), "1", "";
        /// Unit of that.
        log_rotate_interval_type = text, Value("UNIT"), "days", "";
        /// How many old logs are kept.
        max_logfile_count = number, Number("NUMBER"), "30", "";
        /// Largest log in MB.
        max_logfile_size_mb = number, Number("NUMBER"), "200", "";
        /// Form of a line of Python's log.
        logging_context_format_string = text, Value("FORMAT"), "", "";
        /// Form of a line of Python's log.
        logging_default_format_string = text, Value("FORMAT"), "", "";
        /// Form of a line of Python's log.
        logging_debug_format_suffix = text, Value("FORMAT"), "", "";
        /// Form of a line of Python's log.
        logging_exception_prefix = text, Value("FORMAT"), "", "";
        /// Form of a line of Python's log.
        logging_user_identity_format = text, Value("FORMAT"), "", "";
        /// Levels of Python's loggers.
        default_log_levels = list, List("LEVELS"), "", "";
        /// Publish errors as events.
        publish_errors = boolean, Flag, "false", "";
        /// Form of an instance in Python's log.
        instance_format = text, Value("FORMAT"), "", "";
        /// Form of an instance in Python's log.
        instance_uuid_format = text, Value("FORMAT"), "", "";
        /// Seconds over which lines of the log are counted.
        rate_limit_interval = number, Number("SECONDS"), "0", "";
        /// Lines of the log in that time.
        rate_limit_burst = number, Number("NUMBER"), "0", "";
        /// Lines of this level are not limited.
        rate_limit_except_level = text, Value("LEVEL"), "CRITICAL", "";
        /// End when something deprecated is used.
        fatal_deprecations = boolean, Flag, "false", "";
    }

    ["mdns", Files] {
        /// For who answers, not for who asks.
        params = pairs, Value("PAIRS"), "", "";
    }

    ["disk_utils", Files] {
        /// MiB of the EFI system partition that is made for a partition image.
        efi_system_partition_size = number, Number("MIB"), "550", "";
        /// MiB of the BIOS boot partition that is made for a partition image.
        bios_boot_partition_size = number, Number("MIB"), "1", "";
        /// Block size of dd, which is not used.
        dd_block_size = text, Value("SIZE"), "1M", "";
        /// How often a new partition is looked for.
        partition_detection_attempts = count::<1>, Number("NUMBER"), "3", "";
        /// How often a partition is read.
        partprobe_attempts = number, Number("NUMBER"), "10", "";
        /// MiB that qemu-img may take, which is not used.
        image_convert_memory_limit = number, Number("MIB"), "2048", "";
        /// How often qemu-img is tried, which is not used.
        image_convert_attempts = number, Number("NUMBER"), "3", "";
    }

    ["disk_partitioner", Files] {
        /// Seconds between two looks whether a disk is busy.
        check_device_interval = number, Number("SECONDS"), "1", "";
        /// How often to look whether a disk is busy.
        check_device_max_retries = number, Number("NUMBER"), "20", "";
    }

    ["oslo_concurrency", Files] {
        /// Of Python's locks.
        disable_process_locking = boolean, Flag, "false", "";
        /// Of Python's locks.
        lock_path = text, Value("FOLDER"), "", "";
    }

    ["metrics", Files] {
        /// Where metrics go: noop, statsd or collector.
        backend = |text| one_of(&["noop", "statsd", "collector"], text), Value("NAME"), "noop", "";
        /// Put the host's name in front of a metric's.
        prepend_host = boolean, Flag, "false", "";
        /// Turn the host's name around.
        prepend_host_reverse = boolean, Flag, "true", "";
        /// What stands in front of every metric's name.
        global_prefix = text, Value("TEXT"), "", "";
    }

    ["metrics_statsd", Files] {
        /// Host of statsd.
        statsd_host = text, Value("HOST"), "localhost", "";
        /// Port of statsd.
        statsd_port = port, Number("PORT"), "8125", "";
    }

    ["container", Files] {
        /// Run any container.
        allow_arbitrary_containers = boolean, Flag, "false", "";
        /// Containers that may be run.
        allowed_containers = list, List("NAMES"), "", "";
        /// File with the steps that containers do.
        container_steps_file = text, Value("FILE"), "/etc/ironic-python-agent.d/mysteps.yaml", "";
        /// What runs containers: podman or docker.
        runner = |text| one_of(&["podman", "docker"], text), Value("NAME"), "podman", "";
        /// How containers are fetched.
        pull_options = list, List("ARGUMENTS"), "", "";
        /// How containers are run.
        run_options = list, List("ARGUMENTS"), "--rm,--network=host", "";
    }

    ["keystone_authtoken", Files] {
        /// How a service shows itself to Keystone: the agent tells it from the credentials that are there.
        auth_type = text, Value("NAME"), "", "";
        /// Where callers are told to get a token: the agent tells them nothing.
        www_authenticate_uri = text, Value("URL"), "", "";
    }
}
