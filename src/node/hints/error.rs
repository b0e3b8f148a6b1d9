//! Why hints were not understood.

/// Why hints were not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no value.
    #[error("root device hint \"{hint}\" is empty")]
    Empty {
        /// The hint.
        hint: String,
    },
    /// An operator without a value.
    #[error("root device hint \"{hint}\" has no value after \"{operator}\"")]
    NoOperand {
        /// The hint.
        hint: String,
        /// The operator.
        operator: &'static str,
    },
    /// Not a boolean.
    #[error("root device hint \"{hint}\" is not a Boolean value: {value}")]
    NotBoolean {
        /// The hint.
        hint: String,
        /// What it says.
        value: String,
    },
    /// Not an integer.
    #[error("root device hint \"{hint}\" is not an integer value: {value}")]
    NotInteger {
        /// The hint.
        hint: String,
        /// What it says.
        value: String,
    },
    /// A numeric operator with something that is no number.
    #[error(
        "root device hint \"{hint}\" compares by \"{operator}\" with what is no number: {value}"
    )]
    NotNumber {
        /// The hint.
        hint: String,
        /// The operator.
        operator: &'static str,
        /// What it is compared with.
        value: String,
    },
    /// Zero or less.
    #[error("root device hint \"{hint}\" should be a positive integer: {value}")]
    NotPositive {
        /// The hint.
        hint: String,
        /// What it says.
        value: String,
    },
    /// Not a text.
    #[error("root device hint \"{hint}\" is not a string value: {value}")]
    NotText {
        /// The hint.
        hint: String,
        /// What it says.
        value: String,
    },
    /// An attribute no disk has.
    #[error("root device hint \"{hint}\" is unknown")]
    Unknown {
        /// The hint.
        hint: String,
    },
    /// An operator that can never be true for this attribute: no attribute is a list, sizes are no texts.
    #[error("root device hint \"{hint}\" cannot be compared by \"{operator}\"")]
    UselessOperator {
        /// The hint.
        hint: String,
        /// The operator.
        operator: &'static str,
    },
}
