//! The planner: when each decky acts and what it does, from a seed, a time and what is there.

pub mod shelf;
