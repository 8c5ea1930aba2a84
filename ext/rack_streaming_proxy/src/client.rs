//! `Native::Client`: the one engine of this process.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use magnus::prelude::*;
use magnus::{Error, RArray, RHash, RModule, Ruby, Symbol, TryConvert, Value, function};
use streaming_engine::{BodyKind, Client, ClientFacts, Failure, RequestHead, Signal, Stats};

use crate::bell::Bell;
use crate::convert::{argument_error, bytes, header_value, pairs};
use crate::deliveries::Deliveries;
use crate::error::{failed, guarded, out_of_descriptors, unknown};
use crate::exchange::Exchange;
use crate::fork;
use crate::memory;
use crate::policy::Policy;
use crate::target::Target;

/// What a process has of the engine.
#[derive(Debug)]
struct Engine {
    generation: u64,
    /// Grow for as long as the process lives.
    stats: Arc<Stats>,
    /// None before the first request and after `stop`. Never dropped: its threads live as long as
    /// the process.
    client: Option<Arc<Client>>,
    /// None before the first response is delivered.
    deliveries: Option<Arc<Deliveries>>,
}

impl Engine {
    fn of(generation: u64) -> Self {
        Engine { generation, stats: Arc::default(), client: None, deliveries: None }
    }
}

/// Locked only with the GVL held, which a forking thread holds too: no child inherits it locked.
static ENGINE: Mutex<Option<Engine>> = Mutex::new(None);

/// Calls with this process's engine. A forked child forgets the one that it inherited.
fn with_engine<T>(body: impl FnOnce(&mut Engine) -> T) -> T {
    let mut engine = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let generation = fork::generation();
    if engine.as_ref().is_some_and(|engine| engine.generation != generation) {
        std::mem::forget(engine.take());
    }
    body(engine.get_or_insert_with(|| Engine::of(generation)))
}

fn start() -> io::Result<Arc<Client>> {
    with_engine(|engine| match &engine.client {
        Some(client) => Ok(client.clone()),
        None => {
            let client = Arc::new(Client::start(engine.stats.clone())?);
            engine.client = Some(client.clone());
            Ok(client)
        }
    })
}

/// This process's deliveries.
pub(crate) fn deliveries() -> io::Result<Arc<Deliveries>> {
    with_engine(|engine| match &engine.deliveries {
        Some(deliveries) => Ok(deliveries.clone()),
        None => {
            let deliveries = Deliveries::new()?;
            engine.deliveries = Some(deliveries.clone());
            Ok(deliveries)
        }
    })
}

/// What hears how something has ended.
type Ended = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// The engine, and what it calls at the end of that which is handed over to it; `id` names it in
/// [`Deliveries`].
pub(crate) fn to_hand_over(ruby: &Ruby, id: u64) -> Result<(Arc<Client>, Ended), Error> {
    let (client, deliveries) = start()
        .and_then(|client| Ok((client, deliveries()?)))
        .map_err(|err| unknown(ruby, &format!("nothing can be delivered: {err}")))?;
    Ok((client, Box::new(move |outcome| deliveries.end(id, outcome))))
}

/// Calls with this process's engine, if one runs.
pub(crate) fn if_started(body: impl FnOnce(&Client)) {
    if let Some(client) = with_engine(|engine| engine.client.clone()) {
        body(&client);
    }
}

/// The engine, if nothing is under way.
fn take_out(engine: &mut Engine) -> Option<Client> {
    match Arc::try_unwrap(engine.client.take()?) {
        Ok(client) if client.is_at_rest() => return Some(client),
        Ok(client) => engine.client = Some(Arc::new(client)),
        // Who is just opening an exchange has it too.
        Err(shared) => engine.client = Some(shared),
    }
    None
}

/// `stop()`: ends the engine if nothing is under way; the next request starts another. True if
/// none is left.
fn stop(ruby: &Ruby) -> Result<bool, Error> {
    guarded(ruby, || {
        if let Some(client) = with_engine(take_out) {
            client.stop();
        }
        Ok(with_engine(|engine| engine.client.is_none()))
    })
}

/// `open(target, request, policy)`: an Exchange, or the facts of a failure when the request cannot
/// be sent as HTTP. `request` is `[method, fields, client, body, rewindable]`, with `fields`
/// `[[name, value], ...]`, `client` `[address, scheme, host, version, early_hints?, upgrade]`,
/// with `upgrade` the protocols to ask the upstream for or nil, and `body` nil, `:chunked` or a length
/// in bytes.
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
        let (engine, bell) = match start().and_then(|engine| Ok((engine, Bell::shared()?))) {
            Ok(both) => both,
            Err(err) => return out_of_descriptors(ruby, &target.0.origin(), &err),
        };
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
        upgrade: header_value(facts.entry(5)?)?,
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

/// What this process's engine holds, and what it has done so far.
fn stats(ruby: &Ruby) -> Result<RHash, Error> {
    guarded(ruby, || {
        let now = with_engine(|engine| match &engine.client {
            Some(client) => client.stats(),
            None => engine.stats.snapshot(),
        });
        let hash = ruby.hash_new();
        hash.aset(ruby.to_symbol("exchanges"), now.exchanges)?;
        hash.aset(ruby.to_symbol("streams"), now.streams)?;
        hash.aset(ruby.to_symbol("connections"), now.connections)?;
        hash.aset(ruby.to_symbol("idle_connections"), now.idle_connections)?;
        hash.aset(ruby.to_symbol("waiting_requests"), now.waiting_requests)?;
        hash.aset(ruby.to_symbol("buffer_bytes"), memory::told())?;
        hash.aset(ruby.to_symbol("tasks"), now.tasks)?;
        hash.aset(ruby.to_symbol("started"), now.started)?;
        hash.aset(ruby.to_symbol("finished"), now.finished)?;
        hash.aset(ruby.to_symbol("abandoned"), now.abandoned)?;
        hash.aset(ruby.to_symbol("bytes_up"), now.bytes_up)?;
        hash.aset(ruby.to_symbol("bytes_down"), now.bytes_down)?;
        let failed = ruby.hash_new();
        for (kind, times) in now.failed {
            failed.aset(ruby.to_symbol(kind.name()), times)?;
        }
        hash.aset(ruby.to_symbol("failed"), failed)?;
        hash.aset(ruby.to_symbol("cut"), now.cut)?;
        Ok(hash)
    })
}

pub(crate) fn init(_ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let client = native.define_module("Client")?;
    client.define_singleton_method("open", function!(open, 3))?;
    client.define_singleton_method("stop", function!(stop, 0))?;
    client.define_singleton_method("stats", function!(stats, 0))
}
