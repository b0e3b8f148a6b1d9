//! Parser of Ironic's node, used once where the node is received. Every member in use has a typed
//! field; others are ignored. A member of an unexpected type counts as missing.

use super::root_device::{self, DiskSelection};
use crate::error::{AgentError, ErrorClass};
use crate::json::Json;

/// A node without secrets. Ironic masks them in its messages (ironic/objects/node.py:
/// `Node.as_dict`); they are masked here, too, in case that changes. Properties are not masked:
/// they contain the files to inject.
#[derive(Clone, Debug)]
pub struct Node {
    /// UUID of the node.
    pub uuid: String,
    /// Owner of the node, for comparison in policy rules; of any JSON type.
    pub owner: Option<Json>,
    /// Lessee of the node, likewise.
    pub lessee: Option<Json>,
    /// UUID of the instance for which the machine is deployed.
    pub instance_uuid: Option<String>,
    /// Disk selection of the node. A parse error is returned by the operations that need it.
    pub disks: Result<DiskSelection, root_device::Error>,
    /// `driver_internal_info.wipe_special_filesystems`: `false` disables the guard of shared file
    /// systems.
    pub wipe_special_filesystems: Option<bool>,
    /// `properties.inject_files`, parsed by the step.
    pub inject_files: Option<Json>,
    /// The whole document: URL templates may refer to anything in it.
    pub document: Json,
}

/// A node as the caller of a command describes it, with its secrets; it is not stored.
#[derive(Clone, Debug)]
pub struct WithSecrets(Node);

impl Node {
    /// Parses a node and masks its secrets.
    ///
    /// # Errors
    /// [`Error`] if it has no UUID.
    pub fn parse(mut document: Json) -> Result<Self, Error> {
        for name in ["driver_info", "instance_info", "driver_internal_info"] {
            document.mask_secrets_in(name);
        }
        Self::of(document)
    }

    fn of(document: Json) -> Result<Self, Error> {
        let node = document.field();
        let within = |object: &str, name: &str| node.member(object)?.member(name);
        let text = |name: &str| Some(node.member(name)?.text()?.to_owned());
        Ok(Self {
            uuid: text("uuid").ok_or(Error)?,
            owner: node.member("owner").map(|owner| owner.json()),
            lessee: node.member("lessee").map(|lessee| lessee.json()),
            instance_uuid: text("instance_uuid"),
            disks: DiskSelection::of_node(node),
            wipe_special_filesystems: within("driver_internal_info", "wipe_special_filesystems")
                .and_then(|wipe| wipe.flag()),
            inject_files: within("properties", "inject_files").map(|files| files.json()),
            document,
        })
    }
}

impl WithSecrets {
    /// Parses a node without masking its secrets.
    ///
    /// # Errors
    /// [`Error`] if it has no UUID.
    pub fn parse(document: Json) -> Result<Self, Error> {
        Node::of(document).map(Self)
    }

    /// Returns the node for the command that it came with.
    #[must_use]
    pub fn into_node(self) -> Node {
        self.0
    }
}

/// Error: the node has no UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameter node has no uuid")]
pub struct Error;

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        Self::caused(ErrorClass::InvalidCommandParamsError, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parsed(document: Value) -> Result<Node, Error> {
        Node::parse(document.into())
    }

    #[test]
    fn a_node_has_what_is_used_of_it_and_all_else_as_it_came() {
        let document = json!({
            "uuid": "1be2", "owner": "me", "lessee": null, "instance_uuid": "7", "name": "x", "power_state": {"a": 1},
            "driver_internal_info": {"wipe_special_filesystems": false},
            "properties": {"inject_files": [7], "root_device": {"size": 20}},
        });
        let node = parsed(document.clone()).unwrap();
        assert_eq!(node.uuid, "1be2");
        assert_eq!(node.owner, Some(json!("me").into()));
        assert_eq!(node.lessee, Some(Json::NULL));
        assert_eq!(node.instance_uuid.as_deref(), Some("7"));
        assert_eq!(node.wipe_special_filesystems, Some(false));
        assert_eq!(node.inject_files, Some(json!([7]).into()));
        assert!(node.disks.unwrap().has_hints());
        assert_eq!(node.document.into_value(), document);
    }

    #[test]
    fn members_of_unexpected_types_are_missing_ones() {
        for document in [
            json!({"uuid": "1be2"}),
            json!({
                "uuid": "1be2", "instance_uuid": 7, "driver_internal_info": {"wipe_special_filesystems": "no"},
                "properties": [], "instance_info": null,
            }),
            json!({"uuid": "1be2", "driver_internal_info": "x", "properties": "x", "instance_info": 7}),
        ] {
            let node = parsed(document).unwrap();
            assert_eq!(node.instance_uuid, None);
            assert_eq!(node.wipe_special_filesystems, None);
            assert_eq!(
                (node.owner, node.lessee, node.inject_files),
                (None, None, None)
            );
            assert!(!node.disks.unwrap().has_hints());
        }
    }

    #[test]
    fn a_node_without_a_text_for_its_name_is_none() {
        for document in [json!({}), json!({"uuid": 7}), json!([]), json!(null)] {
            let error = AgentError::from(parsed(document).unwrap_err());
            assert_eq!(error.class, ErrorClass::InvalidCommandParamsError);
            assert_eq!(error.details, "the parameter node has no uuid");
        }
    }

    #[test]
    fn disks_that_cannot_be_understood_are_no_error_of_the_node() {
        let hints = json!({"uuid": "1be2", "properties": {"root_device": {"colour": "red"}}});
        assert!(parsed(hints).unwrap().disks.is_err());
    }

    #[test]
    fn secrets_are_masked_but_in_a_node_that_is_not_to_be_remembered() {
        let of = |secret: &str| {
            json!({
                "uuid": "1be2", "driver_info": {"ipmi_password": secret},
                "properties": {"inject_files": [{"path": "/etc/motd", "content": "hello"}]},
            })
        };
        let remembered = parsed(of("hush")).unwrap();
        assert_eq!(remembered.document.into_value(), of("******"));
        let whole = WithSecrets::parse(of("hush").into()).unwrap().into_node();
        assert_eq!(whole.document.into_value(), of("hush"));
    }
}
