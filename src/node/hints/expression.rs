//! Expressions of hints: an operator with its values, and the relations between two values.
//!
//! The grammar is that of `oslo_utils.specs_matcher`. The caller decides what an operator means for
//! an attribute.

use std::cmp::Ordering;

use super::error::Error;

/// A parsed expression.
pub(super) struct Expression {
    pub(super) operator: Option<(&'static str, Operator)>,
    pub(super) values: Vec<String>,
}

impl Expression {
    /// Parses an expression: an operator, and the values between its repetitions.
    pub(super) fn parse(hint: &str, expression: &str) -> Result<Self, Error> {
        let expression = expression.trim().to_lowercase();
        if expression.is_empty() {
            return Err(Error::Empty { hint: hint.into() });
        }
        let Some((sign, operator)) = operator(&expression) else {
            return Ok(Self {
                operator: None,
                values: vec![expression],
            });
        };
        let operand = expression.get(sign.len()..).unwrap_or_default().trim();
        if operand.is_empty() || self::operator(operand).is_some() {
            return Err(Error::NoOperand {
                hint: hint.into(),
                operator: sign,
            });
        }
        let values = expression
            .split(sign)
            .map(str::trim)
            .filter(|value| !value.is_empty());
        Ok(Self {
            operator: Some((sign, operator)),
            values: values.map(str::to_owned).collect(),
        })
    }

    /// Returns the operand of an operator that takes one; further values are ignored, as in IPA.
    pub(super) fn first(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}

/// Operator of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    AllIn,
    In,
    Number(Relation),
    Or,
    RangeIn,
    Text(Relation),
}

/// Relation between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

impl Relation {
    /// Returns whether an ordering satisfies this relation. Values without an ordering (NaN) are
    /// only unequal.
    pub(super) fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::NotEqual => order != Some(Ordering::Equal),
        }
    }
}

/// Returns the operator at the beginning of a text.
pub(super) fn operator(text: &str) -> Option<(&'static str, Operator)> {
    OPERATORS
        .iter()
        .copied()
        .find(|(sign, _)| text.starts_with(sign))
}

/// Operators, longer ones before their prefixes.
const OPERATORS: [(&str, Operator); 17] = [
    ("<all-in>", Operator::AllIn),
    ("<range-in>", Operator::RangeIn),
    ("<or>", Operator::Or),
    ("<in>", Operator::In),
    ("==", Operator::Number(Relation::Equal)),
    ("=", Operator::Number(Relation::GreaterOrEqual)),
    ("!=", Operator::Number(Relation::NotEqual)),
    (">=", Operator::Number(Relation::GreaterOrEqual)),
    ("<=", Operator::Number(Relation::LessOrEqual)),
    (">", Operator::Number(Relation::Greater)),
    ("<", Operator::Number(Relation::Less)),
    ("s==", Operator::Text(Relation::Equal)),
    ("s!=", Operator::Text(Relation::NotEqual)),
    ("s<=", Operator::Text(Relation::LessOrEqual)),
    ("s<", Operator::Text(Relation::Less)),
    ("s>=", Operator::Text(Relation::GreaterOrEqual)),
    ("s>", Operator::Text(Relation::Greater)),
];
