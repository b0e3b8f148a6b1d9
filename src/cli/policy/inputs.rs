//! Reads the caller and the target of a policy query from files.

use crate::keystone::Identity;
use crate::policy::Attributes;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads the caller's attributes: a Keystone token document, or attributes as rules see them.
pub(super) fn credentials(path: &Path) -> Result<Attributes, String> {
    let text = read(path)?;
    let attributes = object(path, &text)?;
    if attributes.contains_key("token") {
        return match Identity::of_answer(text.as_bytes()) {
            Ok(identity) => Ok(identity.attributes),
            Err(reason) => Err(format!(
                "{} is no token that the agent would take: {reason}",
                path.display()
            )),
        };
    }
    let is_list_of_names = |roles: &Value| {
        let roles = roles.as_array();
        roles.is_some_and(|roles| roles.iter().all(Value::is_string))
    };
    match attributes.get("roles") {
        Some(roles) if !is_list_of_names(roles) => Err(format!(
            "roles in {} is no list of names: write [\"admin\"], or give all that Keystone says of a token",
            path.display()
        )),
        _ => Ok(attributes),
    }
}

/// Reads the target; names of nested mappings are joined by dots.
pub(super) fn target(path: &Path) -> Result<Attributes, String> {
    let mut flat = Attributes::new();
    flatten(object(path, &read(path)?)?, "", &mut flat);
    Ok(flat)
}

/// Flattens nested mappings, like `flatten` of the checker. serde_json bounds the depth.
fn flatten(map: Attributes, before: &str, flat: &mut Attributes) {
    for (name, value) in map {
        let name = match before {
            "" => name,
            before => format!("{before}.{name}"),
        };
        match value {
            Value::Object(map) => flatten(map, &name, flat),
            value => {
                flat.insert(name, value);
            }
        }
    }
}

fn object(path: &Path, text: &str) -> Result<Attributes, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(format!("{} is no JSON object", path.display())),
        Err(error) => Err(format!("{} is not JSON: {error}", path.display())),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let most = MAX_LEN + 1;
    let read = match path == Path::new("-") {
        true => io::stdin().lock().take(most).read_to_string(&mut text),
        false => File::open(path).and_then(|file| file.take(most).read_to_string(&mut text)),
    };
    match read {
        Ok(read) if read as u64 == most => {
            Err(format!("{} is longer than {MAX_LEN} bytes", path.display()))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// Maximum size of a file in bytes.
const MAX_LEN: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mappings_of_a_target_are_names_with_dots() {
        let target = json!({"node": {"owner": "p", "extra": {"a": [1]}}, "command": "x"});
        let mut flat = Attributes::new();
        flatten(target.as_object().unwrap().clone(), "", &mut flat);
        let expected = json!({"node.owner": "p", "node.extra.a": [1], "command": "x"});
        assert_eq!(Value::Object(flat), expected);
    }
}
