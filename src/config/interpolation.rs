//! References between options in oslo.config's syntax: `$name`, `${name}`, `$group.name`; `$$` and
//! `\$` are a dollar.
//!
//! A name is resolved in the option's own group, then in `[DEFAULT]`. A substituted value is not
//! expanded a second time. Unlike oslo.config, a reference to a secret is rejected: the value would
//! be shown with the option it was substituted into.

use super::media;
use super::merge::{Merged, Problem, Raw};
use super::registry::all;
use super::spec::{DEFAULT, Kind, Spec};
use super::values::{Reason, boolean};
use zeroize::Zeroizing;

/// Substitutes references in all winning texts. Media's texts that become invalid are dropped, and
/// their problems returned.
pub(super) fn resolve_references(merged: &mut Merged) -> Vec<Problem> {
    let mut refused = Vec::new();
    loop {
        let winners = merged.winners();
        let mut references = References::between(winners);
        let texts: Vec<_> = winners.iter().map(|raw| references.read(raw)).collect();
        let unusable: Vec<_> = (winners.iter().zip(&texts))
            .filter_map(|(raw, text)| media::unusable(raw, text.as_ref()))
            .collect();
        if unusable.is_empty() {
            merged.replace_texts(texts);
            return refused;
        }
        // Other texts may refer to the removed ones.
        merged.forget(&unusable);
        refused.extend(unusable);
    }
}

/// Expands references in the winning texts.
struct References<'a> {
    texts: &'a [Raw],
    /// The options being expanded, outermost first.
    way: Vec<&'static Spec>,
    /// Texts that were expanded before: without this cache, time could double with each option.
    known: Vec<(&'static Spec, Zeroizing<String>)>,
}

impl<'a> References<'a> {
    fn between(texts: &'a [Raw]) -> Self {
        Self {
            texts,
            way: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Returns the text with its references substituted.
    fn read(&mut self, raw: &Raw) -> Result<Zeroizing<String>, Reason> {
        self.way.clear();
        let read = self.text(raw.option, &raw.text);
        match read {
            // The text after the dollar may be part of the secret.
            Err(_) if raw.option.is_secret() => Err(
                "has a $ that begins no reference to another option: write $$ for a dollar".into(),
            ),
            read => read,
        }
    }

    fn text(&mut self, spec: &'static Spec, text: &str) -> Result<Zeroizing<String>, Reason> {
        let mut read = Zeroizing::new(String::with_capacity(text.len()));
        let escaped = Zeroizing::new(text.replace("\\$", "$$"));
        let mut rest = escaped.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            read.push_str(before);
            rest = match Found::at(after) {
                Found::Dollar(after) => {
                    read.push('$');
                    after
                }
                Found::Reference(name, after) => {
                    read.push_str(&self.value(spec, name)?);
                    after
                }
            };
            if read.len() > MAX_LEN {
                return Err("becomes too long by its references".into());
            }
        }
        read.push_str(rest);
        Ok(read)
    }

    /// Returns the substitute for a reference: the effective value, as Python would print it. It is
    /// empty if the option is unset.
    fn value(&mut self, from: &'static Spec, name: &str) -> Result<String, Reason> {
        let spec = resolve(from, name)?;
        if spec.is_secret() {
            return Err(format!("refers to ${name}, which is secret"));
        }
        self.way.push(from);
        if self.way.iter().any(|on_the_way| on_the_way.is(spec)) {
            return Err(format!("refers to itself by way of ${name}"));
        }
        let text = self.effective(spec)?;
        self.way.pop();
        Ok(match (spec.kind, boolean(&text)) {
            (Kind::Flag, Ok(true)) => "True".to_owned(),
            (Kind::Flag, Ok(false)) => "False".to_owned(),
            _ => text.trim().to_owned(),
        })
    }

    fn effective(&mut self, spec: &'static Spec) -> Result<Zeroizing<String>, Reason> {
        if let Some((_, text)) = self.known.iter().find(|(known, _)| known.is(spec)) {
            return Ok(text.clone());
        }
        let mut texts = self.texts.iter();
        let Some(raw) = texts.find(|raw| raw.option.is(spec) && !raw.text.is_empty()) else {
            return Ok(Zeroizing::new(spec.default.to_owned()));
        };
        let text = self.text(spec, &raw.text)?;
        self.known.push((spec, text.clone()));
        Ok(text)
    }
}

/// Resolves a name in the text of another option (oslo.config: `ConfigOpts.StrSubWrapper`).
fn resolve(from: &Spec, name: &str) -> Result<&'static Spec, Reason> {
    let find = |group: &str, name: &str| all().find(|spec| spec.is_named(group, name));
    let is_group = |name: &str| name != DEFAULT && all().any(|spec| spec.group == name);
    let found = match name.split_once('.') {
        Some((group, _)) if !is_group(group) => {
            return Err(format!("refers to ${name}, but there is no group {group}"));
        }
        Some((group, option)) => find(group, option),
        None => find(from.group, name).or_else(|| find(DEFAULT, name)),
    };
    found.ok_or_else(|| format!("refers to ${name}, which is no option"))
}

/// Result of parsing the text after a dollar.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
enum Found<'a> {
    /// A dollar, and the rest of the text.
    Dollar(&'a str),
    /// The name of an option, and the rest of the text.
    Reference(&'a str, &'a str),
}

impl<'a> Found<'a> {
    /// Parses the text after a dollar (Python: `string.Template`, with oslo.config's `idpattern`).
    fn at(after: &'a str) -> Self {
        if let Some(rest) = after.strip_prefix('$') {
            return Self::Dollar(rest);
        }
        if let Some((name, rest)) = name(after) {
            return Self::Reference(name, rest);
        }
        let braced = after.strip_prefix('{').and_then(name);
        match braced.and_then(|(name, rest)| Some((name, rest.strip_prefix('}')?))) {
            Some((name, rest)) => Self::Reference(name, rest),
            None => Self::Dollar(after),
        }
    }
}

fn name(text: &str) -> Option<(&str, &str)> {
    let first = |c: char| c == '_' || c.is_ascii_alphabetic();
    let further = |c: char| c == '_' || c == '.' || c.is_ascii_alphanumeric();
    text.starts_with(first)
        .then(|| text.split_at(text.find(|c| !further(c)).unwrap_or(text.len())))
}

/// Maximum length of an expanded text in bytes: each reference may double the text.
const MAX_LEN: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::merge::Origin;
    use crate::config::registry::in_file;
    use proptest::prelude::*;

    fn raw(group: &str, key: &str, text: &str) -> Raw {
        Raw {
            option: in_file(group, key).unwrap().spec,
            text: Zeroizing::new(text.to_owned()),
            origin: Origin::Environment(key.to_owned()),
        }
    }

    fn read(raws: &[Raw]) -> Result<String, Reason> {
        References::between(raws)
            .read(&raws[0])
            .map(|text| text.to_string())
    }

    fn host(text: &str) -> Result<String, Reason> {
        read(&[raw("DEFAULT", "advertise_host", text)])
    }

    #[test]
    fn references_are_values_set_or_not() {
        assert_eq!(
            read(&[
                raw(
                    "DEFAULT",
                    "advertise_host",
                    "h$listen_port-${mdns.lookup_attempts}$api_url"
                ),
                raw("DEFAULT", "listen_port", " 5 "),
            ]),
            Ok("h5-3".to_owned())
        );
        assert_eq!(
            host("$insecure/$enable_auto_tls"),
            Ok("False/True".to_owned())
        );
        assert_eq!(
            host(r"$$x-\$y-$-$1-${x $"),
            Ok("$x-$y-$-$1-${x $".to_owned())
        );
    }

    #[test]
    fn a_value_is_read_once() {
        assert_eq!(
            read(&[
                raw("DEFAULT", "advertise_host", "$network_interface"),
                raw("DEFAULT", "network_interface", "$$listen_port"),
            ]),
            Ok("$listen_port".to_owned())
        );
    }

    #[test]
    fn a_group_comes_before_the_first_one() {
        let raws = [
            raw("metrics", "global_prefix", "$backend-$listen_port"),
            raw("metrics", "backend", "statsd"),
        ];
        assert_eq!(read(&raws), Ok("statsd-9999".to_owned()));
    }

    #[test]
    fn what_is_not_there_is_named() {
        for (text, reason) in [
            ("$nosuch", "refers to $nosuch, which is no option"),
            ("$Insecure", "refers to $Insecure, which is no option"),
            ("$mdns", "refers to $mdns, which is no option"),
            ("$mdns.nosuch", "refers to $mdns.nosuch, which is no option"),
            (
                "$listen_host.x",
                "refers to $listen_host.x, but there is no group listen_host",
            ),
            (
                "$DEFAULT.api_url",
                "refers to $DEFAULT.api_url, but there is no group DEFAULT",
            ),
            ("$agent_token", "refers to $agent_token, which is secret"),
            (
                "a${advertise_host}",
                "refers to itself by way of $advertise_host",
            ),
        ] {
            assert_eq!(host(text), Err(reason.to_owned()));
        }
    }

    #[test]
    fn a_circle_is_refused_and_a_secret_not_told() {
        let circle = [
            raw("DEFAULT", "advertise_host", "$network_interface"),
            raw("DEFAULT", "network_interface", "$advertise_host"),
        ];
        assert!(read(&circle).unwrap_err().starts_with("refers to itself"));
        let told = read(&[raw("DEFAULT", "image_server_password", "pa$word")]).unwrap_err();
        assert!(!told.contains("word"), "{told}");
    }

    #[test]
    fn texts_that_double_each_other_end() {
        let names: Vec<_> = all()
            .filter(|spec| {
                matches!(spec.kind, Kind::Value(_))
                    && spec.group == DEFAULT
                    && spec.default.is_empty()
            })
            .map(|spec| spec.name)
            .collect();
        let mut raws: Vec<_> = names
            .windows(2)
            .map(|pair| raw("DEFAULT", pair[0], &format!("${0}${0}", pair[1])))
            .collect();
        assert_eq!(read(&raws), Ok(String::new()));
        raws.push(raw("DEFAULT", names.last().unwrap(), &"x".repeat(9000)));
        assert_eq!(
            read(&raws).unwrap_err(),
            "becomes too long by its references"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = host(&text);
        }

        #[test]
        fn a_text_without_dollars_is_itself(text in "[^$]{0,40}") {
            prop_assert_eq!(host(&text), Ok(text));
        }
    }
}
