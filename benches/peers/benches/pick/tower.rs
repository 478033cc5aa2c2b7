//! Tower's balancer: the less loaded of two.

use super::{Group, bench};
use counterpoint_peers::fleet::Drawn;
use futures_util::FutureExt;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::Service;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, Load, PeakEwma, PendingRequests};

/// An agent that answers when its future is polled.
struct Agent;

impl Service<()> for Agent {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

pub(crate) fn rows(group: &mut Group<'_>, drawn: &Drawn) {
    row(group, "tower p2c, pending requests", drawn, || PendingRequests::new(Agent, CompleteOnResponse::default()));
    let (rtt, decay) = (Duration::from_secs(1), Duration::from_secs(10).as_nanos() as f64);
    row(group, "tower p2c, peak EWMA", drawn, || PeakEwma::new(Agent, rtt, decay, CompleteOnResponse::default()));
}

fn row<S>(group: &mut Group<'_>, name: &str, drawn: &Drawn, agent: impl Fn() -> S)
where
    S: Service<(), Response = ()> + Load,
    S::Error: Into<tower::BoxError>,
    S::Metric: std::fmt::Debug,
    S::Future: Unpin,
{
    let services: Vec<S> = drawn.agents.iter().map(|_| agent()).collect();
    let mut balance = Balance::new(ServiceList::new::<()>(services));
    let (mut context, mut under_way) = (Context::from_waker(Waker::noop()), VecDeque::new());
    bench(group, name, drawn, || {
        if balance.poll_ready(&mut context).is_ready() {
            under_way.push_back(balance.call(()));
        }
        if under_way.len() > 2 * drawn.agents.len() {
            let ended = under_way.pop_front().map(|mut future| future.poll_unpin(&mut context).is_ready());
            assert_eq!(ended, Some(true));
        }
    });
}
