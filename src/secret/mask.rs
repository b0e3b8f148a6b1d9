//! Masking secrets in texts that others wrote: the kernel's log, its command line, URLs.

/// Arguments whose value nobody may see. Ironic puts the agent token on the kernel command line of virtual media.
const SECRET_ARGUMENTS: &[&str] = &["ipa-agent-token="];

/// The text with the value of every secret kernel argument replaced by `******`.
#[must_use]
pub fn mask_arguments(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, name)) = first_secret(rest) {
        let (before, value) = rest.split_at(at + name.len());
        masked.push_str(before);
        masked.push_str("******");
        let end = value.find(|c: char| c.is_whitespace() || c == '"' || c == '\'');
        rest = end.and_then(|end| value.get(end..)).unwrap_or_default();
    }
    masked.push_str(rest);
    masked
}

/// The text with user name and password of every URL in it replaced by `******`.
#[must_use]
pub fn mask_url(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        masked.push_str(before);
        masked.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | ','))
            .unwrap_or(after.len());
        let (authority, following) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                masked.push_str("******@");
                masked.push_str(host);
            }
            None => masked.push_str(authority),
        }
        rest = following;
    }
    masked.push_str(rest);
    masked
}

fn first_secret(text: &str) -> Option<(usize, &'static str)> {
    SECRET_ARGUMENTS
        .iter()
        .filter_map(|name| Some((text.find(name)?, *name)))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_password_in_any_text_is_masked(
            before in any::<String>(),
            password in "[A-Z]{9}[!-+.-9;->A-Z]{0,9}",
            after in any::<String>(),
        ) {
            prop_assume!(!before.contains("://") && !password.contains('/') && !password.contains(['?', '#']));
            let masked = mask_url(&format!("{before} http://me:{password}@host/{after}"));
            prop_assert!(!masked.contains(&format!(":{password}@")), "{}", masked);
        }
    }

    #[test]
    fn who_asks_is_masked_in_urls() {
        assert_eq!(
            mask_url("http://user:p@ss@a:1/x?y=@z, https://b//c@d http://@"),
            "http://******@a:1/x?y=@z, https://b//c@d http://******@"
        );
        assert_eq!(mask_url("a@b"), "a@b");
    }

    #[test]
    fn the_token_of_a_command_line_is_masked_wherever_it_stands() {
        assert_eq!(
            mask_arguments("Command line: quiet ipa-agent-token=abc-_1 x=2\nipa-agent-token=last"),
            "Command line: quiet ipa-agent-token=****** x=2\nipa-agent-token=******"
        );
        assert_eq!(
            mask_arguments("a=\"ipa-agent-token=abc\" b"),
            "a=\"ipa-agent-token=******\" b"
        );
        assert_eq!(mask_arguments("nothing secret"), "nothing secret");
        assert_eq!(mask_arguments(""), "");
    }
}
