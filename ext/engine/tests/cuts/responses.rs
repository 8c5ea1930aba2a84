//! Responses cut at every byte, by FIN, reset and stall.

use std::sync::Arc;
use std::time::Duration;

use streaming_engine::{BodyKind, Client, Kind, Phase};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::peers::{Outcome, Reader, Stage, clean_exchange, policy};
use crate::upstream::{Cut, Upstream};

/// Exchanges at once; stalls spend their time in waiting.
const AT_ONCE: usize = 400;
const STALL: Duration = Duration::from_millis(700);

/// What the reader must be told when so many bytes came before the cut.
fn check(upstream: &Upstream, case: usize, offset: usize, cut: Cut, outcome: &Outcome) {
    let canned = &upstream.canned[case];
    let brought = canned.brought_by(offset);
    let what = format!("{:?}, {cut:?} after {offset} bytes: {outcome:?}", canned.name);
    let (kind, phases) = match cut {
        Cut::Stall => (Kind::Timeout, (Phase::Head, Phase::Idle)),
        Cut::Fin | Cut::Reset => (Kind::Protocol, (Phase::Head, Phase::Body)),
    };
    if !brought.head {
        let failure = outcome.as_ref().expect_err(&what);
        assert_eq!((failure.kind, failure.phase), (kind, phases.0), "{what}");
        return;
    }
    let (_, body, end) = outcome.as_ref().expect(&what);
    // A reset may overtake bytes.
    assert!(brought.body.starts_with(body), "{what}");
    assert!(cut == Cut::Reset || brought.body == *body, "{what}");
    let ended_by_fin = cut == Cut::Fin && canned.end == crate::canned::End::Connection;
    if brought.whole || ended_by_fin {
        assert_eq!((end.is_ok(), body), (true, &brought.body), "{what}");
    } else {
        let failure = end.as_ref().expect_err(&what);
        assert_eq!((failure.kind, failure.phase), (kind, phases.1), "{what}");
    }
}

async fn cut_one(client: &Client, upstream: &Upstream, case: usize, offset: usize, cut: Cut) {
    let path = format!("cut/{case}/{offset}/{cut:?}");
    let url = format!("{}/{path}", upstream.url);
    let limit = (cut == Cut::Stall).then_some(STALL);
    let method = upstream.canned[case].method;
    let mut reader = Reader::open(client, (method, &url), BodyKind::None, &policy(limit));
    let outcome = reader.outcome().await;
    check(upstream, case, offset, cut, &outcome);
    drop(reader);
    let url = format!("{}/clean/{}", upstream.url, path.replace('/', "-"));
    clean_exchange(client, &url, &path).await;
}

async fn cut_all(client: Arc<Client>, cut: Cut) {
    let upstream = Upstream::start().await;
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut cuts = JoinSet::new();
    for (case, canned) in upstream.canned.iter().enumerate() {
        for offset in 0..=canned.bytes().len() {
            let (client, upstream) = (client.clone(), upstream.clone());
            let turn = room.clone().acquire_owned().await.expect("open");
            cuts.spawn(async move {
                cut_one(&client, &upstream, case, offset, cut).await;
                drop(turn);
            });
        }
    }
    while let Some(done) = cuts.join_next().await {
        done.expect("every cut is seen for what it is");
    }
    upstream.assert_nothing_violated();
}

fn cut_everywhere(cut: Cut) {
    let stage = Stage::new();
    stage.run(cut_all(Arc::clone(&stage.client), cut));
    stage.leaves_nothing();
}

#[test]
fn st2_a_fin_at_any_byte_leaves_the_whole_or_a_prefix_and_a_failure() {
    cut_everywhere(Cut::Fin);
}

#[test]
fn st3_a_reset_at_any_byte_is_never_an_end() {
    cut_everywhere(Cut::Reset);
}

#[test]
fn cn2_a_stall_at_any_byte_is_a_timeout_and_its_connection_is_never_used_again() {
    cut_everywhere(Cut::Stall);
}
