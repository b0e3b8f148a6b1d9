//! Many callers at once: how much of it Keystone gets to feel.

use super::{LOOK, Server, TOKEN, keystone, known, refusal, refused};
use ferrite::keystone::{Keystone, Refusal};
use std::sync::Arc;
use std::time::Duration;
use support::clock::Clock;
use support::conductor::Answer;
use tokio::task::JoinSet;

/// Callers with tokens of these numbers.
fn callers(
    keystone: &Arc<Keystone>,
    numbers: std::ops::Range<usize>,
) -> JoinSet<Result<(), Refusal>> {
    let mut callers = JoinSet::new();
    for number in numbers {
        let keystone = Arc::clone(keystone);
        callers.spawn(async move {
            let token = format!("token-{number}");
            keystone.validate(token.as_bytes()).await.map(drop)
        });
    }
    callers
}

#[tokio::test]
async fn callers_with_the_same_token_share_a_question() {
    let server = Server::start().await;
    server.on(LOOK, [known("project"), refused(404)]);
    // Nothing is remembered: only the question on its way is shared.
    let keystone = Arc::new(keystone(&server.url(), &[("token_cache_time", "0")]));
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let keystone = Arc::clone(&keystone);
        callers.spawn(async move { keystone.validate(TOKEN).await });
    }
    while let Some(outcome) = callers.join_next().await {
        assert_eq!(outcome.unwrap().unwrap().user, "olga@Default");
    }
    assert_eq!(server.asked(LOOK).len(), 1);
}

#[tokio::test]
async fn when_the_one_who_asks_goes_away_another_asks() {
    let server = Server::start().await;
    server.on(LOOK, [Answer::silence(), known("project")]);
    let keystone = Arc::new(keystone(&server.url(), &[]));
    let mut first = JoinSet::new();
    let asker = Arc::clone(&keystone);
    first.spawn(async move { asker.validate(TOKEN).await.map(drop) });
    server.until_asked(LOOK, 1).await;
    let second = keystone.validate(TOKEN);
    let leaving = async {
        tokio::task::yield_now().await;
        first.shutdown().await;
    };
    let (outcome, ()) = tokio::join!(second, leaving);
    outcome.unwrap();
    assert_eq!(server.asked(LOOK).len(), 2);
}

#[tokio::test]
async fn four_questions_are_on_their_way_sixteen_wait_and_the_rest_is_told_at_once() {
    let clock = Clock::stop();
    let server = Server::start().await;
    server.on(LOOK, [Answer::silence()]);
    let keystone = Arc::new(keystone(&server.url(), &[]));
    let mut inside = callers(&keystone, 0..4);
    server.until_asked(LOOK, 4).await;
    let mut waiting = callers(&keystone, 4..20);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    for number in 20..200 {
        let token = format!("token-{number}");
        let outcome = keystone.validate(token.as_bytes()).await;
        assert_eq!(refusal(outcome), Refusal::Unavailable);
    }
    assert_eq!(clock.seconds(), 0);
    assert_eq!(server.asked(LOOK).len(), 4);
    clock.pass(Duration::from_millis(10_100)).await;
    for callers in [&mut inside, &mut waiting] {
        while let Some(outcome) = callers.join_next().await {
            assert_eq!(outcome.unwrap(), Err(Refusal::Unavailable));
        }
    }
    // Nobody asked in the name of those who waited in vain.
    assert_eq!(server.asked(LOOK).len(), 4);
    server.until_open(0).await;
}

#[tokio::test]
async fn a_flood_of_wrong_tokens_keeps_no_known_caller_out() {
    let server = Server::start().await;
    server.on(LOOK, [known("project"), refused(404)]);
    let keystone = Arc::new(keystone(&server.url(), &[]));
    keystone.validate(TOKEN).await.unwrap();
    for round in 0..20 {
        let mut callers = callers(&keystone, round * 50..round * 50 + 50);
        while let Some(outcome) = callers.join_next().await {
            outcome.unwrap().unwrap_err();
        }
        keystone.validate(TOKEN).await.unwrap();
    }
    assert!(server.asked(LOOK).len() > 20);
}
