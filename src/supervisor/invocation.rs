//! Options and variables with which a supervisor starts its agents. Secrets among them are in
//! separate pages, and in the clear only while an agent is started.

use crate::config;
use crate::secret::Secret;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Options and environment variables; clones share the secrets among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Invocation {
    options: Vec<Word>,
    /// `NAME=VALUE`.
    variables: Vec<Word>,
}

#[derive(Clone, Debug)]
enum Word {
    Plain(OsString),
    Sealed(Arc<Secret<Vec<u8>>>),
}

impl Invocation {
    /// Stores these options and variables; the caller must hold no copy.
    pub(crate) fn new(
        options: impl IntoIterator<Item = OsString>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        });
        Self {
            options: words(options),
            variables: words(variables),
        }
    }

    /// Returns the options in the clear.
    pub(crate) fn options(&self) -> impl Iterator<Item = OsString> {
        self.options.iter().map(Word::in_the_clear)
    }

    /// Returns names and values of the variables in the clear.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.variables.iter().filter_map(|word| {
            let mut name = Zeroizing::new(word.in_the_clear().into_vec());
            // A name may start with `=` (std::env::vars_os).
            let end = 1 + name.iter().skip(1).position(|byte| *byte == b'=')?;
            let value = name.split_off(end + 1);
            name.truncate(end);
            Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value)))
        })
    }
}

fn words(texts: impl IntoIterator<Item = OsString>) -> Vec<Word> {
    let texts: Vec<_> = texts.into_iter().map(OsString::into_vec).collect();
    let mut joined = Zeroizing::new(Vec::new());
    for text in &texts {
        joined.extend_from_slice(text);
        joined.push(0);
    }
    let secrets = config::places_of_secrets(&joined);
    let mut start = 0;
    let mut word = |text: Vec<u8>| {
        let place = start..start + text.len();
        start = place.end + 1;
        if secrets.iter().any(|secret| place.contains(&secret.start)) {
            Word::Sealed(Arc::new(Secret::new(text)))
        } else {
            Word::Plain(OsString::from_vec(text))
        }
    };
    texts.into_iter().map(&mut word).collect()
}

impl Word {
    fn in_the_clear(&self) -> OsString {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Sealed(secret) => OsString::from_vec(secret.expose().to_vec()),
        }
    }
}

/// Secrets are equal if they are the same object: their contents are not compared.
impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(own), Self::Plain(other)) => own == other,
            (Self::Sealed(own), Self::Sealed(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}

impl Eq for Word {}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<const N: usize>(texts: [&str; N]) -> [OsString; N] {
        texts.map(OsString::from)
    }

    #[test]
    fn all_of_it_is_given_in_its_order_and_no_secret_is_shown_before() {
        let options = texts(["--debug", "--agent_token", "hush", "", "--api_url=http://a"]);
        let variables = [
            ("OS_DEFAULT__AGENT_TOKEN", "hu=sh"),
            ("EMPTY", ""),
            ("TERM", "vt100"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let invocation = Invocation::new(options.clone(), variables.clone());
        assert_eq!(invocation.options().collect::<Vec<_>>(), options);
        assert_eq!(invocation.variables().collect::<Vec<_>>(), variables);
        let shown = format!("{invocation:?}");
        assert!(!shown.contains("hu"), "{shown}");
        assert!(
            shown.contains("http://a") && shown.contains("vt100"),
            "{shown}"
        );
        assert_eq!(invocation, invocation.clone());
        assert_ne!(invocation, Invocation::new(options, variables));
    }
}
