//! What stands before the colon of a check: a Python literal, or a path through the credentials.

/// How a kind is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Python raises an exception.
    Failing,
    /// A literal, as `str()` shows it.
    Literal(Vec<u8>),
    /// Names to go by through the credentials.
    Path(Vec<String>),
}

/// Reads a kind.
pub(super) fn read(kind: &str) -> Reading {
    match kind {
        "" => Reading::Failing,
        "True" | "False" | "None" => Reading::Literal(kind.as_bytes().to_vec()),
        kind => {
            let quoted = ['\'', '"'].iter().find_map(|quote| {
                let inner = kind.strip_prefix(*quote)?.strip_suffix(*quote)?;
                (!inner.contains(['\'', '"', '\\'])).then(|| inner.to_owned())
            });
            match quoted {
                Some(text) => Reading::Literal(text.into_bytes()),
                None => Reading::Path(kind.split('.').map(str::to_owned).collect()),
            }
        }
    }
}
