//! Header fields: what stays on its hop, what is added, what an upstream may not say.

mod authentication;
mod compose;
mod cookies;
mod forwarding;
mod hop_by_hop;
mod http2;
mod keep_alive;
mod limits;
mod request;
mod response;
mod trailers;
mod upgrade;

pub use compose::FieldOverride;
pub use forwarding::{Forwarding, XForwarded};
pub use request::{ClientFacts, RequestHead};
pub use response::{Fields, ResponseHead};

pub(crate) use authentication::binds_connection;
pub(crate) use compose::{compose, expects_continue, on_this_hop};
pub(crate) use http2::for_http2;
pub(crate) use keep_alive::keep_alive;
pub(crate) use limits::within;
pub(crate) use response::{end_to_end, pass_on};
pub(crate) use trailers::Trailers;
pub(crate) use upgrade::{switched, switching};
