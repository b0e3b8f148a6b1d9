//! Locates secrets in the arguments and environment of a process, so that they can be overwritten.

use super::registry::all;
use std::ops::Range;

/// Returns the spans of every secret option's value among arguments and variables, each of which
/// ends with a zero byte. The forms are `--agent_token VALUE`, `--agent_token=VALUE` and
/// `OS_DEFAULT__AGENT_TOKEN=VALUE`. As on the command line, options may have hyphens and be
/// abbreviated to prefixes of their names.
#[must_use]
pub fn places_of_secrets(words: &[u8]) -> Vec<Range<usize>> {
    let secrets: Vec<_> = all().filter(|spec| spec.is_secret()).collect();
    let is_option = |option: &[u8]| {
        let spelled = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
        let option: Vec<_> = option.iter().map(spelled).collect();
        let mut names = secrets.iter().map(|spec| spec.name.as_bytes());
        !option.is_empty() && names.any(|name| name.starts_with(&option))
    };
    let variables: Vec<_> = secrets.iter().map(|spec| spec.variable()).collect();
    let is_secrets = |name: &[u8]| match name.strip_prefix(b"--") {
        Some(option) => is_option(option),
        None => variables.iter().any(|known| known.as_bytes() == name),
    };
    let mut places = Vec::new();
    let (mut at, mut is_value) = (0, false);
    for word in words.split(|byte| *byte == 0) {
        let end = at + word.len();
        let name = word.split(|byte| *byte == b'=').next().unwrap_or_default();
        let named = is_secrets(name);
        if is_value {
            places.push(at..end);
        } else if named && name.len() < word.len() {
            places.push(at + name.len() + 1..end);
        }
        is_value = !is_value && named && name.len() == word.len();
        at = end + 1;
    }
    places.retain(|place| !place.is_empty());
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(words: &str) -> String {
        let mut bytes = words.replace(' ', "\0").into_bytes();
        for place in places_of_secrets(&bytes) {
            bytes[place].fill(b'*');
        }
        String::from_utf8(bytes).unwrap().replace('\0', " ")
    }

    #[test]
    fn values_of_secret_options_are_found_however_they_are_given() {
        for (words, expected) in [
            (
                "ferrite agent --agent_token hush --debug ",
                "ferrite agent --agent_token **** --debug ",
            ),
            ("--agent_token=hu=sh x", "--agent_token=***** x"),
            (
                "HOME=/ OS_DEFAULT__AGENT_TOKEN=hush OS_DEFAULT__IMAGE_SERVER_PASSWORD=a ",
                "HOME=/ OS_DEFAULT__AGENT_TOKEN=**** OS_DEFAULT__IMAGE_SERVER_PASSWORD=* ",
            ),
            ("--agent-token hush", "--agent-token ****"),
            ("--agent-token=hush", "--agent-token=****"),
            ("--image_server_pass hush", "--image_server_pass ****"),
            ("-- --debug", "-- --debug"),
            ("--agent_token", "--agent_token"),
            ("--agent_token= --debug", "--agent_token= --debug"),
            (
                "--agent_token --agent_token x",
                "--agent_token ************* x",
            ),
            ("--api_url http://a", "--api_url http://a"),
            ("", ""),
        ] {
            assert_eq!(masked(words), expected);
        }
    }

    proptest! {
        #[test]
        fn places_lie_within_the_words(words: Vec<u8>) {
            for place in places_of_secrets(&words) {
                prop_assert!(place.end <= words.len());
            }
        }
    }
}
