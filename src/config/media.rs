//! Restricts what virtual media may set beside more trusted sources.
//!
//! Nothing ties a volume with `parameters.txt` to this boot: a USB device that a former user left
//! in the machine can carry the same label. Every other source therefore overrides it. As soon as
//! another source configures this agent, such a volume may only add missing options. It cannot
//! change which peers the agent trusts or obeys.

use super::kernel_args::KernelArgs;
use super::merge::{Origin, Problem, Raw};
use super::registry::all;
use super::spec::{DEFAULT, Effect, Spec};
use super::values::{Reason, boolean};
use crate::redact::MASK;
use zeroize::Zeroizing;

/// Summary of the settings from sources other than virtual media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether one of them decides which peers the agent trusts, what it does, or which ISO was
    /// booted. If so, media decide nothing by themselves.
    pub configured: bool,
    /// Whether one of them names Ironic, or states that there is none: the agent can work without
    /// media.
    pub conductor: bool,
}

impl Known {
    pub(super) fn of<'a>(
        kernel: &KernelArgs,
        set: impl Iterator<Item = (&'static Spec, &'a str)>,
    ) -> Self {
        let mut known = Self {
            configured: kernel.publisher().is_some(),
            conductor: false,
        };
        for (option, text) in set.filter(|(_, text)| !text.is_empty()) {
            known.configured |= !option.is_harmless();
            let is_yes = || boolean(text) == Ok(true);
            known.conductor |= option.is_named(DEFAULT, "api_url")
                || (option.is_named("mdns", "use_mdns") && is_yes())
                || (option.is_named(DEFAULT, "standalone") && is_yes());
        }
        known
    }

    /// Returns the same with the usable parameters of a medium added.
    #[must_use]
    pub fn and(self, parameters: &KernelArgs) -> Self {
        let option = |key: &str| all().find(|option| option.kernel_argument == key);
        let set = parameters.effective_pairs().into_iter();
        let set = set
            .filter(|(key, _)| !key.is_empty())
            .filter_map(|(key, text)| Some((option(key)?, text)));
        // Whether a text with a reference is valid is known only after expansion.
        let usable = |(option, text): &(&'static Spec, &str)| {
            text.contains('$') || (option.check)(text).is_ok()
        };
        let said = Self::of(&KernelArgs::default(), set.filter(usable));
        Self {
            configured: self.configured || said.configured,
            conductor: self.conductor || said.conductor,
        }
    }
}

/// Returns a medium's texts that are admitted beside trusted sources, and problems for the rejected
/// ones.
pub(super) fn admitted(
    parameters: Vec<Raw>,
    trusted: &[Raw],
    kernel: &KernelArgs,
) -> (Vec<Raw>, Vec<Problem>) {
    let set = trusted.iter().map(|raw| (raw.option, raw.text.as_str()));
    let known = Known::of(kernel, set);
    let (mut admitted, mut refused) = (Vec::new(), Vec::new());
    for raw in parameters {
        let reason = match said_by(trusted, raw.option) {
            Some(other) if *other.text == *raw.text || *other.text == MASK => continue,
            Some(other) => refused_for(&other.origin),
            None if raw.text.is_empty() || may_add(raw.option, known, trusted, kernel) => {
                admitted.push(raw);
                continue;
            }
            None => NOT_FROM_MEDIA.to_owned(),
        };
        refused.push(Problem {
            origin: raw.origin,
            reason: format!("{} {reason}", raw.option.full_name()),
        });
    }
    (admitted, refused)
}

/// Returns whether a medium may set an option that no other source sets. On such a volume Ironic
/// gives a pre-built ISO its address and token (`config_via_removable`).
fn may_add(option: &Spec, known: Known, trusted: &[Raw], kernel: &KernelArgs) -> bool {
    let says = |name| {
        trusted
            .iter()
            .any(|raw| raw.option.is_named(DEFAULT, name) && !raw.text.is_empty())
    };
    let is = |name| option.is_named(DEFAULT, name);
    // Ironic writes its own ISO's command line, and both are on it.
    let of_ironic = kernel.publisher().is_some();
    !known.configured
        || option.is_harmless()
        || (is("agent_token") && !of_ironic)
        // A token of the command line would be sent to the medium's address.
        || (is("api_url") && !of_ironic && !says("agent_token"))
}

/// Describes a medium's text that, with references expanded, is no value of its option. Such a
/// medium is untrusted, and must not prevent the agent from starting.
pub(super) fn unusable(raw: &Raw, text: Result<&Zeroizing<String>, &Reason>) -> Option<Problem> {
    if !matches!(raw.origin, Origin::MediaParameter(_)) {
        return None;
    }
    let reason = match text {
        Ok(text) if text.is_empty() || raw.option.effect == Effect::None => return None,
        Ok(text) => (raw.option.check)(text).err()?,
        // The reason would repeat parts of the text.
        Err(_) => "has a $ that begins no usable reference to another option".to_owned(),
    };
    Some(passed_over(Problem {
        origin: raw.origin.clone(),
        reason: format!("{} {reason}", raw.option.full_name()),
    }))
}

pub(super) fn passed_over(problem: Problem) -> Problem {
    Problem {
        reason: format!("{}: passed over", problem.reason),
        ..problem
    }
}

fn said_by<'a>(trusted: &'a [Raw], option: &Spec) -> Option<&'a Raw> {
    let mut texts = trusted.iter().rev();
    texts.find(|raw| raw.option.is(option) && !raw.text.is_empty())
}

fn refused_for(origin: &Origin) -> String {
    format!("is set by {origin}, which this medium does not override")
}

const NOT_FROM_MEDIA: &str =
    "is not taken from this medium: put it on the kernel command line or into the ramdisk";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sources::RawInputs;

    fn raws(line: &str) -> Vec<Raw> {
        let mut given = RawInputs::default();
        given.take_kernel_arguments(&KernelArgs::parse(line.to_owned()));
        given.raws
    }

    fn taken(kernel: &str, parameters: &str) -> Vec<String> {
        let line = KernelArgs::parse(kernel.to_owned());
        let (taken, _) = admitted(raws(parameters), &raws(kernel), &line);
        let shown = |raw: &Raw| format!("{}={}", raw.option.name, *raw.text);
        taken.iter().map(shown).collect()
    }

    #[test]
    fn a_medium_adds_what_the_command_line_leaves_open() {
        let all = "ipa-api-url=http://m ipa-agent-token=m ipa-insecure=1 ipa-debug=1";
        for (kernel, wanted) in [
            // An ISO without configuration: the medium is the only source.
            (
                "boot_method=vmedia ipa-lookup-timeout=9",
                "api_url=http://m agent_token=m insecure=1 debug=1",
            ),
            // A pre-built ISO.
            ("ipa-api-url=https://k", "agent_token=m debug=1"),
            ("ipa-ntp-server=k", "api_url=http://m agent_token=m debug=1"),
            (
                "ferrite-api-pin=k",
                "api_url=http://m agent_token=m debug=1",
            ),
            ("ipa-agent-token=k", "debug=1"),
            // An ISO that Ironic built.
            ("ir_pub_id=k", "debug=1"),
            ("ir_pub_id=k ipa-agent-token=******", "debug=1"),
            (
                "ir_pub_id=k ipa-agent-token=k ipa-api-url=https://k ipa-debug=0",
                "",
            ),
            // Empty, as templates write unknown values.
            (
                "ir_pub_id= ipa-api-url= ipa-agent-token=",
                "api_url=http://m agent_token=m insecure=1 debug=1",
            ),
        ] {
            assert_eq!(taken(kernel, all).join(" "), wanted, "{kernel}");
        }
    }

    #[test]
    fn what_is_not_taken_is_told_with_its_reason_unless_it_is_the_same() {
        let kernel = "ir_pub_id=k ipa-api-url=https://k ipa-agent-token=****** ipa-debug=1";
        let parameters =
            "ipa-api-url=http://m ipa-agent-token=m ipa-insecure=1 ipa-debug=1 ipa-ntp-server=";
        let line = KernelArgs::parse(kernel.to_owned());
        let (_, refused) = admitted(raws(parameters), &raws(kernel), &line);
        let told: Vec<_> = refused.iter().map(|problem| &*problem.reason).collect();
        assert_eq!(
            told,
            [
                "api_url is set by kernel argument ipa-api-url, which this medium does not override",
                "insecure is not taken from this medium: put it on the kernel command line or into the ramdisk",
            ]
        );
    }

    #[test]
    fn whether_media_are_needed_is_known_from_the_other_sources() {
        let known = |line: &str| {
            let raws = raws(line);
            let set = raws.iter().map(|raw| (raw.option, raw.text.as_str()));
            let Known {
                configured,
                conductor,
            } = Known::of(&KernelArgs::parse(line.to_owned()), set);
            (configured, conductor)
        };
        assert_eq!(known("boot_method=vmedia ipa-debug=1"), (false, false));
        assert_eq!(known("ipa-api-url="), (false, false));
        assert_eq!(known("ir_pub_id=x"), (true, false));
        assert_eq!(known("ipa-agent-token=x"), (true, false));
        assert_eq!(known("ipa-use-mdns=0"), (true, false));
        assert_eq!(known("ipa-use-mdns=1"), (true, true));
        assert_eq!(known("ipa-api-url=mdns"), (true, true));
    }

    #[test]
    fn what_parameters_say_is_known_where_it_can_be_used() {
        let and = |line: &str| {
            let known = Known::default().and(&KernelArgs::parse(line.to_owned()));
            (known.configured, known.conductor)
        };
        assert_eq!(and("ipa-debug=1 ipa-api-url="), (false, false));
        assert_eq!(
            and("ipa-api-url=nonsense ipa-insecure=what"),
            (false, false)
        );
        assert_eq!(and("ipa-agent-token=t"), (true, false));
        assert_eq!(and("ipa-api-url=https://i"), (true, true));
        // The last of equal keys counts.
        assert_eq!(and("ipa-api-url=https://i ipa-api-url="), (false, false));
    }
}
