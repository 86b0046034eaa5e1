//! The one checked HTTP client for addresses that an operator names.
