//! A trace as something to look at: a diagram for a document, a page that opens offline. Reads traces only.
