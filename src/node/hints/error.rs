//! Errors of parsing hints.

/// Error of parsing hints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The hint has no value.
    #[error("root device hint \"{hint}\" is empty")]
    Empty {
        /// Name of the hint.
        hint: String,
    },
    /// An operator has no value.
    #[error("root device hint \"{hint}\" has no value after \"{operator}\"")]
    NoOperand {
        /// Name of the hint.
        hint: String,
        /// Operator of the hint.
        operator: &'static str,
    },
    /// The value is not a boolean.
    #[error("root device hint \"{hint}\" is not a Boolean value: {value}")]
    NotBoolean {
        /// Name of the hint.
        hint: String,
        /// Value of the hint.
        value: String,
    },
    /// The value is not an integer.
    #[error("root device hint \"{hint}\" is not an integer value: {value}")]
    NotInteger {
        /// Name of the hint.
        hint: String,
        /// Value of the hint.
        value: String,
    },
    /// A numeric operator has an operand that is not a number.
    #[error(
        "root device hint \"{hint}\" compares by \"{operator}\" with what is no number: {value}"
    )]
    NotNumber {
        /// Name of the hint.
        hint: String,
        /// Operator of the hint.
        operator: &'static str,
        /// Operand of the operator.
        value: String,
    },
    /// The value is zero or negative.
    #[error("root device hint \"{hint}\" should be a positive integer: {value}")]
    NotPositive {
        /// Name of the hint.
        hint: String,
        /// Value of the hint.
        value: String,
    },
    /// The value is not a string.
    #[error("root device hint \"{hint}\" is not a string value: {value}")]
    NotText {
        /// Name of the hint.
        hint: String,
        /// Value of the hint.
        value: String,
    },
    /// No disk has this attribute.
    #[error("root device hint \"{hint}\" is unknown")]
    Unknown {
        /// Name of the hint.
        hint: String,
    },
    /// The operator can never be true for this attribute: no attribute is a list, and sizes are not
    /// strings.
    #[error("root device hint \"{hint}\" cannot be compared by \"{operator}\"")]
    UselessOperator {
        /// Name of the hint.
        hint: String,
        /// Operator of the hint.
        operator: &'static str,
    },
}
