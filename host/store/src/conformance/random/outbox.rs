//! The steps that touch webhooks and what they are told.

use super::{START, kind};
use crate::conformance::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Change { in_two: bool, sort: u8, path: u8, mode: u8, at: Micros },
    Webhook { in_two: bool, set: bool, at: Micros },
    Test { in_two: bool, at: Micros },
    Note { event: EventId, at: Micros, next: u8 },
    Redeliver { in_two: bool, event: EventId, at: Micros },
    PurgeDeliveries { before: Micros, limit: u32 },
    NextDeliveries(u32),
    Deliveries { in_two: bool, before: Option<EventId>, limit: u32 },
}

/// What touches webhooks and what they are told. Few events, so that attempts meet settled ones and
/// such as are not there.
pub(super) fn steps() -> impl Strategy<Value = Step> {
    let instant = START - 2..START + 12;
    let in_two = prop::bool::weighted(0.2);
    let event = 0..12i64;
    prop_oneof![
        4 => (in_two, 0..3u8, 0..3u8, 0..4u8, instant.clone())
            .prop_map(|(in_two, sort, path, mode, at)| Step::Change { in_two, sort, path, mode, at }),
        2 => (in_two, prop::bool::weighted(0.8), instant.clone()).prop_map(|(in_two, set, at)| Step::Webhook { in_two, set, at }),
        1 => (in_two, instant.clone()).prop_map(|(in_two, at)| Step::Test { in_two, at }),
        4 => (event.clone(), instant.clone(), 0..5u8).prop_map(|(event, at, next)| Step::Note { event, at, next }),
        1 => (in_two, event.clone(), instant.clone()).prop_map(|(in_two, event, at)| Step::Redeliver { in_two, event, at }),
        1 => (instant, 0..4u32).prop_map(|(before, limit)| Step::PurgeDeliveries { before, limit }),
        3 => (0..4u32).prop_map(Step::NextDeliveries),
        3 => (in_two, prop::option::of(event), 0..6u32)
            .prop_map(|(in_two, before, limit)| Step::Deliveries { in_two, before, limit }),
    ]
}

/// Does a step and prints the answer.
pub(super) async fn answer(store: &dyn Store, step: &Step) -> String {
    let of = |in_two: &bool| workspace(if *in_two { "two" } else { "one" });
    match step {
        Step::Change { in_two, sort, path, mode, at } => {
            let path = value_path(&format!("f/a/{path}"));
            let mode = match mode {
                0 => PutMode::Create,
                1 => PutMode::Update,
                2 => PutMode::Upsert,
                _ => PutMode::Rename(value_path("f/a/1")),
            };
            let (description, changed_by, changed, value) =
                (String::new(), "ann".into(), *at, vec![7]);
            match sort {
                0 => {
                    let variable =
                        Variable { path, value, is_secret: true, description, changed_by, changed };
                    kind(store.put_variable(&of(in_two), &variable, &mode).await)
                }
                1 => {
                    let resource = Resource {
                        path,
                        value,
                        resource_type: "any".into(),
                        description,
                        changed_by,
                        changed,
                    };
                    kind(store.put_resource(&of(in_two), &resource, &mode).await)
                }
                _ if at % 2 == 0 => kind(store.delete_variable(&of(in_two), &path, *at).await),
                _ => kind(store.delete_resource(&of(in_two), &path, *at).await),
            }
        }
        Step::Webhook { in_two, set: true, at } => {
            let webhook = Webhook {
                url: format!("https://{at}.example/"),
                secret: vec![1],
                changed_by: "ann".into(),
                changed: *at,
            };
            kind(store.set_webhook(&of(in_two), &webhook).await)
        }
        Step::Webhook { in_two, set: false, at } => {
            let cleared = store.clear_webhook(&of(in_two), *at).await;
            format!("{} {:?}", kind(cleared), store.webhook(&of(in_two)).await.unwrap())
        }
        Step::Test { in_two, at } => kind(store.begin_test(&of(in_two), *at).await),
        Step::Note { event, at, next } => {
            let status = (at % 3 != 0).then_some(500);
            let attempt = Attempt {
                at: *at,
                duration: Duration::from_millis(2),
                status,
                error: None,
                answer: "no".into(),
            };
            let next = match next {
                0 | 1 => Next::Delivered,
                2 => Next::Retry(at + 3),
                3 => Next::GiveUp { before: Micros::MIN },
                _ => Next::GiveUp { before: *at },
            };
            kind(store.note_attempt(*event, &attempt, next).await)
        }
        Step::Redeliver { in_two, event, at } => {
            kind(store.redeliver(&of(in_two), *event, *at).await)
        }
        Step::PurgeDeliveries { before, limit } => {
            kind(store.purge_deliveries(*before, *limit).await)
        }
        Step::NextDeliveries(limit) => kind(store.next_deliveries(*limit).await),
        Step::Deliveries { in_two, before, limit } => {
            kind(store.deliveries(&of(in_two), *before, *limit).await)
        }
    }
}
