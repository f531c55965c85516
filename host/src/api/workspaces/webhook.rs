//! The workspace's webhook: set, tried, its secret rotated; and the log of what it was told.

use crate::api::asked::Asked;
use crate::api::parse::{per_page, typed_parameter};
use crate::clock;
use crate::http::respond::{self, Reply};
use crate::outbox::{Target, keys, notice};
use crate::random;
use crate::store_errors::unavailable;
use std::time::Duration;
use wasmill_core::limits::DELIVERIES_PAGE_ENTRIES;
use wasmill_core::outbox::{Notice, Secret, SigningKeys};
use wasmill_core::{Problem, WorkspaceId, wire};
use wasmill_store::{Attempt, DeliveryRecord, DeliveryState, EventId, Micros, Next, Webhook};

/// Sets the URL; a request without a URL clears the webhook. The signing secret is made with the
/// first URL and stays when the URL changes.
pub(super) async fn edit(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    body: wire::EditWebhook,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    match body.webhook.as_deref().map(str::trim).filter(|url| !url.is_empty()) {
        None => {
            host.store.clear_webhook(workspace, clock::now()).await.map_err(unavailable)?;
            tracing::info!(%workspace, user = %caller.user, "webhook cleared");
        }
        Some(url) => {
            Target::parse(url, host.outbox.allow_private, &host.outbox.limits)
                .map_err(Problem::bad_request)?;
            let _alone = host.outbox.editing.lock().await;
            let secret = match host.store.webhook(workspace).await.map_err(unavailable)? {
                Some(present) => present.secret,
                None => keys::seal(&host.values, workspace, &SigningKeys::new(new_secret()?))?,
            };
            let webhook = Webhook {
                url: url.to_owned(),
                secret,
                changed_by: caller.user.to_string(),
                changed: clock::now(),
            };
            host.store.set_webhook(workspace, &webhook).await.map_err(unavailable)?;
            tracing::info!(%workspace, user = %caller.user, "webhook set");
        }
    }
    Ok(respond::text(200, format!("Edit webhook for workspace {workspace}")))
}

/// Makes a new signing secret. The old one is used beside it for a while, so that the receiver can
/// change over.
pub(super) async fn rotate(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    body: wire::RotateSecret,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let _alone = host.outbox.editing.lock().await;
    let webhook = host
        .store
        .webhook(workspace)
        .await
        .map_err(unavailable)?
        .ok_or_else(|| no_webhook(workspace))?;
    let now = clock::now();
    let keep = body
        .keep_old_for_secs
        .map_or(host.outbox.limits.old_secret, |seconds| Duration::from_secs(seconds.into()));
    let keep = Micros::try_from(keep.as_micros()).unwrap_or(Micros::MAX);
    let keys = match keys::open(&host.values, workspace, &webhook.secret) {
        Ok(old) if keep > 0 => old.rotated(new_secret()?, now.saturating_add(keep)),
        // A secret that cannot be read is replaced.
        Ok(_) | Err(_) => SigningKeys::new(new_secret()?),
    };
    let secret = keys::seal(&host.values, workspace, &keys)?;
    let webhook = Webhook { secret, changed_by: caller.user.to_string(), changed: now, ..webhook };
    host.store.set_webhook(workspace, &webhook).await.map_err(unavailable)?;
    tracing::info!(%workspace, user = %caller.user, "signing secret of the webhook rotated");
    let previous_until = keys.previous_at(now).map(|(_, until)| wire::timestamp(*until));
    Ok(respond::json(
        200,
        &wire::RotatedSecret { webhook_secret: keys.current.reveal(), previous_until },
    ))
}

/// Tells a test event now, whatever waits, and answers how that went.
pub(super) async fn test(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let host = asked.host;
    host.store
        .webhook(workspace)
        .await
        .map_err(unavailable)?
        .ok_or_else(|| no_webhook(workspace))?;
    let delivery = host.store.begin_test(workspace, clock::now()).await.map_err(unavailable)?;
    let attempted = host.outbox.attempt(&delivery).await;
    let next =
        if attempted.delivered { Next::Delivered } else { Next::GiveUp { before: Micros::MIN } };
    host.store.note_attempt(delivery.event, &attempted.attempt, next).await.map_err(unavailable)?;
    let Attempt { duration, status, error, answer, .. } = attempted.attempt;
    let delivered = attempted.delivered;
    let shown = wire::TestedWebhook {
        delivered,
        status,
        error,
        duration_ms: millis(duration),
        answer,
        id: delivery.event,
    };
    tracing::debug!(%workspace, message = notice(&delivery).id(), delivered, "webhook tested");
    Ok(respond::json(200, &shown))
}

/// The delivery log, newest first. Query: `per_page`, `before` (an id).
pub(super) async fn deliveries(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
) -> Result<Reply, Problem> {
    let Asked { host, query, .. } = asked;
    let before: Option<EventId> = typed_parameter(query, "before", "the id of a delivery")?;
    let limit = per_page(query)?.min(DELIVERIES_PAGE_ENTRIES);
    let records = host.store.deliveries(workspace, before, limit).await.map_err(unavailable)?;
    let shown: Vec<_> = records.iter().map(|record| shown(workspace, record)).collect();
    Ok(respond::json(200, &shown))
}

/// Tells an event of the log again, as if it had not been told.
pub(super) async fn redeliver(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    event: EventId,
) -> Result<Reply, Problem> {
    let host = asked.host;
    host.store
        .webhook(workspace)
        .await
        .map_err(unavailable)?
        .ok_or_else(|| no_webhook(workspace))?;
    host.store.redeliver(workspace, event, clock::now()).await.map_err(unavailable)?;
    Ok(respond::text(200, format!("delivery {event} is told again")))
}

fn shown(workspace: &WorkspaceId, record: &DeliveryRecord) -> wire::WebhookDelivery {
    let notice = Notice { workspace, number: record.event, at: record.at, change: &record.change };
    let (status, settled, next) = match record.state {
        DeliveryState::Waiting(next) => ("waiting", None, next),
        DeliveryState::Delivered(at) => ("delivered", Some(at), None),
        DeliveryState::GivenUp(at) => ("given_up", Some(at), None),
    };
    let attempt = |attempt: &Attempt| wire::WebhookAttempt {
        at: wire::timestamp(attempt.at),
        duration_ms: millis(attempt.duration),
        status: attempt.status,
        error: attempt.error.clone(),
        answer: attempt.answer.clone(),
    };
    wire::WebhookDelivery {
        id: record.event,
        webhook_id: notice.id(),
        r#type: record.change.name(),
        body: notice.body(),
        created_at: wire::timestamp(record.at),
        status,
        settled_at: settled.map(wire::timestamp),
        next_attempt_at: next.map(wire::timestamp),
        attempts: record.attempts,
        log: record.last.iter().map(attempt).collect(),
    }
}

fn new_secret() -> Result<Secret, Problem> {
    Ok(Secret::from_random(&random::for_request("a signing secret")?))
}

fn no_webhook(workspace: &WorkspaceId) -> Problem {
    Problem::not_found(format!("The workspace {workspace} has no webhook; set one first"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
