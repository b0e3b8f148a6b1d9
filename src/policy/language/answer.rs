//! Results of checks, and sets of possible results where the target is not fully known.

/// Failure of an evaluation where Python raises an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Failure;

/// Set of results that a check can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct Outcomes {
    /// The check may hold.
    pub(in crate::policy) holds: bool,
    /// The check may be false.
    pub(super) denies: bool,
    /// Python may raise an exception, which denies the whole rule.
    pub(super) fails: bool,
}

impl Outcomes {
    pub(super) const NONE: Self = Self {
        holds: false,
        denies: false,
        fails: false,
    };
    pub(super) const HOLDS: Self = Self {
        holds: true,
        ..Self::NONE
    };
    pub(super) const DENIES: Self = Self {
        denies: true,
        ..Self::NONE
    };
    pub(super) const FAILS: Self = Self {
        fails: true,
        ..Self::NONE
    };
    pub(super) const ANY: Self = Self {
        holds: true,
        denies: true,
        fails: true,
    };

    /// Either result, without an exception.
    pub(super) const UNKNOWN: Self = Self {
        fails: false,
        ..Self::ANY
    };

    /// Returns whether the check holds for every target.
    pub(in crate::policy) const fn always_holds(self) -> bool {
        self.holds && !self.denies && !self.fails
    }

    pub(super) const fn negated(self) -> Self {
        Self {
            holds: self.denies,
            denies: self.holds,
            fails: self.fails,
        }
    }
}

impl From<Result<bool, Failure>> for Outcomes {
    fn from(answer: Result<bool, Failure>) -> Self {
        match answer {
            Ok(true) => Self::HOLDS,
            Ok(false) => Self::DENIES,
            Err(Failure) => Self::FAILS,
        }
    }
}
