//! `Native::Target`: a parsed URL.

use magnus::prelude::*;
use magnus::{Error, RModule, RString, Ruby, function, method};

use crate::convert::{argument_error, resolve};
use crate::error::guarded;

/// A URL, parsed once; immutable.
#[derive(Clone, Debug)]
#[magnus::wrap(class = "Rack::StreamingProxy::Native::Target", free_immediately, size)]
pub(crate) struct Target(pub(crate) streaming_engine::Target);

impl Target {
    fn new(ruby: &Ruby, url: RString) -> Result<Self, Error> {
        guarded(ruby, || {
            streaming_engine::Target::parse(&url.to_bytes())
                .map(Target)
                .map_err(|reason| argument_error(ruby, reason.to_string()))
        })
    }

    /// The URL without credentials and query.
    fn display(&self) -> String {
        self.0.to_string()
    }

    /// `scheme://host:port`.
    fn origin(&self) -> String {
        self.0.origin()
    }

    /// The URL without credentials, in one spelling.
    fn url(&self) -> String {
        self.0.url()
    }

    /// The same, but connected to without TLS at a port of 127.0.0.1.
    fn at(&self, port: u16) -> Self {
        Target(self.0.at(port))
    }
}

pub(crate) fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = native.define_class("Target", ruby.class_object())?;
    class.undef_default_alloc_func();
    resolve::<Target>(ruby);
    class.define_singleton_method("new", function!(Target::new, 1))?;
    class.define_method("to_s", method!(Target::display, 0))?;
    class.define_method("origin", method!(Target::origin, 0))?;
    class.define_method("url", method!(Target::url, 0))?;
    class.define_method("at", method!(Target::at, 1))
}
