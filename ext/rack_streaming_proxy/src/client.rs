//! `Native::Client`: the one engine of this process.

use std::sync::{Mutex, PoisonError};

use magnus::prelude::*;
use magnus::{Error, RArray, RHash, RModule, Ruby, Symbol, TryConvert, Value, function};
use streaming_engine::{BodyKind, Client, ClientFacts, RequestHead, Signal, Snapshot};

use crate::bell::Bell;
use crate::convert::{argument_error, bytes, header_value, pairs};
use crate::error::{failed, guarded, unknown};
use crate::exchange::Exchange;
use crate::fork;
use crate::policy::Policy;
use crate::target::Target;

/// An engine and the process that it belongs to. Leaked: its threads live as long as the process,
/// and a forked child must never drop it.
#[derive(Debug)]
struct Started {
    generation: u64,
    client: Client,
}

/// Locked only with the GVL held, which a forking thread holds too: no child inherits it locked.
static ENGINE: Mutex<Option<&'static Started>> = Mutex::new(None);

/// This process's engine, if it has been started.
fn running() -> Option<&'static Client> {
    let engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    engine.filter(|started| started.generation == fork::generation()).map(|started| &started.client)
}

fn start(ruby: &Ruby) -> Result<&'static Client, Error> {
    if let Some(client) = running() {
        return Ok(client);
    }
    let client = Client::start().map_err(|err| {
        unknown(ruby, &format!("the engine's threads could not be started: {err}"))
    })?;
    let started: &'static Started =
        Box::leak(Box::new(Started { generation: fork::generation(), client }));
    *ENGINE.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
    Ok(&started.client)
}

/// `open(target, request, policy)`: an Exchange, or the facts of a failure when the request cannot
/// be sent as HTTP. `request` is `[method, fields, client, body, rewindable]`, with `fields`
/// `[[name, value], ...]`, `client` `[address, scheme, host, version, early_hints?]`, and `body`
/// nil, `:chunked` or a length in bytes.
fn open(ruby: &Ruby, target: &Target, request: RArray, policy: &Policy) -> Result<Value, Error> {
    guarded(ruby, || {
        let (method, fields) = (bytes(request.entry(0)?)?, pairs(request.entry(1)?)?);
        let fields = fields.iter().map(|(name, value)| (&name[..], &value[..]));
        let client = client_facts(request.entry(2)?)?;
        let (body, rewindable) = (body_kind(ruby, request.entry(3)?)?, request.entry(4)?);
        let head = RequestHead::new(&method, target.0.clone(), fields, client);
        let head = match head {
            Ok(head) => head,
            Err(failure) => return Ok(failed(ruby, &failure)?.as_value()),
        };
        let engine = start(ruby)?;
        let bell = Bell::shared()
            .map_err(|err| unknown(ruby, &format!("no descriptor for a bell: {err}")))?;
        let ring = bell.clone();
        let signal = Signal::new(move || ring.ring());
        let exchange = engine.open(head, body, rewindable, policy.0.clone(), signal);
        Ok(ruby.obj_wrap(Exchange::new(exchange, bell)).as_value())
    })
}

fn client_facts(facts: RArray) -> Result<ClientFacts, Error> {
    Ok(ClientFacts {
        address: header_value(facts.entry(0)?)?,
        scheme: header_value(facts.entry(1)?)?,
        host: header_value(facts.entry(2)?)?,
        version: facts.entry(3)?,
        early_hints: facts.entry(4)?,
    })
}

fn body_kind(ruby: &Ruby, body: Value) -> Result<BodyKind, Error> {
    if body.is_nil() {
        return Ok(BodyKind::None);
    }
    if let Some(symbol) = Symbol::from_value(body) {
        return match &*symbol.name()? {
            "chunked" => Ok(BodyKind::Chunked),
            _ => Err(argument_error(ruby, "body takes nil, :chunked or a length")),
        };
    }
    match u64::try_convert(body)? {
        0 => Ok(BodyKind::None),
        length => Ok(BodyKind::Length(length)),
    }
}

/// What this process's engine holds and has moved; all zero before it was started.
fn stats(ruby: &Ruby) -> Result<RHash, Error> {
    guarded(ruby, || {
        let now = running().map_or_else(Snapshot::default, Client::stats);
        let hash = ruby.hash_new();
        hash.aset(ruby.to_symbol("exchanges"), now.exchanges)?;
        hash.aset(ruby.to_symbol("connections"), now.connections)?;
        hash.aset(ruby.to_symbol("idle_connections"), now.idle_connections)?;
        hash.aset(ruby.to_symbol("waiting_requests"), now.waiting_requests)?;
        hash.aset(ruby.to_symbol("bytes_up"), now.bytes_up)?;
        hash.aset(ruby.to_symbol("bytes_down"), now.bytes_down)?;
        hash.aset(ruby.to_symbol("tasks"), now.tasks)?;
        Ok(hash)
    })
}

pub(crate) fn init(_ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let client = native.define_module("Client")?;
    client.define_singleton_method("open", function!(open, 3))?;
    client.define_singleton_method("stats", function!(stats, 0))
}
