//! Who asks, in URLs: the user information before the host's name (RFC 3986, section 3.2.1).

use super::mask::MASK;

/// The text with user name and password of every URL in it masked.
pub(super) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        masked.push_str(before);
        masked.push_str("://");
        let (authority, following) = after.split_at(end_of_authority(after));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                masked.push_str(MASK);
                masked.push('@');
                masked.push_str(host);
            }
            None => masked.push_str(authority),
        }
        rest = following;
    }
    masked.push_str(rest);
    masked
}

/// Where the authority of a URL ends in a text that begins with it. A comma may be part of a password; after the host's name it separates
/// URLs of a list.
fn end_of_authority(text: &str) -> usize {
    let end = text
        .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#'))
        .unwrap_or(text.len());
    let authority = &text[..end];
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    authority[host..]
        .find(',')
        .map_or(end, |comma| host + comma)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_password_in_any_text_is_masked(
            before in any::<String>(),
            password in "[A-Z]{9}[!-9;->A-Z]{0,9}",
            after in any::<String>(),
        ) {
            prop_assume!(!before.contains("://") && !password.contains('/') && !password.contains(['?', '#']));
            let masked = mask(&format!("{before} http://me:{password}@host/{after}"));
            prop_assert!(!masked.contains(&format!(":{password}@")), "{}", masked);
        }
    }

    #[test]
    fn who_asks_is_masked_in_urls() {
        assert_eq!(
            mask("http://user:p@ss@a:1/x?y=@z, https://b//c@d http://@"),
            "http://******@a:1/x?y=@z, https://b//c@d http://******@"
        );
        assert_eq!(mask("a@b"), "a@b");
        assert_eq!(
            mask("http://me:a,b,@c@one,https://me:d@two:1,http://three,http://four"),
            "http://******@one,https://******@two:1,http://three,http://four"
        );
    }
}
