//! Configuration: one table of options, every source, IPA's precedence.
