//! Reference of kernel arguments, generated from the table of options.

use super::registry::all;
use super::spec::{Effect, Kind, Spec};
use std::fmt::Write;

/// Returns the text of `docs/kernel-arguments.md`.
#[must_use]
pub fn kernel_reference() -> String {
    let mut text = String::from(HEAD);
    let has_argument = |spec: &&Spec| !spec.kernel_argument.is_empty();
    let own = |spec: &&Spec| spec.kernel_argument.starts_with("ferrite-");
    let used = |spec: &&Spec| spec.effect == Effect::Used;
    let arguments = || all().filter(has_argument);
    section(
        &mut text,
        "IPA's",
        arguments().filter(|spec| used(spec) && !own(spec)),
    );
    section(&mut text, "Ferrite's own", arguments().filter(own));
    text.push_str(WITHOUT_OPTION);
    section(&mut text, ACCEPTED, arguments().filter(|spec| !used(spec)));
    text
}

fn section(text: &mut String, title: &str, specs: impl Iterator<Item = &'static Spec>) {
    // Writing to a `String` cannot fail.
    let _infallible = write!(
        text,
        "\n## {title}\n\n| Argument | Type | Default | Option | Meaning |\n|---|---|---|---|---|\n"
    );
    for spec in specs {
        let default = match spec.default {
            "" => "–".to_owned(),
            default => format!("`{default}`"),
        };
        let _infallible = writeln!(
            text,
            "| `{}` | {} | {default} | `{}` | {} |",
            spec.kernel_argument,
            kind(spec),
            spec.full_name(),
            spec.help.trim().replace("  ", " ").replace('|', "\\|"),
        );
    }
}

fn kind(spec: &Spec) -> String {
    match spec.kind {
        Kind::Flag | Kind::Switch => "boolean".to_owned(),
        Kind::List(words) => format!("list of {}", words.to_lowercase()),
        Kind::Number("NUMBER") => "number".to_owned(),
        Kind::Number(what) => format!("number ({})", what.to_lowercase()),
        Kind::Secret(what) => format!("{}, secret", what.to_lowercase()),
        Kind::Value(what) => what.to_lowercase(),
    }
}

const HEAD: &str = "\
# Kernel arguments

Made from the table of options by `make docs`.

Arguments are words of the form `key=value` on the kernel command line, and in `parameters.txt` of virtual media. Keys are exact,
nothing is quoted, of equal keys the last one wins. A configuration file, the environment and the agent's command line beat
them, but for `ipa-debug`, which beats all. `ferrite config show` tells what came of it.

`parameters.txt` adds what nothing else sets, and overrides nothing (IPA lets it override the kernel command line): any USB device
with the right label could be its volume. Where anything else configures the agent, or `ir_pub_id` is on the kernel command line,
it adds only waits and retries, `ipa-debug`, `ipa-global-request-id`, and, without `ir_pub_id`, a missing API address and agent
token; the log names what it is denied. It may have 32 KiB. Of several such volumes none is believed, nor a lone one before three
seconds in which no other came.

A boolean is `true` or `false`, `1` or `0`, `yes` or `no`, `on` or `off`, in any case. An argument that begins with `ipa-` and
is not here is told in the log, with the nearest one that is.
";

const WITHOUT_OPTION: &str = "
## Without an option

| Argument | Meaning |
|---|---|
| `boot_method=vmedia` | The machine was booted from virtual media: their `parameters.txt` and configuration files are read. |
| `BOOTIF` | MAC of the interface that the firmware booted from, `aa:bb:cc:dd:ee:ff` or `01-aa-bb-cc-dd-ee-ff`: told to Ironic as `boot.pxe_interface`, and asked for an address first. |
| `ir_pub_id` | Publisher of the ISO that this boot is of: another ISO's files are not read. Without it, an ISO's files are read only where nothing else configures the agent, and replace none. |
| `ip` | A static IPv4 address as the kernel takes it (`client:server:gateway:netmask:name:device:autoconf:dns0:dns1`), once for each interface. The netmask may be the length of a prefix; without one the address's class decides. Without a device it is for the interface booted from (`BOOTIF`), or the first one with a link. A gateway outside the network is looked for on the link. Forms such as `dhcp` or `eth1:dhcp` ask for what is done anyway on every interface without a static address. What is not used (IPv6, `off`, a field that cannot be read, an interface that is not there) is logged. |
| `bond`, `bridge`, `team`, `vlan`, `ifname`, `nameserver`, `rd.route` | dracut's: logged, and without effect. Each interface is used by itself and untagged. |
| `rootpwd`, `sshkey` | Of IPA's element `dynamic-login`: logged, and without effect. There is no login before a rescue. |
| `ipa-agent-token-required` | Ironic's old switch: told in the log, never obeyed. The token is always required. |
| `ipa-inspection-benchmarks` | Accepted, and changes nothing: its part is not here. |
";

const ACCEPTED: &str = "Accepted, and without effect: their part is not here";
