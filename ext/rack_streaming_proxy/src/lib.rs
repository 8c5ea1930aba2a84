//! The Ruby binding: the only code that names magnus. Every method returns at once; the waiting is
//! Ruby's (`IO#wait_readable` on an exchange's bell). It knows no Rack.

// The only public item is the Init function that magnus generates.
#![allow(missing_docs)]

mod bell;
mod client;
mod convert;
mod deliveries;
mod error;
mod exchange;
mod fd;
mod fork;
mod memory;
mod policy;
mod target;
mod told;

use magnus::prelude::*;
use magnus::{Error, Ruby};

#[magnus::init(name = "rack_streaming_proxy")]
fn init(ruby: &Ruby) -> Result<(), Error> {
    fork::watch_for_forks();
    let rack = ruby.define_module("Rack")?;
    let native = rack.define_module("StreamingProxy")?.define_module("Native")?;
    client::init(ruby, native)?;
    deliveries::init(ruby, native)?;
    exchange::init(ruby, native)?;
    policy::init(ruby, native)?;
    target::init(ruby, native)
}
