//! Properties: what holds for every input, tried with random ones and simple models.

mod forwarding;
mod framing;
mod heads;
mod target;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::sample::select;

use crate::headers::{ClientFacts, RequestHead};
use crate::target::Target;

type Fields = Vec<(HeaderName, HeaderValue)>;

/// Cases that cost nothing but time; no files are written about failures.
fn quick() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) }
}

/// A value as it may come: anything but controls, bytes over 0x7F and empty ones too.
fn value() -> impl Strategy<Value = HeaderValue> {
    let byte = prop_oneof![9 => 0x20..=0x7E_u8, 1 => 0x80..=0xFF_u8, 1 => Just(b'\t')];
    prop::collection::vec(byte, 0..12)
        .prop_map(|bytes| HeaderValue::from_bytes(&bytes).expect("no controls"))
}

/// Lines with names of this list; few names, so that they repeat.
fn lines(names: &'static [&'static str], most: usize) -> impl Strategy<Value = Fields> {
    let name = select(names).prop_map(HeaderName::from_static);
    prop::collection::vec((name, value()), 0..most)
}

fn head(method: &str, fields: &Fields, client: ClientFacts) -> RequestHead {
    let target = Target::parse(b"http://up:81/x").expect("target");
    let fields = fields.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    RequestHead::new(method.as_bytes(), target, fields, client).expect("head")
}
