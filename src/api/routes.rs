//! Method and path to what is asked for: pure, no token and no body.
//!
//! Every route but the documents exists with and without `/v1`. IPA's router (werkzeug) redirects a missing slash for the
//! methods of its target, finds nothing there for any other, and knows no path with a slash too many.

use super::query::escape;
use hyper::Method;
use std::borrow::Cow;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// A command operation: only with the token.
    Guarded(Operation<'a>),
    /// The path is known, the method is not; these are (`Allow`).
    MethodNotAllowed(&'static str),
    /// Nothing has this path.
    NotFound,
    /// For everybody.
    Open(Document),
    /// The same path with a slash at its end.
    Slash,
}

/// What everybody may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Root,
    Status,
    Version,
}

/// What only the conductor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Command(&'a str),
    List,
    Run,
}

/// The route of a request.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Route<'a> {
    let reads = method == Method::GET || method == Method::HEAD;
    let read_only = |route| match reads {
        true => route,
        false => Route::MethodNotAllowed("GET, HEAD"),
    };
    match path {
        "/" => read_only(Route::Open(Document::Root)),
        "/v1/" => read_only(Route::Open(Document::Version)),
        "/v1" if reads => Route::Slash,
        "/v1/commands" | "/commands" if reads || method == Method::POST => Route::Slash,
        "/v1/status" | "/status" => read_only(Route::Open(Document::Status)),
        "/v1/commands/" | "/commands/" => match reads {
            true => Route::Guarded(Operation::List),
            false if method == Method::POST => Route::Guarded(Operation::Run),
            false => Route::MethodNotAllowed("GET, HEAD, POST"),
        },
        _ => match command_id(path) {
            Some(id) => read_only(Route::Guarded(Operation::Command(id))),
            None => Route::NotFound,
        },
    }
}

/// A path as it was meant, before it is looked up: `%61` is `a`. A slash that was written as `%2F` stays one of a name, and
/// bytes that are no UTF-8 are replaced (IPA: cheroot, werkzeug).
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
    use proptest::prelude::*;

    #[test]
    fn every_row_of_the_table() {
        use Document::{Root, Status, Version};
        use Operation::{Command, List, Run};
        use Route::{Guarded, MethodNotAllowed, NotFound, Open, Slash};
        let both = MethodNotAllowed("GET, HEAD, POST");
        let reading = MethodNotAllowed("GET, HEAD");
        for (method, path, route) in [
            ("GET", "/", Open(Root)),
            ("HEAD", "/", Open(Root)),
            ("POST", "/", reading),
            ("GET", "/v1", Slash),
            ("GET", "/v1/", Open(Version)),
            ("DELETE", "/v1/", reading),
            ("GET", "/v1/status", Open(Status)),
            ("GET", "/status", Open(Status)),
            ("PUT", "/status", reading),
            ("GET", "/v1/status/", NotFound),
            ("GET", "/status/", NotFound),
            ("GET", "/v1/commands/", Guarded(List)),
            ("HEAD", "/commands/", Guarded(List)),
            ("POST", "/v1/commands/", Guarded(Run)),
            ("POST", "/commands/", Guarded(Run)),
            ("PATCH", "/commands/", both),
            ("OPTIONS", "/v1/commands/", both),
            ("GET", "/v1/commands", Slash),
            ("POST", "/v1/commands", Slash),
            ("HEAD", "/commands", Slash),
            ("DELETE", "/commands", NotFound),
            ("POST", "/v1", NotFound),
            ("GET", "/v1/commands/7", Guarded(Command("7"))),
            ("HEAD", "/commands/7", Guarded(Command("7"))),
            ("POST", "/commands/7", reading),
            ("GET", "/v1/commands/7/", NotFound),
            ("GET", "/v1/commands/7/8", NotFound),
            ("GET", "/v1/v1/status", NotFound),
            ("GET", "/v1x/status", NotFound),
            ("GET", "//", NotFound),
            ("GET", "", NotFound),
            ("OPTIONS", "*", NotFound),
        ] {
            let found = find(&Method::from_bytes(method.as_bytes()).unwrap(), path);
            assert_eq!(found, route, "{method} {path}");
        }
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
        fn only_the_two_documents_of_the_root_have_no_twin(path in "/[a-z0-9/]{0,12}") {
            let with = format!("/v1{path}");
            let (with, without) = (find(&Method::GET, &with), find(&Method::GET, &path));
            if !path.starts_with("/v1") && path != "/" {
                prop_assert_eq!(with, without);
            }
        }
    }
}
