//! `Native::Policy`: resolved settings in the engine's form.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use magnus::prelude::*;
use magnus::{Error, RArray, RHash, RModule, RString, Ruby, Symbol, TryConvert, Value, function};
use streaming_engine::{
    FieldOverride, Forwarding, HeaderName, HeaderValue, Policy as EnginePolicy, PoolSettings,
    Retry, Timeouts, TlsSettings, XForwarded,
};

use crate::convert::{argument_error, bytes, resolve};
use crate::error::guarded;

/// The settings of exchanges; immutable and shared by them.
#[derive(Clone, Debug)]
#[magnus::wrap(class = "Rack::StreamingProxy::Native::Policy", free_immediately, size)]
pub(crate) struct Policy(pub(crate) Arc<EnginePolicy>);

impl Policy {
    /// From a Hash of settings that the Ruby side has checked; an absent key is an error.
    fn new(ruby: &Ruby, settings: RHash) -> Result<Self, Error> {
        guarded(ruby, || {
            let from = Settings { ruby, settings };
            Ok(Policy(Arc::new(EnginePolicy {
                timeouts: Timeouts {
                    connect: from.seconds("connect_timeout")?,
                    head: from.seconds("timeout")?,
                    idle: from.seconds("idle_timeout")?,
                    total: from.seconds("total_timeout")?,
                },
                retry: Retry {
                    on_5xx: from.get("num_retries_on_5xx")?,
                    delay: from.seconds("retry_delay")?.unwrap_or_default(),
                },
                forwarding: from.forwarding()?,
                overrides: from.overrides()?,
                trust_upstream: from.get("trust_upstream")?,
                tls: TlsSettings {
                    verify: from.get("verify_ssl")?,
                    ca_file: from.get::<Option<String>>("ca_file")?.map(PathBuf::from),
                },
                pool: PoolSettings {
                    max_idle: from.get("max_idle_connections")?,
                    idle_timeout: from.seconds("idle_connection_timeout")?.unwrap_or_default(),
                },
            })))
        })
    }
}

struct Settings<'a> {
    ruby: &'a Ruby,
    settings: RHash,
}

impl Settings<'_> {
    fn get<T: TryConvert>(&self, name: &str) -> Result<T, Error> {
        self.settings.fetch(self.ruby.to_symbol(name))
    }

    fn seconds(&self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(seconds) = self.get::<Option<f64>>(name)? else { return Ok(None) };
        Duration::try_from_secs_f64(seconds)
            .map(Some)
            .map_err(|err| argument_error(self.ruby, format!("{name}: {err}")))
    }

    fn forwarding(&self) -> Result<Forwarding, Error> {
        let x_forwarded = match &*self.get::<Symbol>("x_forwarded")?.name()? {
            "append" => XForwarded::Append,
            "replace" => XForwarded::Replace,
            _ => XForwarded::Off,
        };
        let (via, preserve_host) = (self.get("via")?, self.get("preserve_host")?);
        Ok(Forwarding { x_forwarded, via, max_hops: self.get("max_hops")?, preserve_host })
    }

    /// `headers` is `[[name, nil or [value, ...]], ...]`.
    fn overrides(&self) -> Result<Vec<FieldOverride>, Error> {
        let headers: RArray = self.get("headers")?;
        headers.into_iter().map(|pair| self.field_override(RArray::try_convert(pair)?)).collect()
    }

    fn field_override(&self, pair: RArray) -> Result<FieldOverride, Error> {
        let name = bytes(pair.entry(0)?)?;
        let refuse = |what: &str| {
            let name = String::from_utf8_lossy(&name).into_owned();
            argument_error(self.ruby, format!("headers: {what} {name:?}"))
        };
        let parsed = HeaderName::from_bytes(&name).map_err(|_| refuse("malformed name"))?;
        let Some(values) = pair.entry::<Option<RArray>>(1)? else { return Ok((parsed, None)) };
        let values = values.into_iter().map(|value: Value| {
            let value = RString::try_convert(value)?.to_bytes();
            HeaderValue::from_bytes(&value).map_err(|_| refuse("a control character in"))
        });
        Ok((parsed, Some(values.collect::<Result<_, _>>()?)))
    }
}

pub(crate) fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = native.define_class("Policy", ruby.class_object())?;
    class.undef_default_alloc_func();
    resolve::<Policy>(ruby);
    class.define_singleton_method("new", function!(Policy::new, 1))
}
