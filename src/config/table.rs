//! What is known of each option, and the questions that are asked of the whole table.

use super::accepted::ACCEPTED;
use super::options::OPTIONS;
use super::values::Reason;

/// One option, apart from its type.
pub(super) struct Spec {
    /// The group in a file.
    pub(super) group: &'static str,
    /// The name in a file and on the command line.
    pub(super) name: &'static str,
    /// How the command line switches it off, where it is a [`Kind::Flag`].
    pub(super) negation: &'static str,
    pub(super) kind: Kind,
    /// Empty where there is none.
    pub(super) default: &'static str,
    /// Empty where there is none.
    pub(super) kernel_argument: &'static str,
    pub(super) help: &'static str,
    /// Whether a text is a value of it.
    pub(super) check: fn(&str) -> Result<(), Reason>,
    pub(super) reach: Reach,
    pub(super) effect: Effect,
}

/// How an option looks on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--x` and `--nox`.
    Flag,
    /// `--x VALUE`, words separated by commas.
    List(&'static str),
    /// `--x VALUE`, a number.
    Number(&'static str),
    /// `--x VALUE` that nobody may see.
    Secret(&'static str),
    /// `--x`, and nowhere but on the command line.
    Switch,
    /// `--x VALUE`.
    Value(&'static str),
}

/// Where an option can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// On the command line too.
    Everywhere,
    /// In files and the environment alone, and by its kernel argument.
    Files,
}

/// Whether an option does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It belongs to a part that is not here: it may be set, and changes nothing.
    None,
    /// It does what its help says.
    Used,
}

impl Spec {
    /// Whether both are the same option: a name alone says nothing, groups may share it.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.is_named(other.group, other.name)
    }

    pub(super) fn is_named(&self, group: &str, name: &str) -> bool {
        (self.group, self.name) == (group, name)
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret(_))
    }

    /// Whether an empty text is a value and not the default (oslo.config: every list).
    pub(super) fn may_be_emptied(&self) -> bool {
        matches!(self.kind, Kind::List(_)) && !self.default.is_empty()
    }

    pub(super) fn is_in_files(&self) -> bool {
        self.kind != Kind::Switch
    }

    /// `name`, or `[group] name` outside `[DEFAULT]`.
    pub(super) fn full_name(&self) -> String {
        full_name(self.group, self.name)
    }

    /// The variable of the environment (oslo.config: `sources/_environment.py`).
    pub(super) fn variable(&self) -> String {
        format!("OS_{}__{}", self.group, self.name).to_ascii_uppercase()
    }
}

pub(super) fn full_name(group: &str, name: &str) -> String {
    if group == DEFAULT {
        name.to_owned()
    } else {
        format!("[{group}] {name}")
    }
}

/// Every option, those without effect after the others.
pub(super) fn every() -> impl Iterator<Item = &'static Spec> {
    OPTIONS.iter().chain(ACCEPTED)
}

/// Every option, group by group.
pub(super) fn by_group() -> Vec<(&'static str, Vec<&'static Spec>)> {
    let mut groups: Vec<(&'static str, Vec<&'static Spec>)> = Vec::new();
    for spec in every() {
        match groups.iter_mut().find(|(group, _)| *group == spec.group) {
            Some((_, specs)) => specs.push(spec),
            None => groups.push((spec.group, vec![spec])),
        }
    }
    groups
}

/// An option by the group and name that a file uses for it: groups in any case but `[DEFAULT]`, and old names.
pub(super) fn in_file(group: &str, key: &str) -> Option<Found> {
    let same_group =
        |known: &str| known == group || (known != DEFAULT && known.eq_ignore_ascii_case(group));
    let find = |name: &str| {
        every().find(|spec| spec.is_in_files() && same_group(spec.group) && spec.name == name)
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
    let spec = every().find(|spec| spec.is_named(DEFAULT, name))?;
    Some(Found {
        spec,
        renamed: true,
    })
}

/// What a file's key means.
pub(super) struct Found {
    pub(super) spec: &'static Spec,
    /// The file uses the option's old name.
    pub(super) renamed: bool,
}

/// Old group, old name, and the name in `[DEFAULT]` now (IPA: `config.py`; oslo.log: `_options.py`).
pub(super) const RENAMED: &[(&str, &str, &str)] = &[
    ("ssl", "cert_file", "tls_cert_file"),
    ("ssl", "key_file", "tls_key_file"),
    (DEFAULT, "logfile", "log_file"),
    (DEFAULT, "logdir", "log_dir"),
    (DEFAULT, "log_config", "log_config_append"),
];

pub(super) const DEFAULT: &str = "DEFAULT";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_kernel_arguments_are_unique() {
        let names: BTreeSet<_> = every().map(|spec| (spec.group, spec.name)).collect();
        assert_eq!(names.len(), every().count());
        let arguments: Vec<_> = every()
            .map(|spec| spec.kernel_argument)
            .filter(|argument| !argument.is_empty())
            .collect();
        let unique: BTreeSet<_> = arguments.iter().collect();
        assert_eq!(unique.len(), arguments.len());
    }

    #[test]
    fn every_default_is_a_value_of_its_option() {
        for spec in every().filter(|spec| !spec.default.is_empty()) {
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
