//! A trace as something to look at: a diagram for a document, a page that opens offline. Reads traces only;
//! the same trace gives the same text, to the byte.

mod diagram;
mod faults;
mod listing;
mod page;
mod past;
mod story;
mod words;

pub use diagram::{Kind, Tally, diagram};
pub use listing::listing;
pub use page::{Finding, Verdict, page};
