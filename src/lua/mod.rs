//! Lua: the sandbox that scripts run in, its limits, and the hooks of a node. Owns what a script may touch;
//! does nothing to the node itself: what a script asks for comes out as values.
