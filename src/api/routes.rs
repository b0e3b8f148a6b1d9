//! Method and path to what is asked for: pure, no token and no body.
//!
//! Every route but the documents exists with and without `/v1`. IPA's router (werkzeug) redirects a missing slash for any
//! method and knows no path with a slash too many.

use hyper::Method;

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
        "/v1" | "/v1/commands" | "/commands" => Route::Slash,
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
            ("DELETE", "/commands", Slash),
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

    proptest! {
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
