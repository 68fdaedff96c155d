//! What a file of evidence proves to somebody who trusts nobody who is named in it. Owns the judgement and its sentences;
//! knows no home, no network and no clock, so anybody can come to the same answer anywhere.

mod examine;
mod sentences;
#[cfg(test)]
mod tests;

pub use examine::{Unsound, examine};
