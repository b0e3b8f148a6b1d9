//! A secret that is known, wherever a text repeats it.

use super::mask::MASK;
use zeroize::Zeroizing;

/// The text with a known secret masked, under whatever name or none: as it is, and as JSON writes it, also JSON within JSON.
#[must_use]
pub fn mask_known(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let once = escaped(secret);
    let twice = escaped(&once);
    // The longest form first: a shorter one may be a part of it.
    let mut masked = text.to_owned();
    for form in [twice.as_str(), once.as_str(), secret] {
        if masked.contains(form) {
            masked = masked.replace(form, MASK);
        }
    }
    masked
}

/// What stands between the quotation marks.
fn escaped(text: &str) -> Zeroizing<String> {
    let quoted = Zeroizing::new(serde_json::Value::from(text).to_string());
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    Zeroizing::new(inner.unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_secret_is_masked_as_it_is_and_as_json_writes_it() {
        let secret = "Qz\"Lm\\8";
        let inner = serde_json::json!({ "faultstring": format!("bad {secret} end") });
        let outer = serde_json::json!({ "error_message": inner.to_string() });
        for (text, masked) in [
            (format!("bad {secret} end"), "bad ****** end".to_owned()),
            (
                inner.to_string(),
                r#"{"faultstring":"bad ****** end"}"#.to_owned(),
            ),
            (
                outer.to_string(),
                r#"{"error_message":"{\"faultstring\":\"bad ****** end\"}"}"#.to_owned(),
            ),
            ("nothing".to_owned(), "nothing".to_owned()),
        ] {
            assert_eq!(mask_known(&text, secret), masked);
        }
        assert_eq!(mask_known("text", ""), "text");
    }
}
