//! The end-to-end suite: the finished programs, started as an operator starts them, and real clients that break in.

mod faults;
mod images;
mod input;
mod story;
