//! Header fields: what stays on its hop, what is added, what an upstream may not say.

mod forwarding;
mod hop_by_hop;
mod request;
mod response;

pub use forwarding::{Forwarding, XForwarded};
pub use request::{ClientFacts, FieldOverride, RequestHead};
pub use response::ResponseHead;

pub(crate) use request::compose;
pub(crate) use response::pass_on;
