//! Validates configuration: errors, conflicts and warnings.

use super::interpolation::resolve_references;
use super::keystone;
use super::media;
use super::merge::{Merged, Origin, Problem, error_message};
use super::options::Config;
use super::sources::{RawInputs, files_in};
use super::spec::{DEFAULT, Effect};
use super::unknown;
use std::path::PathBuf;
use url::Url;

/// Result of validating configuration files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Problems that prevent the agent from starting.
    pub errors: Vec<Problem>,
    /// Problems that the agent only logs.
    pub warnings: Vec<Problem>,
}

/// Validates files, and the `*.conf` files of directories, without any other source. Values that
/// later ones override are validated too.
#[must_use]
pub fn check(paths: Vec<PathBuf>) -> Checked {
    let mut given = RawInputs::default();
    for path in paths {
        if !path.is_dir() {
            given.take_file(&path);
            continue;
        }
        match files_in(&path) {
            Ok(files) if files.is_empty() => given.problems.push(Problem {
                origin: Origin::File(path, 0),
                reason: "there is no *.conf file in it: nothing was checked".to_owned(),
            }),
            Ok(files) => files.iter().for_each(|file| given.take_file(file)),
            Err(error) => given.problems.push(Problem::unreadable(&path, &error)),
        }
    }
    let mut errors = std::mem::take(&mut given.problems);
    let raws = std::mem::take(&mut given.raws);
    for raw in &raws {
        // Whether a text with a reference is valid is known only for winning texts.
        let complete = !raw.text.is_empty() && !raw.text.contains('$');
        if complete
            && raw.option.effect == Effect::Used
            && let Err(reason) = (raw.option.check)(&raw.text)
        {
            errors.push(Problem {
                origin: raw.origin.clone(),
                reason: error_message(raw, &reason),
            });
        }
    }
    let mut merged = Merged::of(raws);
    // Media are not part of this validation.
    drop(resolve_references(&mut merged));
    let parsed = Config::parse(&mut merged);
    let mut winners = std::mem::take(&mut merged.problems);
    winners.extend(conflicts(parsed.as_ref(), &merged));
    errors.extend(
        winners
            .into_iter()
            .filter(|problem| !errors.contains(problem))
            .collect::<Vec<_>>(),
    );
    let mut warnings = warnings(&given, &merged);
    warnings.extend(
        without_effect(&merged)
            .into_iter()
            .map(|(name, origin)| Problem {
                origin,
                reason: format!("{name} changes nothing: its part is not here"),
            }),
    );
    Checked { errors, warnings }
}

/// Returns conflicts: values that are valid alone, but not together.
pub(super) fn conflicts(config: Option<&Config>, merged: &Merged) -> Vec<Problem> {
    let Some(config) = config else {
        return Vec::new();
    };
    let of_default = contradicting(config).into_iter().filter_map(|clash| {
        let origin = merged.get(DEFAULT, clash.option)?.origin.clone();
        let reason = clash.reason.to_owned();
        Some(Problem { origin, reason })
    });
    of_default.chain(keystone::conflicts(merged)).collect()
}

/// Returns media's texts that conflict with another source, or with each other. The caller drops
/// them.
pub(super) fn contradictions_of_media(config: Option<&Config>, merged: &Merged) -> Vec<Problem> {
    let Some(config) = config else {
        return Vec::new();
    };
    let clashes = contradicting(config).into_iter();
    clashes
        .flat_map(|clash| [(clash.option, clash.reason), (clash.other, clash.reason)])
        .filter_map(|(name, reason)| {
            let origin = merged.get(DEFAULT, name)?.origin.clone();
            let reason = reason.to_owned();
            let is_of_media = matches!(origin, Origin::MediaParameter(_));
            is_of_media.then(|| media::passed_over(Problem { origin, reason }))
        })
        .collect()
}

/// Two options whose values conflict.
struct Clash {
    option: &'static str,
    other: &'static str,
    reason: &'static str,
}

fn contradicting(config: &Config) -> Vec<Clash> {
    let in_clear = |url: &Url| url.scheme() == "http";
    let mut wrong = Vec::new();
    if config.api_pin.is_some() && config.api_url.urls().iter().any(in_clear) {
        wrong.push(Clash {
            option: "api_pin",
            other: "api_url",
            reason: "api_pin is set, and api_url has http:// URLs: an API without TLS has no key to show",
        });
    }
    if config.listen_interface.is_some() && config.listen_host.is_some() {
        wrong.push(Clash {
            option: "listen_interface",
            other: "listen_host",
            reason: "listen_interface is set, and so is listen_host: the API is bound to one of them",
        });
    }
    wrong
}

/// Returns warnings about settings that are probably a mistake.
pub(super) fn warnings(given: &RawInputs, merged: &Merged) -> Vec<Problem> {
    let mut warnings = unknown::problems(&given.unknown);
    warnings.extend(given.renamed.iter().cloned());
    warnings.extend(given.refused.iter().cloned());
    let mut warn = |name: &str, reason: String| {
        if let Some(raw) = merged.get(DEFAULT, name) {
            let origin = raw.origin.clone();
            warnings.push(Problem { origin, reason });
        }
    };
    let is_set = |name| merged.get(DEFAULT, name).is_some();
    for (one, other) in [("certfile", "keyfile"), ("keyfile", "certfile")] {
        if !is_set(other) {
            warn(
                one,
                format!(
                    "{one} is set and {other} is not: the agent shows no certificate to servers"
                ),
            );
        }
    }
    for (one, other) in [
        ("tls_cert_file", "tls_key_file"),
        ("tls_key_file", "tls_cert_file"),
    ] {
        if !is_set(other) {
            warn(
                one,
                format!(
                    "{one} is set and {other} is not: the agent's API does not show that certificate"
                ),
            );
        }
    }
    warn(
        "log_config_append",
        "log_config_append names a configuration of Python's logging: it is not read".to_owned(),
    );
    for raw in merged.winners() {
        if raw.option.is_secret() && matches!(raw.origin, Origin::CommandLine(_)) {
            let name = raw.option.name;
            warn(
                name,
                format!(
                    "{name} was given on the command line, where every process of the machine can read it"
                ),
            );
        }
    }
    warnings.extend(keystone::warnings(merged));
    for raw in merged.winners().iter().filter(|raw| !raw.text.is_empty()) {
        if raw.option.effect == Effect::None
            && let Err(reason) = (raw.option.check)(&raw.text)
        {
            warnings.push(Problem {
                origin: raw.origin.clone(),
                reason: error_message(raw, &reason),
            });
        }
    }
    warnings
}

/// Returns options that are set and have no effect, because this agent lacks the part they belong
/// to.
pub(super) fn without_effect(merged: &Merged) -> Vec<(String, Origin)> {
    merged
        .winners()
        .iter()
        .filter(|raw| raw.option.effect == Effect::None)
        .map(|raw| (raw.option.full_name(), raw.origin.clone()))
        .collect()
}
