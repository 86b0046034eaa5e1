//! The identity of a machine: accounts, age, names.
