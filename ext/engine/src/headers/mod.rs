//! Header fields: what stays on its hop, what is added, what an upstream may not say.

mod authentication;
mod forwarding;
mod hop_by_hop;
mod http2;
mod keep_alive;
mod request;
mod response;

pub use forwarding::{Forwarding, XForwarded};
pub use request::{ClientFacts, FieldOverride, RequestHead};
pub use response::ResponseHead;

pub(crate) use authentication::binds_connection;
pub(crate) use http2::for_http2;
pub(crate) use keep_alive::keep_alive;
pub(crate) use request::compose;
pub(crate) use response::pass_on;
