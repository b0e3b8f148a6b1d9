//! Names that are not options, each reported with the most similar known name.

use super::kernel_args::WITHOUT_OPTION;
use super::merge::{Origin, Problem, shortened};
use super::registry::all;
use super::spec::{Spec, full_name};
use crate::suggest::nearest;

/// A name that is not an option's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// A boot argument with one of the agent's prefixes.
    Argument(String, Origin),
    /// Group and key in a file.
    Key(String, String, Origin),
    /// An environment variable.
    Variable(String),
}

impl Unknown {
    /// Describes it as a problem.
    pub(super) fn problem(&self) -> Problem {
        let (origin, what, meant) = match self {
            Self::Argument(name, origin) => {
                let arguments = all().map(|spec| spec.kernel_argument);
                let known = arguments.chain(WITHOUT_OPTION.iter().copied());
                let meant = nearest(name, known.map(str::to_owned));
                (origin.clone(), "no such kernel argument".to_owned(), meant)
            }
            Self::Key(group, key, origin) => {
                let name = full_name(shortened(group), shortened(key));
                let meant = meant_key(group, key);
                (origin.clone(), format!("there is no option {name}"), meant)
            }
            Self::Variable(name) => {
                let meant = nearest(name, in_files().map(Spec::variable));
                let origin = Origin::Environment(shortened(name).to_owned());
                (origin, "no option has this variable".to_owned(), meant)
            }
        };
        let reason = match meant {
            Some(name) => format!("{what}; did you mean {name}?"),
            None => what,
        };
        Problem { origin, reason }
    }
}

/// Suggests a similar key in the same group, the same key in another group, or a similar key
/// anywhere.
fn meant_key(group: &str, key: &str) -> Option<String> {
    let of_group = in_files().filter(|spec| spec.group.eq_ignore_ascii_case(group));
    if let Some(name) = nearest(key, of_group.map(|spec| spec.name.to_owned())) {
        return Some(full_name(
            &group.to_ascii_lowercase().replace("default", "DEFAULT"),
            &name,
        ));
    }
    in_files()
        .find(|spec| spec.name == key)
        .map(Spec::full_name)
        .or_else(|| nearest(&full_name(group, key), in_files().map(Spec::full_name)))
}

fn in_files() -> impl Iterator<Item = &'static Spec> {
    all().filter(|spec| spec.is_in_files())
}

/// Describes unknown names as problems; above the limit only their number.
pub(super) fn problems(unknown: &[Unknown]) -> Vec<Problem> {
    let mut told: Vec<Problem> = unknown
        .iter()
        .take(MAX_LOGGED)
        .map(Unknown::problem)
        .collect();
    let more = unknown.len().saturating_sub(MAX_LOGGED);
    if let Some(last) = told.last_mut().filter(|_| more > 0) {
        last.reason = format!("{}; and {more} more names that nobody knows", last.reason);
    }
    told
}

const MAX_LOGGED: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn key(group: &str, key: &str) -> String {
        let origin = Origin::File(PathBuf::from("/f"), 3);
        let unknown = Unknown::Key(group.into(), key.into(), origin);
        unknown.problem().to_string()
    }

    #[test]
    fn an_unknown_name_is_said_with_its_nearest() {
        for (group, name, told) in [
            (
                "DEFAULT",
                "api-url",
                "there is no option api-url; did you mean api_url?",
            ),
            (
                "DEFAULT",
                "Debug",
                "there is no option Debug; did you mean debug?",
            ),
            (
                "MDNS",
                "use-mdns",
                "there is no option [MDNS] use-mdns; did you mean [mdns] use_mdns?",
            ),
            (
                "DEFAULT",
                "lookup_attempts",
                "there is no option lookup_attempts; did you mean ip_lookup_attempts?",
            ),
            (
                "DEFAULT",
                "statsd_host",
                "there is no option statsd_host; did you mean [metrics_statsd] statsd_host?",
            ),
            (
                "mdsn",
                "use_mdns",
                "there is no option [mdsn] use_mdns; did you mean [mdns] use_mdns?",
            ),
            (
                "default",
                "api_url",
                "there is no option [default] api_url; did you mean api_url?",
            ),
            (
                "DEFAULT",
                "zebra_stripes",
                "there is no option zebra_stripes",
            ),
        ] {
            assert_eq!(key(group, name), format!("/f, line 3: {told}"));
        }
    }

    #[test]
    fn arguments_and_variables_have_nearest_names_too() {
        let origin = Origin::KernelArgument("ipa-api-ulr".into());
        let told = Unknown::Argument("ipa-api-ulr".into(), origin).problem();
        assert_eq!(
            told.to_string(),
            "kernel argument ipa-api-ulr: no such kernel argument; did you mean ipa-api-url?"
        );
        let told = Unknown::Variable("OS_DEFAULT__API_URLS".into()).problem();
        assert_eq!(
            told.to_string(),
            "environment, OS_DEFAULT__API_URLS: no option has this variable; did you mean OS_DEFAULT__API_URL?"
        );
    }

    #[test]
    fn very_many_are_counted() {
        let many = vec![Unknown::Variable("OS_X__Y".into()); 60];
        let told = problems(&many);
        assert_eq!(told.len(), 50);
        assert!(
            told[49]
                .reason
                .ends_with("and 10 more names that nobody knows")
        );
    }
}
