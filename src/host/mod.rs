//! One node with its faults and its scripts around it, still sans-IO and of the same shape as the node. The
//! loop of a real process and the simulator drive the same host.
