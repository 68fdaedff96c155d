//! Each check on traces made by hand: one that violates it, and an innocent one that comes close.
