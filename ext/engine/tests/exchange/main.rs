//! Exchanges with a scripted upstream: real sockets, no Ruby.

mod chunk_coding;
mod clocks;
mod deliver;
mod destinations;
mod http2;
mod http2_failures;
mod http2_frame_peer;
mod http2_frames;
mod http2_interim;
mod http2_peer;
mod http2_trailers;
mod http2_uploads;
mod interim;
mod peers;
mod pool;
mod responses;
mod reuse;
mod spellings;
mod tunnel;
mod tunnel_clocks;
mod uploads;
