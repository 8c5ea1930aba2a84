//! Exchanges with a scripted upstream: real sockets, no Ruby.

mod peers;
mod responses;
mod uploads;
