//! One node: transport, membership and messaging wired together. The only place where the three meet.

pub mod api;
