//! Handing a client's socket over to the engine, which goes on with the exchange without Ruby.

use std::time::Duration;

use magnus::prelude::*;
use magnus::{Error, RArray, RString, Ruby, Symbol, Value};
use streaming_engine::{BodyFraming, Delivery, Failure, Kind, Phase, Tunnel};

use super::Exchange;
use crate::client;
use crate::convert::argument_error;
use crate::error::{failed, guarded, out_of_descriptors};
use crate::fd;

impl Exchange {
    /// Takes one of `most` places for responses that the engine writes, until `close`; nil: as many
    /// as are asked for. nil, or the facts of a failure.
    pub(super) fn take_place(
        ruby: &Ruby,
        rb_self: &Self,
        most: Option<usize>,
        upstream: String,
    ) -> Result<Value, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            if let Err(err) = client::deliveries() {
                return out_of_descriptors(ruby, &upstream, &err);
            }
            if live.lock().take_place(most.unwrap_or(usize::MAX)) {
                return Ok(ruby.qnil().as_value());
            }
            let most = most.unwrap_or_default();
            let detail = format!("has answered, but {most} responses are delivered (max_streams)");
            let failure = Failure::new(Kind::Overloaded, Phase::Head, &upstream, detail);
            Ok(failed(ruby, &failure)?.as_value())
        })
    }

    /// Has the engine write the response, whose head has been read, to the socket of this
    /// descriptor, of which it takes a duplicate. `delivery` is `[head, framing, send_timeout,
    /// drain_timeout, min_send_rate, upstream]`, with `head` the bytes to write first, `framing`
    /// `:length`, `:chunks` or `:end`, and seconds or bytes a second, or nil; `Deliveries` tells of
    /// its end, by `id`. False, and nothing happens, if there is no descriptor.
    pub(super) fn deliver(
        ruby: &Ruby,
        rb_self: &Self,
        descriptor: i32,
        delivery: RArray,
        id: u64,
    ) -> Result<bool, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let Ok(socket) = fd::duplicate(descriptor) else { return Ok(false) };
            let framing: Symbol = delivery.entry(1)?;
            let delivery = Delivery {
                socket,
                head: delivery.entry::<RString>(0)?.to_bytes(),
                framing: body_framing(ruby, &framing.name()?)?,
                send_timeout: delivery.entry::<Option<f64>>(2)?.map(Duration::from_secs_f64),
                drain_timeout: Duration::from_secs_f64(delivery.entry(3)?),
                min_send_rate: delivery.entry(4)?,
                upstream: delivery.entry(5)?,
            };
            let (engine, ended) = client::to_hand_over(ruby, id)?;
            engine.deliver(live.exchange.clone(), delivery, ended);
            // It is no longer Ruby's to free.
            rb_self.held.set(ruby, 0);
            live.bell.release();
            Ok(true)
        })
    }

    /// Has the engine pass bytes on between the upstream, whose 101 has been read, and the socket of
    /// this descriptor, of which it takes a duplicate. `tunnel` is `[head, early, idle_timeout,
    /// half_closed_timeout, upstream]`, with `head` the bytes to write first, `early` what the client has sent behind its
    /// request, and seconds or nil; `Deliveries` tells of its end, by `id`. False, and nothing happens,
    /// if there is no descriptor.
    pub(super) fn tunnel(
        ruby: &Ruby,
        rb_self: &Self,
        descriptor: i32,
        tunnel: RArray,
        id: u64,
    ) -> Result<bool, Error> {
        guarded(ruby, || {
            let live = rb_self.live(ruby)?;
            let Ok(socket) = fd::duplicate(descriptor) else { return Ok(false) };
            let tunnel = Tunnel {
                socket,
                head: tunnel.entry::<RString>(0)?.to_bytes(),
                early: tunnel.entry::<RString>(1)?.to_bytes(),
                idle_timeout: tunnel.entry::<Option<f64>>(2)?.map(Duration::from_secs_f64),
                half_closed_timeout: tunnel.entry::<Option<f64>>(3)?.map(Duration::from_secs_f64),
                upstream: tunnel.entry(4)?,
            };
            let (engine, ended) = client::to_hand_over(ruby, id)?;
            engine.tunnel(live.exchange.clone(), tunnel, ended);
            // As with a delivery.
            rb_self.held.set(ruby, 0);
            live.bell.release();
            Ok(true)
        })
    }
}

fn body_framing(ruby: &Ruby, name: &str) -> Result<BodyFraming, Error> {
    match name {
        "length" => Ok(BodyFraming::Length),
        "chunks" => Ok(BodyFraming::Chunks),
        "end" => Ok(BodyFraming::End),
        _ => Err(argument_error(ruby, "framing takes :length, :chunks or :end")),
    }
}
