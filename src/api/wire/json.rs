//! Serializes JSON like Python's `json.dumps`: ASCII only, with a space after `,` and `:`.

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use std::io::{self, Write};

/// Serializes a value.
pub(super) fn bytes<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Python))?;
    Ok(bytes)
}

struct Python;

impl Formatter for Python {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for run in fragment.split_inclusive(|c: char| !c.is_ascii()) {
            let last = run.chars().next_back().filter(|c| !c.is_ascii());
            let ascii = run.len() - last.map_or(0, char::len_utf8);
            writer.write_all(run.as_bytes().get(..ascii).unwrap_or_default())?;
            if let Some(character) = last {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        comma(w, first)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        comma(w, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

fn comma<W: ?Sized + Write>(writer: &mut W, first: bool) -> io::Result<()> {
    if first {
        Ok(())
    } else {
        writer.write_all(b", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn it_reads_as_pythons() {
        let value = json!({"a": [1, "é\n\"", null], "b": "😀x\u{7f}"});
        assert_eq!(
            String::from_utf8(bytes(&value).unwrap()).unwrap(),
            "{\"a\": [1, \"\\u00e9\\n\\\"\", null], \"b\": \"\\ud83d\\ude00x\u{7f}\"}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_ascii_and_comes_back(text: String) {
            let written = bytes(&text).unwrap();
            prop_assert!(written.is_ascii());
            prop_assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), Value::String(text));
        }
    }
}
