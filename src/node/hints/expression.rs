//! The expressions of hints: an operator and its values, and how two values stand to each other.
//!
//! The grammar of `oslo_utils.specs_matcher`; what an operator means for an attribute is the business of the caller.

use std::cmp::Ordering;

use super::error::Error;

/// An expression, taken apart.
pub(super) struct Expression {
    pub(super) operator: Option<(&'static str, Operator)>,
    pub(super) values: Vec<String>,
}

impl Expression {
    /// Takes an expression apart: an operator, and the values between its repetitions.
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

    /// The value that counts where an operator takes one: further ones are read over, as in IPA.
    pub(super) fn first(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}

/// What a sign asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    AllIn,
    In,
    Number(Relation),
    Or,
    RangeIn,
    Text(Relation),
}

/// How two values stand to each other.
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
    /// Whether an order of two values is this relation; values without order (not a number) are only unequal.
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

/// The operator a text begins with.
pub(super) fn operator(text: &str) -> Option<(&'static str, Operator)> {
    OPERATORS
        .iter()
        .copied()
        .find(|(sign, _)| text.starts_with(sign))
}

/// The operators, longer ones before those they begin with.
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
