//! Maps method and path to an operation, without token and body.
//!
//! Every route of IPA except the documents exists with and without `/v1`. `/v1/inventory` and
//! `/v1/log` are Ferrite's. IPA's router (werkzeug) redirects a path without its slash for the
//! methods of the target, and responds to other methods there with 404. A path with a slash too
//! many gets 404.

use super::query::escape;
use crate::policy::names;
use hyper::Method;
use std::borrow::Cow;

/// Route of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// The path is known, but not the method; these are allowed (`Allow`).
    MethodNotAllowed(&'static str),
    /// No operation has this path.
    NotFound,
    /// Redirect to the same path with a trailing slash.
    Slash,
    /// An operation with a policy rule.
    To(Operation<'a>),
}

/// Operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    /// Returns one command's record.
    Command(&'a str),
    /// Returns the hardware inventory.
    Inventory,
    /// Returns the records of all commands.
    List,
    /// Returns the agent's log.
    Log,
    /// Returns the API versions.
    Root,
    /// Runs a command.
    Run,
    /// Returns the agent's start time and version.
    Status,
    /// Returns the resources of API version 1.
    Version,
}

impl Operation<'_> {
    /// Returns the policy rule that authorizes the operation.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::Command(_) => names::COMMAND_GET,
            Self::Inventory => names::INVENTORY_GET,
            Self::List => names::COMMAND_LIST,
            Self::Log => names::LOG_GET,
            Self::Root => names::ROOT_GET,
            Self::Run => names::COMMAND_RUN,
            Self::Status => names::STATUS_GET,
            Self::Version => names::VERSION_GET,
        }
    }

    /// Returns whether the operation is a public document. All clients may read it unless the
    /// policy denies that; IPA checks no credential there.
    pub(super) const fn is_public(self) -> bool {
        matches!(self, Self::Root | Self::Status | Self::Version)
    }
}

/// Finds the route of a request.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Route<'a> {
    let reads = method == Method::GET || method == Method::HEAD;
    let read_only = |route| match reads {
        true => route,
        false => Route::MethodNotAllowed("GET, HEAD"),
    };
    match path {
        "/" => read_only(Route::To(Operation::Root)),
        "/v1/" => read_only(Route::To(Operation::Version)),
        "/v1" if reads => Route::Slash,
        "/v1/commands" | "/commands" if reads || method == Method::POST => Route::Slash,
        "/v1/status" | "/status" => read_only(Route::To(Operation::Status)),
        "/v1/inventory" => read_only(Route::To(Operation::Inventory)),
        "/v1/log" => read_only(Route::To(Operation::Log)),
        "/v1/commands/" | "/commands/" => match reads {
            true => Route::To(Operation::List),
            false if method == Method::POST => Route::To(Operation::Run),
            false => Route::MethodNotAllowed("GET, HEAD, POST"),
        },
        _ => match command_id(path) {
            Some(id) => read_only(Route::To(Operation::Command(id))),
            None => Route::NotFound,
        },
    }
}

/// Decodes a path before it is looked up: `%61` is `a`. `%2F` remains encoded and part of a name.
/// Bytes that are not UTF-8 are replaced (IPA: cheroot, werkzeug).
pub(super) fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, after @ ..] = rest {
        let escaped = match (byte, after) {
            (b'%', [high, low, ..]) => escape(*high, *low).filter(|byte| *byte != b'/'),
            _ => None,
        };
        decoded.push(escaped.unwrap_or(*byte));
        rest = match escaped {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn command_id(path: &str) -> Option<&str> {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let id = path.strip_prefix("/commands/")?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{self, DEFAULTS};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_of_the_table() {
        use Operation::{Command, Inventory, List, Log, Root, Run, Status, Version};
        use Route::{MethodNotAllowed, NotFound, Slash, To};
        let both = MethodNotAllowed("GET, HEAD, POST");
        let reading = MethodNotAllowed("GET, HEAD");
        for (method, path, route) in [
            ("GET", "/", To(Root)),
            ("HEAD", "/", To(Root)),
            ("POST", "/", reading),
            ("GET", "/v1", Slash),
            ("GET", "/v1/", To(Version)),
            ("DELETE", "/v1/", reading),
            ("GET", "/v1/status", To(Status)),
            ("GET", "/status", To(Status)),
            ("PUT", "/status", reading),
            ("GET", "/v1/status/", NotFound),
            ("GET", "/status/", NotFound),
            ("GET", "/v1/commands/", To(List)),
            ("HEAD", "/commands/", To(List)),
            ("POST", "/v1/commands/", To(Run)),
            ("POST", "/commands/", To(Run)),
            ("PATCH", "/commands/", both),
            ("OPTIONS", "/v1/commands/", both),
            ("GET", "/v1/commands", Slash),
            ("POST", "/v1/commands", Slash),
            ("HEAD", "/commands", Slash),
            ("DELETE", "/commands", NotFound),
            ("POST", "/v1", NotFound),
            ("GET", "/v1/commands/7", To(Command("7"))),
            ("HEAD", "/commands/7", To(Command("7"))),
            ("POST", "/commands/7", reading),
            ("GET", "/v1/commands/7/", NotFound),
            ("GET", "/v1/commands/7/8", NotFound),
            ("GET", "/v1/v1/status", NotFound),
            ("GET", "/v1x/status", NotFound),
            ("GET", "/v1/inventory", To(Inventory)),
            ("POST", "/v1/inventory", reading),
            ("HEAD", "/v1/log", To(Log)),
            ("DELETE", "/v1/log", reading),
            ("GET", "/log", NotFound),
            ("GET", "/v1/log/", NotFound),
            ("GET", "//", NotFound),
            ("GET", "", NotFound),
            ("OPTIONS", "*", NotFound),
        ] {
            let found = find(&Method::from_bytes(method.as_bytes()).unwrap(), path);
            assert_eq!(found, route, "{method} {path}");
        }
    }

    /// Each operation that a rule names is routed to that rule, and each operation of the API has a
    /// rule.
    #[test]
    fn every_operation_of_the_api_has_the_rule_that_names_it() {
        let named = DEFAULTS
            .iter()
            .filter(|rule| rule.name != names::SECRETS_SHOW)
            .flat_map(|rule| rule.operations.iter().map(move |of| (rule.name, of)));
        let mut rules = BTreeSet::new();
        for (rule, of) in named {
            if let policy::Operation::Request { method, path } = of {
                let path = path.replace("{id}", "7");
                let Route::To(operation) = find(&method.parse().unwrap(), &path) else {
                    panic!("nothing is at {method} {path}");
                };
                assert_eq!(operation.rule(), rule, "{method} {path}");
                rules.insert(rule);
            }
        }
        use Operation::{Command, Inventory, List, Log, Root, Run, Status, Version};
        let every = [
            Command("7"),
            Inventory,
            List,
            Log,
            Root,
            Run,
            Status,
            Version,
        ];
        assert_eq!(rules, every.iter().map(|of| of.rule()).collect());
    }

    #[test]
    fn a_path_is_decoded_but_for_its_slashes() {
        for (path, expected) in [
            ("/v1/st%61tus", "/v1/status"),
            ("/v1/commands/%C3%A9%20x", "/v1/commands/é x"),
            ("/v1/commands/a%2Fb%2f", "/v1/commands/a%2Fb%2f"),
            ("/%FF%", "/\u{fffd}%"),
            ("/%zz%4", "/%zz%4"),
            ("/a+b", "/a+b"),
        ] {
            assert_eq!(decoded(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_decoded_without_a_panic(path: String) {
            prop_assert!(decoded(&path).len() <= path.len().saturating_mul(3));
        }

        #[test]
        fn only_the_documents_of_the_root_and_what_ipa_has_not_have_no_twin(path in "/[a-z0-9/]{0,12}") {
            let with = format!("/v1{path}");
            let (with, without) = (find(&Method::GET, &with), find(&Method::GET, &path));
            if !path.starts_with("/v1") && !["/", "/inventory", "/log"].contains(&path.as_str()) {
                prop_assert_eq!(with, without);
            }
        }
    }
}
