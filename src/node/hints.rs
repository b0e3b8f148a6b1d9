//! Root device hints, which select a disk.
//!
//! The syntax is that of `oslo_utils.specs_matcher` as `ironic_python_agent.device_hints` uses it.
//! Its special cases are the same. Strings are compared in lower case and percent-encoded, `=`
//! means at least, and a missing attribute is the string `none`. Where the Python code raises an
//! exception without a usable message, the error here names the hint. A disk with several serial
//! numbers matches by any of them. It matches `s!=` only if none of them is equal; in IPA it
//! matches both.

mod error;
mod expression;

pub use error::Error;

use crate::json::Field;
use crate::storage::device::BlockDevice;
use expression::{Expression, Operator, Relation};

/// Parsed hints: conditions that a disk must all meet.
#[derive(Clone, Debug)]
pub struct Hints(Vec<(Attribute, Condition)>);

impl Hints {
    /// Parses hints as Ironic stores them: `{"size": ">= 10", "rotational": false}`.
    ///
    /// # Errors
    /// [`Error`] if a hint is unknown, or its value is invalid for its attribute.
    pub fn parse<'a>(hints: impl Iterator<Item = (&'a str, Field<'a>)>) -> Result<Self, Error> {
        let conditions = hints.map(|(name, value)| {
            let attribute = ATTRIBUTES
                .iter()
                .find_map(|(known, attribute)| (*known == name).then_some(*attribute))
                .ok_or_else(|| Error::Unknown { hint: name.into() })?;
            let condition = match attribute {
                Attribute::Rotational => Condition::Rotational(boolean(name, value)?),
                Attribute::Size => size(name, value)?,
                Attribute::Text(_) => text(name, value)?,
            };
            Ok((attribute, condition))
        });
        conditions.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether a disk meets all conditions.
    #[must_use]
    pub fn matches(&self, device: &BlockDevice) -> bool {
        self.0.iter().all(|(attribute, condition)| match attribute {
            Attribute::Rotational => *condition == Condition::Rotational(device.rotational),
            Attribute::Size => condition.accepts_size(device.size),
            Attribute::Text(values) => {
                let values = values(device).into_iter();
                let values = values.map(|value| value.trim().to_lowercase());
                condition.accepts_texts(values.filter(|value| !value.is_empty()))
            }
        })
    }
}

/// Attribute of a disk that a hint refers to.
#[derive(Clone, Copy, Debug)]
enum Attribute {
    Rotational,
    Size,
    Text(fn(&BlockDevice) -> Vec<&str>),
}

/// Condition of a hint.
#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Contains(String),
    /// Comparison of numbers: GiB for a size.
    Number(Relation, f64),
    OneOf(Vec<String>),
    Rotational(bool),
    /// Comparison of sizes in whole GiB.
    Size(Relation, u64),
    Text(Relation, String),
}

impl Condition {
    fn accepts_size(&self, bytes: u64) -> bool {
        let Self::Size(relation, gib) = self else {
            return false; // `<or>` compares a number with texts: as with IPA, never equal.
        };
        relation.holds(Some(u128::from(bytes).cmp(&(u128::from(*gib) << 30))))
    }

    /// Returns whether a disk matches with these values of one attribute. For "not equal", no value
    /// may be equal: further names of a disk do not make it another disk.
    fn accepts_texts(&self, values: impl Iterator<Item = String>) -> bool {
        let verdicts = values.filter_map(|value| self.accepts_text(&percent_encoded(&value)));
        let verdict = match self {
            Self::Number(Relation::NotEqual, _) | Self::Text(Relation::NotEqual, _) => {
                verdicts.reduce(|one, other| one && other)
            }
            _ => verdicts.reduce(|one, other| one || other),
        };
        verdict == Some(true)
    }

    /// Returns whether a string meets the condition; `None` if the condition needs a number and the
    /// string is none.
    fn accepts_text(&self, value: &str) -> Option<bool> {
        match self {
            Self::Contains(part) => Some(value.contains(part)),
            Self::Number(relation, number) => {
                let value: f64 = value.parse().ok()?;
                Some(relation.holds(value.partial_cmp(number)))
            }
            Self::OneOf(texts) => Some(texts.iter().any(|text| text == value)),
            Self::Text(relation, text) => Some(relation.holds(Some(value.cmp(text)))),
            Self::Rotational(_) | Self::Size(..) => Some(false),
        }
    }
}

/// Parses the condition of a text attribute.
fn text(hint: &str, value: Field<'_>) -> Result<Condition, Error> {
    let Some(expression) = value.text() else {
        return Err(Error::NotText {
            hint: hint.into(),
            value: value.to_string(),
        });
    };
    let expression = Expression::parse(hint, expression)?;
    let first = percent_encoded(expression.first());
    Ok(match expression.operator {
        None => Condition::Text(Relation::Equal, first),
        Some((_, Operator::In)) => Condition::Contains(first),
        Some((_, Operator::Or)) => Condition::OneOf(
            expression
                .values
                .iter()
                .map(|value| percent_encoded(value))
                .collect(),
        ),
        Some((_, Operator::Text(relation))) => Condition::Text(relation, first),
        Some((sign, Operator::Number(relation))) => {
            let number = first.parse().map_err(|_| Error::NotNumber {
                hint: hint.into(),
                operator: sign,
                value: expression.first().into(),
            })?;
            Condition::Number(relation, number)
        }
        Some((operator, Operator::AllIn | Operator::RangeIn)) => {
            return Err(Error::UselessOperator {
                hint: hint.into(),
                operator,
            });
        }
    })
}

/// Parses the condition of a size: every value is a positive integer, in GiB.
fn size(hint: &str, value: Field<'_>) -> Result<Condition, Error> {
    let shown = shown(value);
    let expression = Expression::parse(hint, &shown)?;
    let mut numbers = Vec::new();
    for number in &expression.values {
        let number: i128 = number.parse().map_err(|_| Error::NotInteger {
            hint: hint.into(),
            value: shown.clone(),
        })?;
        let number = u64::try_from(number).ok().filter(|number| *number > 0);
        numbers.push(number.ok_or_else(|| Error::NotPositive {
            hint: hint.into(),
            value: shown.clone(),
        })?);
    }
    let first = numbers.first().copied().unwrap_or_default();
    match expression.operator {
        None => Ok(Condition::Size(Relation::Equal, first)),
        Some((_, Operator::Number(relation))) => Ok(Condition::Size(relation, first)),
        Some((_, Operator::Or)) => Ok(Condition::OneOf(expression.values)),
        Some((operator, _)) => Err(Error::UselessOperator {
            hint: hint.into(),
            operator,
        }),
    }
}

/// Parses a boolean by oslo's strict words.
fn boolean(hint: &str, value: Field<'_>) -> Result<bool, Error> {
    match shown(value).trim().to_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Ok(false),
        _ => Err(Error::NotBoolean {
            hint: hint.into(),
            value: value.to_string(),
        }),
    }
}

/// Returns a JSON value as text: strings without their quotes.
fn shown(value: Field<'_>) -> String {
    value
        .text()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Percent-encodes a text as Python's `urllib.parse.quote` does.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Returns the value of an attribute; Python's `None` as text if it is missing.
fn or_none(value: &Option<String>) -> Vec<&str> {
    vec![value.as_deref().unwrap_or("None")]
}

/// Returns all known values of an attribute; empty if there is none.
fn any_of<'a>(first: &'a Option<String>, others: &'a [String]) -> Vec<&'a str> {
    first.iter().chain(others).map(String::as_str).collect()
}

/// Returns the by-path names; Python's `None` as text if there is none.
fn by_paths(device: &BlockDevice) -> Vec<&str> {
    let mut names = or_none(&device.by_path);
    names.extend(device.other_by_paths.iter().map(String::as_str));
    names
}

/// Attributes that hints may refer to.
const ATTRIBUTES: [(&str, Attribute); 12] = [
    ("by_path", Attribute::Text(by_paths)),
    ("hctl", Attribute::Text(|device| or_none(&device.hctl))),
    ("model", Attribute::Text(|device| or_none(&device.model))),
    ("name", Attribute::Text(|device| vec![&device.name])),
    ("rotational", Attribute::Rotational),
    (
        "serial",
        Attribute::Text(|device| any_of(&device.serial, &device.other_serials)),
    ),
    ("size", Attribute::Size),
    ("tran", Attribute::Text(|device| or_none(&device.tran))),
    ("vendor", Attribute::Text(|device| or_none(&device.vendor))),
    (
        "wwn",
        Attribute::Text(|device| any_of(&device.wwn, &device.other_wwns)),
    ),
    (
        "wwn_vendor_extension",
        Attribute::Text(|device| or_none(&device.wwn_vendor_extension)),
    ),
    (
        "wwn_with_extension",
        Attribute::Text(|device| or_none(&device.wwn_with_extension)),
    ),
];

#[cfg(test)]
mod tests {
    use super::expression::operator;
    use super::*;
    use crate::json::Json;
    use crate::storage::device::Kind;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn disk(name: &str) -> BlockDevice {
        BlockDevice {
            name: name.into(),
            kind: Kind::Disk,
            model: None,
            size: 10 << 30,
            rotational: false,
            wwn: None,
            serial: None,
            vendor: None,
            wwn_with_extension: None,
            wwn_vendor_extension: None,
            hctl: None,
            by_path: None,
            logical_sectors: 512,
            physical_sectors: 512,
            tran: Some("sata".into()),
            read_only: false,
            removable: false,
            other_by_paths: vec![],
            other_serials: vec![],
            other_wwns: vec![],
            number: None,
            sequence: None,
            below: vec![],
        }
    }

    /// The two disks with which IPA 13.0.0 was measured: A has 10.5 GiB, B has 10 GiB.
    fn disks() -> [BlockDevice; 2] {
        let a = BlockDevice {
            size: (10 << 30) + (1 << 29),
            model: Some("Samsung SSD 970 EVO".into()),
            serial: Some("S1".into()),
            other_serials: vec!["Samsung_S1".into()],
            hctl: Some("0:0:0:0".into()),
            ..disk("/dev/sda")
        };
        let b = BlockDevice {
            model: Some("QEMU HARDDISK".into()),
            vendor: Some("QEMU".into()),
            rotational: true,
            wwn: Some("0x6001405abcdef0120102030405060708".into()),
            other_wwns: vec!["0x6001405abcdef012".into()],
            hctl: Some("1:0:0:0".into()),
            by_path: Some("/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0".into()),
            other_by_paths: vec!["/dev/disk/by-path/pci-0000:00:1f.2-ata-1".into()],
            ..disk("/dev/sdb")
        };
        [a, b]
    }

    fn parse_all(hints: Value) -> Result<Hints, Error> {
        Hints::parse(Json::from(hints).field().members().unwrap())
    }

    fn parse(hint: &str, value: &Value) -> Result<Hints, Error> {
        parse_all(json!({ hint: value }))
    }

    fn checked(hint: &str, value: &Value) -> Result<(), Error> {
        parse(hint, value).map(drop)
    }

    /// Returns which of A and B match: "", "a", "b", "ab".
    fn found(hint: &str, value: &Value) -> String {
        let hints = parse(hint, value).unwrap();
        let [a, b] = disks();
        let letters = [("a", a), ("b", b)]
            .into_iter()
            .filter(|(_, disk)| hints.matches(disk));
        letters.map(|(letter, _)| letter).collect()
    }

    #[test]
    fn sizes_are_whole_gib_and_equal_unless_said_otherwise() {
        for (value, expected) in [
            (json!(10), "b"),
            (json!("10"), "b"),
            (json!(" +10 "), "b"),
            (json!("== 10"), "b"),
            (json!(">= 10"), "ab"),
            (json!("= 10"), "ab"),
            (json!("> 10"), "a"),
            (json!(">10"), "a"),
            (json!("!= 10"), "a"),
            (json!("< 11"), "ab"),
            (json!("<= 10"), "b"),
            (json!(">= 10 >= 20"), "ab"),
            (json!(">= 11 >= 5"), ""),
            (json!("<or> 10 <or> 20"), ""),
        ] {
            assert_eq!(found("size", &value), expected, "{value}");
        }
    }

    #[test]
    fn every_value_of_a_size_is_a_positive_integer() {
        let hint = || "size".to_owned();
        for (value, shown) in [
            (json!(0), "0"),
            (json!(-1), "-1"),
            (json!(">= 10 >= 0"), ">= 10 >= 0"),
        ] {
            let value_shown = shown.to_owned();
            assert_eq!(
                checked("size", &value),
                Err(Error::NotPositive {
                    hint: hint(),
                    value: value_shown
                })
            );
        }
        for (value, shown) in [
            (json!("10.5"), "10.5"),
            (json!(10.0), "10.0"),
            (json!(true), "true"),
            (json!(null), "null"),
            (json!([10]), "[10]"),
            (json!("10 20"), "10 20"),
            (json!("<range-in> [ 10 11 ]"), "<range-in> [ 10 11 ]"),
        ] {
            let value_shown = shown.to_owned();
            assert_eq!(
                checked("size", &value),
                Err(Error::NotInteger {
                    hint: hint(),
                    value: value_shown
                })
            );
        }
        for operator in ["<in>", "s==", "s!=", "s<", "<all-in>"] {
            let value = json!(format!("{operator} 10"));
            assert_eq!(
                checked("size", &value),
                Err(Error::UselessOperator {
                    hint: hint(),
                    operator
                })
            );
        }
        assert_eq!(
            checked("size", &json!(">=")),
            Err(Error::NoOperand {
                hint: hint(),
                operator: ">="
            })
        );
        assert_eq!(
            checked("size", &json!(" ")),
            Err(Error::Empty { hint: hint() })
        );
    }

    #[test]
    fn texts_are_compared_in_lower_case() {
        for (value, expected) in [
            ("QEMU HARDDISK", "b"),
            ("qemu harddisk", "b"),
            (" qemu  harddisk", ""),
            ("s== qemu harddisk", "b"),
            ("s==qemu harddisk", "b"),
            ("s!= qemu harddisk", "a"),
            ("s< r", "b"),
            ("s<= qemu harddisk", "b"),
            ("s> r", "a"),
            ("s>= samsung", "a"),
            ("<in> ssd 970", "a"),
            ("<in>qemu", "b"),
            ("<in> zz <in> qemu", ""),
            ("<or> foo <or> qemu harddisk", "b"),
            ("<or> a b", ""),
            ("== 5", ""),
        ] {
            assert_eq!(found("model", &json!(value)), expected, "{value}");
        }
    }

    #[test]
    fn a_space_is_its_percent_code_also_inside_texts() {
        assert_eq!(found("model", &json!("<in> 20")), "ab");
    }

    #[test]
    fn a_missing_attribute_is_the_text_none() {
        assert_eq!(found("vendor", &json!("none")), "a");
        assert_eq!(found("vendor", &json!("None")), "a");
        assert_eq!(found("vendor", &json!("s!= qemu")), "a");
        assert_eq!(found("serial", &json!("none")), "");
    }

    #[test]
    fn a_disk_is_found_by_any_of_its_serials_and_names() {
        for (hint, value, expected) in [
            ("serial", "s1", "a"),
            ("serial", "samsung_s1", "a"),
            // A disk is not "another one" if any of its names is equal.
            ("serial", "s!= s1", ""),
            ("serial", "s!= samsung_s1", ""),
            ("serial", "s!= s2", "a"),
            ("wwn", "s!= 0x6001405abcdef012", ""),
            ("wwn", "s!= 0x6001405abcdef0120102030405060708", ""),
            ("wwn", "s!= 0x5000c500a1b2c3d4", "b"),
            (
                "by_path",
                "s!= /dev/disk/by-path/pci-0000:00:1f.2-ata-1",
                "a",
            ),
            ("wwn", "0x6001405ABCDEF012", "b"),
            ("wwn", "0x6001405abcdef0120102030405060708", "b"),
            ("by_path", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1", "b"),
            ("by_path", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0", "b"),
            ("name", "/dev/sda", "a"),
            ("name", "s!= /dev/sda", "b"),
            ("hctl", "0:0:0:0", "a"),
            ("hctl", "<in> 0:0", "ab"),
            ("tran", "SATA", "ab"),
        ] {
            assert_eq!(found(hint, &json!(value)), expected, "{hint} {value}");
        }
    }

    #[test]
    fn numbers_are_compared_with_the_serials_that_are_numbers() {
        for (value, expected) in [("!= 17", ""), ("!= 18", "a"), ("== 17", "a"), ("> 16", "a")] {
            let [a, b] = disks();
            let a = BlockDevice {
                serial: Some("17".into()),
                ..a
            };
            let hints = parse("serial", &json!(value)).unwrap();
            let found = [("a", a), ("b", b)]
                .into_iter()
                .filter(|(_, disk)| hints.matches(disk));
            assert_eq!(
                found.map(|(letter, _)| letter).collect::<String>(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn texts_with_the_wrong_form_are_refused_by_name() {
        let hint = || "model".to_owned();
        assert_eq!(
            checked("model", &json!("")),
            Err(Error::Empty { hint: hint() })
        );
        assert_eq!(
            checked("model", &json!(5)),
            Err(Error::NotText {
                hint: hint(),
                value: "5".into()
            })
        );
        assert_eq!(
            checked("model", &json!(null)),
            Err(Error::NotText {
                hint: hint(),
                value: "null".into()
            })
        );
        for operator in ["<in>", "s==", "=", "<or>"] {
            assert_eq!(
                checked("model", &json!(operator)),
                Err(Error::NoOperand {
                    hint: hint(),
                    operator
                })
            );
        }
        assert_eq!(
            checked("model", &json!("= x")),
            Err(Error::NotNumber {
                hint: hint(),
                operator: "=",
                value: "x".into()
            })
        );
        for operator in ["<all-in>", "<range-in>"] {
            let value = json!(format!("{operator} [ 1 2 ]"));
            assert_eq!(
                checked("model", &value),
                Err(Error::UselessOperator {
                    hint: hint(),
                    operator
                })
            );
        }
        assert_eq!(
            checked("colour", &json!("red")),
            Err(Error::Unknown {
                hint: "colour".into()
            })
        );
    }

    #[test]
    fn rotational_takes_the_words_of_a_strict_boolean() {
        for value in [
            json!(true),
            json!("yes"),
            json!("on"),
            json!(1),
            json!("T"),
            json!(" True "),
        ] {
            assert_eq!(found("rotational", &value), "b", "{value}");
        }
        for value in [json!(false), json!("0"), json!("Off"), json!("n")] {
            assert_eq!(found("rotational", &value), "a", "{value}");
        }
        for value in [json!("maybe"), json!(2), json!(null)] {
            let expected = Error::NotBoolean {
                hint: "rotational".into(),
                value: value.to_string(),
            };
            assert_eq!(checked("rotational", &value), Err(expected));
        }
    }

    #[test]
    fn all_hints_must_match() {
        let hints = |value| parse_all(value).unwrap();
        let [_, b] = disks();
        assert!(hints(json!({"size": 10, "vendor": "qemu"})).matches(&b));
        assert!(!hints(json!({"size": 10, "vendor": "dell"})).matches(&b));
    }

    proptest! {
        #[test]
        fn no_expression_makes_the_parser_panic(
            hint in prop_oneof![Just("size"), Just("model"), Just("rotational")],
            operator in prop_oneof![Just(""), Just("<or>"), Just("<in>"), Just("s<"), Just("="), Just("<all-in>")],
            value in ".{0,40}",
        ) {
            if let Ok(hints) = parse(hint, &json!(format!("{operator}{value}"))) {
                let _ = disks().iter().filter(|disk| hints.matches(disk)).count();
            }
        }

        #[test]
        fn any_model_finds_itself(model in "[A-Za-z0-9][ -~]{0,39}") {
            prop_assume!(operator(&model.to_lowercase()).is_none());
            let device = BlockDevice { model: Some(model.clone()), ..disk("/dev/sda") };
            prop_assert!(parse("model", &json!(model)).unwrap().matches(&device));
        }
    }
}
