//! The end-to-end suite: the finished programs, started as an operator starts them, and real clients that break in.

mod docker;
mod faults;
mod ground;
mod images;
mod input;
mod life;
mod shells;
mod story;
mod webhooks;
