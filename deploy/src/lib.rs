//! What an installation consists of, rendered from the worker table: units, target, users, folders, polkit, broker.
