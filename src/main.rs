//! The entry of the command `moot`.

fn main() {}
