//! All options, and queries on the whole table.

use super::ignored_options::ACCEPTED;
use super::options::OPTIONS;
use super::spec::{DEFAULT, Spec};

/// Returns every option, those without effect last.
pub(super) fn all() -> impl Iterator<Item = &'static Spec> {
    OPTIONS.iter().chain(ACCEPTED)
}

/// Returns every option, grouped.
pub(super) fn by_group() -> Vec<(&'static str, Vec<&'static Spec>)> {
    let mut groups: Vec<(&'static str, Vec<&'static Spec>)> = Vec::new();
    for spec in all() {
        match groups.iter_mut().find(|(group, _)| *group == spec.group) {
            Some((_, specs)) => specs.push(spec),
            None => groups.push((spec.group, vec![spec])),
        }
    }
    groups
}

/// Finds an option by its group and name in a file. Groups other than `[DEFAULT]` match in any
/// case; deprecated names match too.
pub(super) fn in_file(group: &str, key: &str) -> Option<Found> {
    let same_group =
        |known: &str| known == group || (known != DEFAULT && known.eq_ignore_ascii_case(group));
    let find = |name: &str| {
        all().find(|spec| spec.is_in_files() && same_group(spec.group) && spec.name == name)
    };
    if let Some(spec) = find(key) {
        return Some(Found {
            spec,
            renamed: false,
        });
    }
    let (_, _, name) = RENAMED
        .iter()
        .find(|(old_group, old_key, _)| same_group(old_group) && *old_key == key)?;
    let spec = all().find(|spec| spec.is_named(DEFAULT, name))?;
    Some(Found {
        spec,
        renamed: true,
    })
}

/// Option that a key of a file names.
pub(super) struct Found {
    pub(super) spec: &'static Spec,
    /// Whether the file uses the option's deprecated name.
    pub(super) renamed: bool,
}

/// Deprecated group and name, and the current name in `[DEFAULT]` (IPA: `config.py`; oslo.log:
/// `_options.py`).
pub(super) const RENAMED: &[(&str, &str, &str)] = &[
    ("ssl", "cert_file", "tls_cert_file"),
    ("ssl", "key_file", "tls_key_file"),
    (DEFAULT, "logfile", "log_file"),
    (DEFAULT, "logdir", "log_dir"),
    (DEFAULT, "log_config", "log_config_append"),
];

#[cfg(test)]
mod tests {
    use super::super::spec::HARMLESS;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_kernel_arguments_are_unique() {
        let names: BTreeSet<_> = all().map(|spec| (spec.group, spec.name)).collect();
        assert_eq!(names.len(), all().count());
        let arguments: Vec<_> = all()
            .map(|spec| spec.kernel_argument)
            .filter(|argument| !argument.is_empty())
            .collect();
        let unique: BTreeSet<_> = arguments.iter().collect();
        assert_eq!(unique.len(), arguments.len());
    }

    #[test]
    fn what_media_may_add_are_options_with_kernel_arguments() {
        let harmless = all().filter(|spec| spec.is_harmless());
        let arguments: Vec<_> = harmless.map(|spec| spec.kernel_argument).collect();
        assert_eq!(arguments.len(), HARMLESS.len());
        assert!(
            arguments
                .iter()
                .all(|argument| argument.starts_with("ipa-"))
        );
    }

    #[test]
    fn every_default_is_a_value_of_its_option() {
        for spec in all().filter(|spec| !spec.default.is_empty()) {
            assert_eq!((spec.check)(spec.default), Ok(()), "{}", spec.full_name());
        }
    }

    #[test]
    fn files_name_groups_in_any_case_but_the_first() {
        let name = |group, key| in_file(group, key).map(|found| found.spec.full_name());
        assert_eq!(name("MDNS", "use_mdns").unwrap(), "[mdns] use_mdns");
        assert_eq!(name("DEFAULT", "api_url").unwrap(), "api_url");
        assert_eq!(name("SSL", "cert_file").unwrap(), "tls_cert_file");
        assert_eq!(name("default", "api_url"), None);
        assert_eq!(name("DEFAULT", "Api_Url"), None);
        assert_eq!(name("DEFAULT", "standalone"), None);
    }

    #[test]
    fn old_names_lead_to_options() {
        for (group, key, _) in RENAMED {
            assert!(
                in_file(group, key).is_some_and(|found| found.renamed),
                "{key}"
            );
        }
    }
}
