//! Parses `key=value` words: the syntax of the kernel command line and of virtual media's
//! `parameters.txt`.
//!
//! The rules are IPA's (`utils._read_params_from_file`). Words are separated by white space, and
//! only those with `=` count. The first `=` separates key and value, the last of equal keys wins,
//! and there is no quoting.

use super::bounded_read::{read_bounded, text_lossy};
use super::registry::all;
use crate::redact::MASK;
use crate::root::Root;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::io;
use zeroize::Zeroizing;

/// Arguments in `key=value` form. The text may hold the agent token, so it is stored once and wiped
/// when dropped.
#[derive(Default)]
pub struct KernelArgs(Zeroizing<String>);

impl KernelArgs {
    /// Reads the running kernel's command line.
    ///
    /// # Errors
    /// The kernel's error if `/proc/cmdline` cannot be read.
    pub fn of_kernel(root: &Root) -> io::Result<Self> {
        // Arguments of other programs may hold any bytes.
        read_bounded(&root.path("proc/cmdline")).map(|bytes| Self(text_lossy(bytes)))
    }

    /// Parses the words of a text; a byte order mark is skipped.
    #[must_use]
    pub fn parse(text: impl Into<Zeroizing<String>>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Self(text)
    }

    /// Returns the value of a key; `None` if it has none.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values(key).last()
    }

    /// Returns all values of a key that may be given several times.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.pairs()
            .filter(move |(found, _)| *found == key)
            .map(|(_, value)| value)
    }

    /// Returns the text with its secrets masked; `None` if it has none. All other bytes are
    /// preserved, because the text still configures the machine.
    #[must_use]
    pub fn masked(&self) -> Option<String> {
        let is_secret = |key: &str| {
            let mut secrets = all().filter(|spec| spec.is_secret());
            secrets.any(|spec| spec.kernel_argument == key)
        };
        let masked: String = self
            .0
            .split_inclusive(char::is_whitespace)
            .map(|word| match word.split_once('=') {
                Some((key, value)) if is_secret(key) => {
                    let behind = value.trim_start_matches(|c: char| !c.is_whitespace());
                    Cow::Owned(format!("{key}={MASK}{behind}"))
                }
                _ => Cow::Borrowed(word),
            })
            .collect();
        (masked != *self.0).then_some(masked)
    }

    /// Returns the effective arguments with secrets masked, for storage. The result exceeds the
    /// text by at most one mask for each secret option.
    #[must_use]
    pub fn without_secrets(&self) -> Zeroizing<String> {
        let pairs = self.effective_pairs().into_iter();
        let words: Vec<_> = pairs
            .map(|(key, value)| [key, "=", value].concat())
            .collect();
        let text = Self(Zeroizing::new(words.join(" ")));
        text.masked().map_or_else(|| text.0.clone(), Zeroizing::new)
    }

    /// Returns whether the machine was booted from virtual media. If so, other media are searched
    /// too.
    #[must_use]
    pub fn booted_from_media(&self) -> bool {
        self.value("boot_method") == Some("vmedia")
    }

    /// Returns the publisher of the ISO that was booted. Ironic writes it into the ISO, and onto
    /// the command line in it.
    #[must_use]
    pub fn publisher(&self) -> Option<&str> {
        self.value("ir_pub_id")
            .filter(|publisher| !publisher.is_empty())
    }

    /// Returns keys with their values, without those overridden by a later one of the same key.
    pub(super) fn effective_pairs(&self) -> Vec<(&str, &str)> {
        let pairs: Vec<_> = self.pairs().collect();
        let mut keys = HashSet::new();
        let pairs = pairs.into_iter().rev();
        let mut last: Vec<_> = pairs.filter(|(key, _)| keys.insert(*key)).collect();
        last.reverse();
        last
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
    }
}

impl fmt::Debug for KernelArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.pairs().map(|(key, _)| key))
            .finish()
    }
}

/// Kernel arguments that have a meaning without an option.
pub(super) const WITHOUT_OPTION: &[&str] = &["ipa-inspection-benchmarks", TOKEN_REQUIRED_ARGUMENT];
/// Read by [`super::token_required`].
pub(super) const TOKEN_REQUIRED_ARGUMENT: &str = "ipa-agent-token-required";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn args(text: &str) -> KernelArgs {
        KernelArgs::parse(Zeroizing::new(text.into()))
    }

    #[test]
    fn the_first_equals_sign_separates_and_the_last_word_wins() {
        let args =
            args("quiet ipa-api-url=http://a/?x=1 root=/dev/ram0\nipa-api-url=http://b/?x=2\n");
        assert_eq!(args.value("ipa-api-url"), Some("http://b/?x=2"));
        assert_eq!(args.value("quiet"), None);
        assert_eq!(args.value("IPA-API-URL"), None);
    }

    #[test]
    fn nothing_is_quoted() {
        let args = args("a=\"x y\" b='z'");
        assert_eq!(args.value("a"), Some("\"x"));
        assert_eq!(args.value("b"), Some("'z'"));
    }

    #[test]
    fn only_the_word_vmedia_means_virtual_media() {
        assert!(args("boot_method=vmedia").booted_from_media());
        assert!(!args("boot_method=pxe").booted_from_media());
        assert!(!args("boot_method=vmedia boot_method=").booted_from_media());
    }

    #[test]
    fn everybody_may_see_the_text_without_secrets() {
        assert_eq!(
            args("ro ipa-agent-token=hush x=1\n").masked().unwrap(),
            "ro ipa-agent-token=****** x=1\n"
        );
        assert_eq!(args("ro ipa-agent-token=******").masked(), None);
        assert_eq!(args("ro x=1").masked(), None);
    }

    #[test]
    fn what_is_kept_has_each_key_once_and_grows_by_a_mask_for_each_secret_at_most() {
        let given = "a=1\tipa-agent-token=hush quiet a=2\n=x ipa-agent-token=s\n";
        let kept = args(given).without_secrets();
        assert!(!kept.contains("hush") && args(&kept).value("a") == Some("2"));
        assert_eq!(args(&kept).pairs().count(), 3);
        let secrets = all().filter(|spec| spec.is_secret());
        let words: Vec<_> = secrets
            .map(|spec| [spec.kernel_argument, "="].concat())
            .collect();
        let given = (words.join(" ") + " ").repeat(100);
        let kept = args(&given).without_secrets();
        assert!(kept.len() <= words.join(" ").len() + words.len() * MASK.len());
    }

    #[test]
    fn debug_shows_keys_alone() {
        assert_eq!(
            format!("{:?}", args("ipa-agent-token=hush ro")),
            r#"["ipa-agent-token"]"#
        );
    }

    #[test]
    fn the_masked_text_is_the_same_but_for_secrets() {
        let given = "quiet  ipa-agent-token=a\"b'c ro\nipa-api-url=http://me:pw@a/ x-ipa-agent-token=d ipa-agent-token=e\n";
        assert_eq!(
            args(given).masked().unwrap(),
            "quiet  ipa-agent-token=****** ro\nipa-api-url=http://me:pw@a/ x-ipa-agent-token=d ipa-agent-token=******\n"
        );
        assert_eq!(args("quiet ro").masked(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in any::<String>(), key in any::<String>()) {
            let _ = args(&text).value(&key);
        }

        #[test]
        fn what_was_written_is_found(words in prop::collection::vec(("[a-zA-Z_-]{1,8}", "[!-~]{0,12}"), 0..9)) {
            let text: Vec<String> = words.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let args = args(&text.join("\t"));
            for (key, _) in &words {
                let last = words.iter().rev().find(|(other, _)| other == key).map(|(_, value)| value.as_str());
                prop_assert_eq!(args.value(key), last);
            }
        }
    }
}
