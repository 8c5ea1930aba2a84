//! Asking the policy of one exchange.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

use super::{Destinations, Reading};
use crate::chunks::Announcer;
use crate::error::{Failure, Kind, Phase};
use crate::policy::Policy;
use crate::target::Target;

/// What the reader is asked: which of these addresses may be connected to.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) host: String,
    pub(crate) addresses: Vec<IpAddr>,
    /// Takes an answer for each address. Dropped, it refuses them all.
    pub(crate) answer: oneshot::Sender<Vec<bool>>,
}

/// What may be connected to for one exchange.
#[derive(Debug)]
pub(crate) struct Permission {
    policy: Arc<Policy>,
    host: String,
    origin: String,
    announcer: Announcer,
    asking: watch::Sender<bool>,
}

impl Permission {
    pub(crate) fn new(policy: Arc<Policy>, target: &Target, announcer: Announcer) -> Self {
        let (host, origin) = (target.host().to_owned(), target.origin());
        Permission { policy, host, origin, announcer, asking: watch::Sender::new(false) }
    }

    /// Those of the resolved addresses that may be connected to, in their order.
    pub(crate) async fn resolved(
        &self,
        mut found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let permitted = self.of(found.iter().map(SocketAddr::ip).collect()).await;
        found.retain(|address| permitted.contains(&address.ip()));
        if found.is_empty() { Err(self.refusal()) } else { Ok(found) }
    }

    /// Those of the addresses that may be connected to.
    pub(crate) async fn of(&self, mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        match &self.policy.destinations {
            Destinations::Rules(rules) => addresses.retain(|address| {
                let reading = Reading::new(*address);
                rules.iter().any(|rule| rule.permits(&self.host, &reading))
            }),
            Destinations::Asked => {
                let allowed = self.ask(&addresses).await;
                addresses.retain(|address| {
                    Reading::new(*address).all().all(|one| allowed.contains(&one))
                });
            }
        }
        addresses
    }

    /// What the reader allows of these and of what they carry.
    async fn ask(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let mut all = Vec::new();
        for address in
            addresses.iter().flat_map(|address| Reading::new(*address).all().collect::<Vec<_>>())
        {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        if all.is_empty() {
            return all;
        }
        let (answer, answered) = oneshot::channel();
        let question = Question { host: self.host.clone(), addresses: all.clone(), answer };
        self.asking.send_replace(true);
        self.announcer.ask(question);
        let answers = answered.await.unwrap_or_default();
        self.asking.send_replace(false);
        all.into_iter().zip(answers).filter_map(|(address, yes)| yes.then_some(address)).collect()
    }

    /// Which address it was is nobody's business.
    pub(crate) fn refusal(&self) -> Failure {
        let rule = &self.policy.destinations;
        let detail = format!("is at an address that allow_destinations ({rule}) refuses");
        Failure::new(Kind::Destination, Phase::Connect, &self.origin, detail)
    }

    /// The work's result, or `None` if it takes longer. While the reader is asked the clock stands
    /// still: its time is not the upstream's.
    pub(crate) async fn timeout<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.pass(limit) => None,
        }
    }

    async fn pass(&self, mut left: Duration) {
        let mut asking = self.asking.subscribe();
        loop {
            // The sender lives as long as self.
            let _ = asking.wait_for(|asking| !asking).await;
            let started = Instant::now();
            tokio::select! {
                () = sleep(left) => return,
                _ = asking.wait_for(|asking| *asking) => {}
            }
            left = left.saturating_sub(started.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::{Inbox, Message, Outbox, channel};
    use crate::signal::Signal;

    fn permission(destinations: Destinations) -> (Permission, Outbox, Inbox) {
        let (outbox, inbox) = channel(1, Arc::new(Signal::new(|| {})), "http://h");
        let target = Target::parse(b"http://h:81/").expect("a URL");
        let policy = Arc::new(Policy { destinations, ..Policy::default() });
        (Permission::new(policy, &target, outbox.announcer()), outbox, inbox)
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    fn question(inbox: &mut Inbox) -> Question {
        match inbox.next() {
            Some(Message::Permit(question)) => question,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn ss2_every_address_is_judged_and_the_permitted_ones_remain() {
        let (permission, _outbox, _inbox) = permission(Destinations::default());
        let found = ["10.0.0.1:81", "169.254.169.254:81", "[::1]:81"];
        let found: Vec<_> = found.iter().map(|text| text.parse().expect(text)).collect();
        let permitted = permission.resolved(found.clone()).await.expect("two remain");
        assert_eq!(permitted, [found[0], found[2]]);
        let failure = permission.resolved(vec![found[1]]).await.expect_err("none remains");
        assert_eq!(
            failure.to_string(),
            "upstream http://h:81 is at an address that allow_destinations (:default) refuses"
        );
    }

    #[tokio::test]
    async fn ss2_the_reader_is_asked_once_about_each_address_and_what_it_carries() {
        let (permission, _outbox, mut inbox) = permission(Destinations::Asked);
        let found = addresses(&["10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::8.8.8.8", "::1"]);
        let answer = async {
            tokio::task::yield_now().await;
            let Question { host, addresses: asked, answer } = question(&mut inbox);
            let all = ["10.0.0.1", "64:ff9b::a00:1", "64:ff9b::808:808", "8.8.8.8", "::1"];
            assert_eq!((host.as_str(), asked), ("h", addresses(&all)));
            answer.send(vec![false, true, true, true, true]).expect("heard");
        };
        let (permitted, ()) = tokio::join!(permission.of(found.clone()), answer);
        assert_eq!(permitted, found[2..]);
        assert!(permission.of(Vec::new()).await.is_empty(), "nothing to ask");
        assert!(inbox.next().is_none());
    }

    #[tokio::test]
    async fn ss2_a_question_without_an_answer_refuses() {
        for answers in [None, Some(vec![])] {
            let (permission, _outbox, mut inbox) = permission(Destinations::Asked);
            let answer = async {
                tokio::task::yield_now().await;
                let question = question(&mut inbox);
                if let Some(answers) = answers {
                    question.answer.send(answers).expect("heard");
                }
            };
            let (permitted, ()) = tokio::join!(permission.of(addresses(&["10.0.0.1"])), answer);
            assert!(permitted.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn to1_the_clock_stands_still_while_the_reader_is_asked() {
        let (permission, _outbox, mut inbox) = permission(Destinations::Asked);
        let (limit, half) = (Duration::from_secs(2), Duration::from_secs(1));
        let work = async |after: Duration| {
            sleep(half).await;
            permission.of(addresses(&["10.0.0.1"])).await;
            sleep(after).await;
        };
        let answer = async |inbox: &mut Inbox| {
            sleep(limit * 10).await;
            question(inbox).answer.send(vec![true]).expect("heard");
        };
        for (after, done) in [(half / 2, Some(())), (half * 2, None)] {
            let started = Instant::now();
            let timed = permission.timeout(limit, work(after));
            let (result, ()) = tokio::join!(timed, answer(&mut inbox));
            assert_eq!(result, done);
            let end = limit * 10 + if done.is_some() { half / 2 } else { half };
            assert_eq!(started.elapsed().as_secs_f64().round(), end.as_secs_f64().round());
        }
    }
}
