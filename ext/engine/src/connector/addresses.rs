//! Connecting to one of several addresses (RFC 8305, Happy Eyeballs).
//!
//! Families take turns, the system's first choice first. Each address is tried 250 ms after the one
//! before, or when that one has failed; the first to answer is used.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long an address may take before the next is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// The first connection to come about.
pub(super) async fn connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    race(in_turns(addresses), TcpStream::connect).await
}

/// The families in turns, each in the system's order.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair.iter().all(Option::is_none) {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

async fn race<T, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut attempts = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut addresses = addresses.into_iter();
    loop {
        let waiting = match addresses.next() {
            Some(address) => {
                attempts.spawn(connect(address));
                addresses.len() > 0
            }
            None => false,
        };
        tokio::select! {
            biased;
            done = attempts.join_next() => match done {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(err))) => last = err,
                Some(Err(err)) => last = io::Error::other(err),
                None => return Err(last),
            },
            () = sleep(STAGGER), if waiting => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::time::Instant;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    #[test]
    fn cn6_families_take_turns() {
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(address);
        let turns = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(address);
        assert_eq!(in_turns(given.to_vec()), turns);
        assert_eq!(in_turns(Vec::new()), []);
    }

    /// Races addresses that each answer after so many milliseconds; says who won, when, and when
    /// each was tried.
    async fn race_of(answers: &'static [(u64, bool)]) -> (io::Result<usize>, u128, Vec<u128>) {
        let begun = Instant::now();
        let tried = Arc::new(Mutex::new(Vec::new()));
        let addresses = (0..answers.len())
            .map(|number| SocketAddr::from(([127, 0, 0, 1], number as u16)))
            .collect();
        let log = tried.clone();
        let won = race(addresses, move |address: SocketAddr| {
            log.lock().expect("log").push(begun.elapsed().as_millis());
            let number = usize::from(address.port());
            async move {
                let (after, works) = answers[number];
                sleep(Duration::from_millis(after)).await;
                if works { Ok(number) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
            }
        })
        .await;
        let tried = tried.lock().expect("log").clone();
        (won, begun.elapsed().as_millis(), tried)
    }

    #[tokio::test(start_paused = true)]
    async fn cn6_a_silent_address_is_overtaken_after_250_ms() {
        let (won, after, tried) = race_of(&[(60_000, true), (10, true)]).await;
        assert_eq!((won.expect("one"), after, tried), (1, 260, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn cn6_a_slow_address_may_still_win() {
        let (won, after, tried) = race_of(&[(300, true), (60_000, true), (1, true)]).await;
        assert_eq!((won.expect("one"), after, tried), (0, 300, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn cn6_a_refusal_does_not_wait() {
        let (won, after, tried) = race_of(&[(5, false), (5, false), (5, true)]).await;
        assert_eq!((won.expect("one"), after, tried), (2, 15, vec![0, 5, 10]));
    }

    #[tokio::test(start_paused = true)]
    async fn cn6_all_fail_with_the_last_reason() {
        let (won, _, tried) = race_of(&[(5, false), (5, false)]).await;
        assert_eq!(won.expect_err("none").kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(tried.len(), 2);
    }
}
