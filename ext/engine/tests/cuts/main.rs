//! Exchanges that are cut anywhere: by the upstream at every byte, by the reader at every piece.
//!
//! A test of its own beside `exchange`, and one example at a time, because what is counted at the
//! end, descriptors included, is the process's.

mod canned;
mod peers;
mod requests;
mod responses;
mod uploads;
mod upstream;
