//! Masks secrets in JSON: values by their names, texts by their content.

use super::mask::MASK;
use super::names::is_secret;
use super::pairs::is_name;
use super::text::redact;
use serde_json::{Map, Value};

/// Masks every secret in a document in place: values of any kind with a secret name, and secrets
/// within texts. Null and booleans are not secret. Returns whether anything was masked.
pub fn mask(value: &mut Value) -> bool {
    match value {
        Value::String(text) => {
            let masked = redact(text);
            let changed = masked != *text;
            *text = masked;
            changed
        }
        Value::Object(object) => mask_members(object),
        Value::Array(list) => list
            .iter_mut()
            .fold(false, |masked, value| mask(value) | masked),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn mask_members(object: &mut Map<String, Value>) -> bool {
    let is_named = object
        .iter()
        .any(|(member, name)| is_name(member) && name.as_str().is_some_and(is_known));
    object.iter_mut().fold(false, |masked, (name, value)| {
        let may_be_one = !matches!(value, Value::Null | Value::Bool(_));
        let is_one = is_known(name) || is_named && name.eq_ignore_ascii_case("value");
        if !may_be_one || !is_one {
            return mask(value) | masked;
        }
        let changed = value.as_str() != Some(MASK);
        *value = Value::from(MASK);
        changed | masked
    })
}

fn is_known(name: &str) -> bool {
    SECRETS.contains(&name) || is_secret(name)
}

/// Members in which Ironic and IPA send secrets under neutral names: files' contents, and the
/// rescue password.
const SECRETS: &[&str] = &["adminPass", "content"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn masked(mut value: Value) -> (Value, bool) {
        let changed = mask(&mut value);
        (value, changed)
    }

    #[test]
    fn signatures_of_addresses_are_masked_and_all_else_is_as_it_came() {
        let step = |signature: &str| {
            let address = format!("http://a/x?temp_url_sig={signature}");
            json!({
                "step": "write_image", "interface": "deploy", "priority": 80, "abortable": true,
                "args": {"image_info": {"id": "x", "urls": [address], "checksum": "0123abcd"}},
            })
        };
        assert_eq!(masked(step("hush")), (step(MASK), true));
        assert_eq!(masked(step(MASK)), (step(MASK), false));
    }

    #[test]
    fn a_secret_is_masked_by_its_name_whatever_its_kind_and_null_is_none() {
        let step = json!({"args": {
            "configdrive": {"user_data": "hush"}, "list": [{"pull_secret": ["hush"]}, {"password": null, "content": 7}],
            "image_info": {"image_server_password": "hush", "image_server_auth_strategy": "http_basic"},
        }});
        assert_eq!(
            masked(step),
            (
                json!({"args": {
                    "configdrive": MASK, "list": [{"pull_secret": MASK}, {"password": null, "content": MASK}],
                    "image_info": {"image_server_password": MASK, "image_server_auth_strategy": "http_basic"},
                }}),
                true
            )
        );
    }

    #[test]
    fn a_value_beside_its_name_is_a_secret_as_one_that_has_it() {
        let list = |value: Value| {
            json!([
                {"name": "password", "value": value}, {"value": value, "Key": "snmp_community", "x": 1},
                {"name": "size", "value": "7"}, {"key": "token", "value": null}, {"name": ["password"], "value": 1},
            ])
        };
        assert_eq!(masked(list(json!(["hush"]))), (list(json!(MASK)), true));
        assert!(!masked(list(json!(MASK))).1);
    }
}
