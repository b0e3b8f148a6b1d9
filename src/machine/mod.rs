//! What is done with the machine as a whole: its end.

pub mod power;
