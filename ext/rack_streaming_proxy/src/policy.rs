//! `Native::Policy`: resolved settings in the engine's form.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use magnus::prelude::*;
use magnus::{Error, RArray, RHash, RModule, RString, Ruby, Symbol, TryConvert, Value, function};
use streaming_engine::{
    ClientIdentity, Destinations, FieldOverride, Forwarding, HeaderName, HeaderValue, Http2,
    Limits, Policy as EnginePolicy, PoolSettings, Retry, Rule, Sni, Timeouts, TlsSettings,
    TlsVersion, XForwarded,
};

use crate::convert::{argument_error, bytes, resolve};
use crate::error::guarded;

/// Bytes to fetch of a body that is not read here: hyper's first buffer, which is not to be filled, or
/// it grows.
const READ_LITTLE: usize = 8 * 1024 - 1;

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
                tls: from.tls()?,
                http2: match from.name("http2")?.as_str() {
                    "always" => Http2::Always,
                    "never" => Http2::Never,
                    _ => Http2::Auto,
                },
                socket: from.path("socket")?,
                destinations: from.destinations()?,
                pool: from.pool()?,
                read_ahead: match from.name("delivery")?.as_str() {
                    "hijack" => READ_LITTLE,
                    _ => EnginePolicy::default().read_ahead,
                },
                limits: Limits {
                    headers: from.get("max_headers")?,
                    header_bytes: from.get("max_header_bytes")?,
                    interim_responses: from.get("max_interim_responses")?,
                    response_body: from.get("max_response_body")?,
                },
            })))
        })
    }
}

/// Whether the value is a rule of `allow_destinations`.
fn is_destination(ruby: &Ruby, value: Value) -> Result<bool, Error> {
    guarded(ruby, || Ok(rule(value)?.is_some()))
}

/// The rule that a Symbol, or a String with an address, a network or a host name, means.
fn rule(value: Value) -> Result<Option<Rule>, Error> {
    if let Some(symbol) = Symbol::from_value(value) {
        return Ok(match &*symbol.name()? {
            "default" => Some(Rule::Default),
            "any" => Some(Rule::Any),
            "public" => Some(Rule::Public),
            _ => None,
        });
    }
    let text = RString::from_value(value).map(|text| text.to_bytes());
    Ok(text.and_then(|text| Rule::parse(std::str::from_utf8(&text).ok()?)))
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

    fn name(&self, setting: &str) -> Result<String, Error> {
        Ok(self.get::<Symbol>(setting)?.name()?.into_owned())
    }

    fn path(&self, setting: &str) -> Result<Option<PathBuf>, Error> {
        Ok(self.get::<Option<String>>(setting)?.map(PathBuf::from))
    }

    fn tls(&self) -> Result<TlsSettings, Error> {
        let certificate = self.path("client_cert")?;
        let key = self.path("client_key")?;
        Ok(TlsSettings {
            verify: self.get("verify_ssl")?,
            ca_file: self.path("ca_file")?,
            sni: self.sni()?,
            identity: certificate.map(|certificate| ClientIdentity {
                key: key.unwrap_or_else(|| certificate.clone()),
                certificate,
            }),
            min_version: match self.get::<String>("min_tls_version")?.as_str() {
                "1.3" => TlsVersion::V13,
                _ => TlsVersion::V12,
            },
        })
    }

    fn sni(&self) -> Result<Sni, Error> {
        let value: Value = self.get("tls_sni")?;
        match RString::from_value(value) {
            Some(name) => Ok(Sni::Name(name.to_string()?)),
            None if value.to_bool() => Ok(Sni::Url),
            None => Ok(Sni::Off),
        }
    }

    /// `allow_destinations` is an Array of rules, or nil to ask Ruby.
    fn destinations(&self) -> Result<Destinations, Error> {
        let Some(rules) = self.get::<Option<RArray>>("allow_destinations")? else {
            return Ok(Destinations::Asked);
        };
        let malformed = || argument_error(self.ruby, "allow_destinations: no rule");
        let rules = rules.into_iter().map(|value| rule(value)?.ok_or_else(malformed));
        Ok(Destinations::Rules(rules.collect::<Result<_, _>>()?))
    }

    fn pool(&self) -> Result<PoolSettings, Error> {
        Ok(PoolSettings {
            max_idle: self.get("max_idle_connections")?,
            idle_timeout: self.seconds("idle_connection_timeout")?.unwrap_or_default(),
            max_connections: self.get("max_connections")?,
            wait: self.seconds("connection_wait")?.unwrap_or_default(),
            max_waiting: self.get("max_waiting_requests")?,
            max_age: self.seconds("max_connection_age")?,
            max_requests: self.get("max_connection_requests")?,
        })
    }

    fn forwarding(&self) -> Result<Forwarding, Error> {
        let x_forwarded = match self.name("x_forwarded")?.as_str() {
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
    class.define_singleton_method("new", function!(Policy::new, 1))?;
    class.define_singleton_method("destination?", function!(is_destination, 1))
}
