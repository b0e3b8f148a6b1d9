//! Kernel arguments of other ramdisks that this one does not follow: each is logged, because who
//! gave it expects something.
//!
//! `ip=` is read by the network's process, which logs what it does not use of it.

use crate::config::KernelArgs;

/// Logs the names of arguments that change nothing, and what to do instead. Their values may be
/// secrets.
pub(super) fn log(arguments: &KernelArgs) {
    for (argument, instead) in IGNORED {
        if arguments.value(argument).is_some() {
            tracing::warn!(
                argument,
                instead,
                "ignored a kernel argument: it has no effect in this ramdisk"
            );
        }
    }
}

/// dracut's (dracut.cmdline(7)), and those of the element `dynamic-login` of IPA's ramdisks.
const IGNORED: [(&str, &str); 9] = [
    ("bond", NO_VIRTUAL_INTERFACES),
    ("bridge", NO_VIRTUAL_INTERFACES),
    ("ifname", "interfaces keep the kernel's names"),
    (
        "nameserver",
        "name servers come by DHCP, from routers, or at the end of ip=",
    ),
    (
        "rd.route",
        "routes come by DHCP, from routers, or as the gateway of ip=",
    ),
    ("rootpwd", NO_LOGIN),
    ("sshkey", NO_LOGIN),
    ("team", NO_VIRTUAL_INTERFACES),
    ("vlan", NO_VIRTUAL_INTERFACES),
];
const NO_VIRTUAL_INTERFACES: &str =
    "each interface is used by itself, untagged: let the switch port lead to Ironic that way";
const NO_LOGIN: &str = "there is no login before a rescue: use Ironic's rescue";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Verbosity;
    use crate::logging::tests::captured;

    #[test]
    fn arguments_without_effect_are_logged_without_their_values() {
        let line = "quiet vlan=eth0.5:eth0 bond=bond0 rootpwd=\"hush\" sshkey=\"ssh-rsa AAAA\" ip=dhcp vlan";
        let text = captured(Verbosity::Info, || log(&KernelArgs::parse(line.to_owned())));
        let arguments: Vec<_> = text
            .lines()
            .map(|line| line.split(" argument=").nth(1).unwrap())
            .map(|fields| fields.split(' ').next().unwrap())
            .collect();
        assert_eq!(arguments, ["bond", "rootpwd", "sshkey", "vlan"]);
        assert!(!text.contains("hush") && !text.contains("AAAA"), "{text}");
    }

    #[test]
    fn other_arguments_are_nothing_to_log() {
        let text = captured(Verbosity::Info, || {
            log(&KernelArgs::parse(
                "ip=dhcp BOOTIF=x ipa-api-url=mdns vlan".to_owned(),
            ));
        });
        assert_eq!(text, "");
    }
}
