//! The destination policy, asked again of connections that another exchange made.

use std::io::Write;

use h2::server::Builder;
use streaming_engine::{BodyKind, Client, Destinations, HeadEvent, Http2, Kind, Policy, Rule};

use crate::http2_peer::{Asked, Http2Upstream};
use crate::peers::{Reader, client, read_head, upstream};

fn get(client: &Client, url: &str, destinations: Destinations, http2: Http2) -> Reader {
    let policy = Policy { destinations, http2, ..Policy::default() };
    Reader::open(client, url, BodyKind::None, policy)
}

fn public() -> Destinations {
    Destinations::Rules(vec![Rule::Public])
}

/// Answers the next question with `yes` for each address; how many there were.
fn answer(reader: &mut Reader, yes: bool) -> usize {
    loop {
        match reader.exchange.head().expect("no failure") {
            HeadEvent::Again => reader.wait(),
            HeadEvent::Permit(_, addresses) => {
                reader.exchange.permit(vec![yes; addresses.len()]);
                return addresses.len();
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn ss2_a_shared_connection_is_refused_to_a_stricter_policy_and_goes_on_for_others() {
    let upstream =
        Http2Upstream::start(&Builder::new(), |asked: Asked| async move { asked.answer("hello") });
    let client = client();
    for _ in 0..2 {
        let mut open = get(&client, &upstream.url, Destinations::default(), Http2::Always);
        assert_eq!(open.head().expect("a head").status, 200);
        assert_eq!(open.body().0, b"hello");
        let mut strict = get(&client, &upstream.url, public(), Http2::Always);
        assert_eq!(strict.head().expect_err("refused").kind, Kind::Destination);
        let mut asking = get(&client, &upstream.url, Destinations::Asked, Http2::Always);
        assert_eq!(answer(&mut asking, false), 1);
        assert_eq!(asking.head().expect_err("refused").kind, Kind::Destination);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn ss2_a_pooled_connection_is_asked_about_and_goes_back_when_it_is_refused() {
    let (url, thread) = upstream(1, |_, stream| {
        for _ in 0..2 {
            read_head(stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("sent");
        }
    });
    let client = client();
    let mut first = get(&client, &url, Destinations::Asked, Http2::Never);
    assert_eq!(answer(&mut first, true), 1);
    first.head().expect("a head");
    assert_eq!(first.body().0, b"hello");
    let mut refused = get(&client, &url, Destinations::Asked, Http2::Never);
    answer(&mut refused, false);
    answer(&mut refused, false);
    assert_eq!(refused.head().expect_err("refused").kind, Kind::Destination);
    let mut second = get(&client, &url, Destinations::Asked, Http2::Never);
    assert_eq!(answer(&mut second, true), 1);
    second.head().expect("a head");
    assert_eq!(second.body().0, b"hello");
    // The upstream accepts no second connection.
    thread.join().expect("the upstream ends well");
}
