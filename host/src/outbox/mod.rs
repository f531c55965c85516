//! Telling workspaces' webhooks of changes: where it may go, one attempt, and the task that makes
//! them.

mod client;
pub(crate) mod dispatcher;
pub(crate) mod keys;
mod target;

pub(crate) use target::Target;

use crate::clock::{self, micros};
use crate::values::Values;
use client::{Client, Received};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use wasmill_core::limits::DeliveryLimits;
use wasmill_core::outbox::{Backoff, Notice, backoff};
use wasmill_store::{Attempt, Delivery, Micros, Next, Store};

/// How this host tells.
pub(crate) struct Outbox {
    store: Arc<dyn Store>,
    values: Arc<Values>,
    /// The address of this host that events name.
    base_url: String,
    client: Client,
    /// Whether receivers may be on addresses that are not public.
    pub(crate) allow_private: bool,
    /// When what failed is tried again.
    pub(crate) backoff: Backoff,
    pub(crate) limits: DeliveryLimits,
    /// Held while a webhook is changed by what it was before.
    pub(crate) editing: Mutex<()>,
}

/// What the operator decided about telling.
pub(crate) struct Telling {
    /// Whether receivers may be on addresses that are not public.
    pub(crate) allow_private: bool,
    /// When what failed is tried again.
    pub(crate) backoff: Backoff,
    /// How large, how long and how many.
    pub(crate) limits: DeliveryLimits,
}

/// What an attempt came to.
pub(crate) struct Attempted {
    /// For the log.
    pub(crate) attempt: Attempt,
    /// Whether the receiver has it.
    pub(crate) delivered: bool,
    /// Whether the receiver never wants it: 410.
    gone: bool,
    /// The wait that the receiver wishes for.
    wish: Option<Duration>,
}

impl Outbox {
    /// One that calls nobody yet.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        values: Arc<Values>,
        base_url: String,
        telling: Telling,
    ) -> Self {
        let Telling { allow_private, backoff, limits } = telling;
        let client = Client::new(allow_private);
        Self {
            store,
            values,
            base_url,
            client,
            allow_private,
            backoff,
            limits,
            editing: Mutex::default(),
        }
    }

    /// Tries once to tell an event.
    pub(crate) async fn attempt(&self, delivery: &Delivery) -> Attempted {
        let (at, begun) = (clock::now(), Instant::now());
        let received = match self.message(delivery, at) {
            Ok((target, headers, body)) => {
                self.client.post(target, headers, body, &self.limits).await
            }
            Err(why) => Err(why),
        };
        let ended = clock::now();
        let attempt = |status, error, answer| Attempt {
            at,
            duration: begun.elapsed(),
            status,
            error,
            answer,
        };
        match received {
            Err(why) => Attempted {
                attempt: attempt(None, Some(why), String::new()),
                delivered: false,
                gone: false,
                wish: None,
            },
            Ok(Received { status, retry_after, answer }) => {
                let error = match status {
                    200..300 => None,
                    300..400 => Some("The receiver sends elsewhere; redirects are not followed. Set the address that it names.".to_owned()),
                    410 => Some("The receiver does not want this any more; it is not tried again.".to_owned()),
                    _ => Some(format!("The receiver answered {status}.")),
                };
                Attempted {
                    delivered: error.is_none(),
                    gone: status == 410,
                    wish: retry_after.and_then(|value| backoff::retry_after(&value, ended)),
                    attempt: attempt(Some(status), error, answer),
                }
            }
        }
    }

    /// Where it goes and what is sent. The event is the same at every attempt; the time and so the
    /// signature are not.
    fn message(
        &self,
        delivery: &Delivery,
        now: Micros,
    ) -> Result<(Target, HeaderMap, String), String> {
        let target = Target::parse(&delivery.webhook.url, self.allow_private, &self.limits)?;
        let keys = keys::open(&self.values, &delivery.workspace, &delivery.webhook.secret)?;
        let notice = notice(delivery);
        let (id, body) = (notice.id(), notice.body());
        let mut headers = HeaderMap::new();
        let signed = [
            ("content-type", "application/json".to_owned()),
            ("webhook-signature", keys.sign(&id, now, &body)),
            ("webhook-timestamp", now.div_euclid(1_000_000).to_string()),
            ("webhook-id", id),
        ];
        for (name, value) in signed.into_iter().chain(notice.headers(&self.base_url)) {
            let value = HeaderValue::try_from(value)
                .map_err(|error| format!("the header {name} cannot be sent: {error}"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok((target, headers, body))
    }

    /// What follows from an attempt at an event that was tried before so and so often.
    fn next(&self, delivery: &Delivery, attempted: &Attempted, random: u32) -> Next {
        if attempted.delivered {
            return Next::Delivered;
        }
        let ended = attempted.attempt.at.saturating_add(micros(attempted.attempt.duration));
        let age =
            Duration::from_micros(u64::try_from(ended.saturating_sub(delivery.at)).unwrap_or(0));
        let wait =
            self.backoff.next(delivery.attempts.saturating_add(1), age, attempted.wish, random);
        match wait.filter(|_| !attempted.gone) {
            Some(wait) => Next::Retry(ended.saturating_add(micros(wait))),
            // Whatever else waits for so long would not be tried again after its first failure
            // either.
            None => Next::GiveUp { before: ended.saturating_sub(micros(self.backoff.horizon())) },
        }
    }
}

/// An event as it is told.
pub(crate) fn notice(delivery: &Delivery) -> Notice<'_> {
    Notice {
        workspace: &delivery.workspace,
        number: delivery.event,
        at: delivery.at,
        change: &delivery.change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_core::outbox::Change;
    use wasmill_core::seal::ValueKey;
    use wasmill_store::Webhook;
    use wasmill_store::memory::MemoryStore;

    fn delivery(attempts: u32, at: Micros) -> Delivery {
        let webhook = Webhook {
            url: String::new(),
            secret: Vec::new(),
            changed_by: String::new(),
            changed: 0,
        };
        Delivery {
            event: 1,
            workspace: "main".parse().unwrap(),
            change: Change::Test,
            at,
            attempts,
            due: at,
            webhook,
        }
    }

    fn failed(at: Micros, gone: bool, wish: Option<Duration>) -> Attempted {
        let attempt = Attempt {
            at,
            duration: Duration::from_secs(1),
            status: None,
            error: None,
            answer: String::new(),
        };
        Attempted { attempt, delivered: false, gone, wish }
    }

    #[test]
    fn what_follows() {
        const SECOND: Micros = 1_000_000;
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let values = Arc::new(Values::new(store.clone(), ValueKey::new([7; 32])));
        let telling = Telling {
            allow_private: false,
            backoff: Backoff::default(),
            limits: DeliveryLimits::default(),
        };
        let outbox = Outbox::new(store, values, String::new(), telling);
        let horizon = micros(outbox.backoff.horizon());
        let next = |delivery: &Delivery, attempted: &Attempted| {
            outbox.next(delivery, attempted, u32::MAX / 2)
        };
        let wait = |next: Next| match next {
            Next::Retry(at) => Some((at - 11 * SECOND + SECOND / 2) / SECOND),
            _ => None,
        };
        let (first, later) = (delivery(0, 0), delivery(4, 0));
        assert_eq!(wait(next(&first, &failed(10 * SECOND, false, None))), Some(5));
        assert_eq!(wait(next(&later, &failed(10 * SECOND, false, None))), Some(3_600));
        assert_eq!(
            wait(next(&first, &failed(10 * SECOND, false, Some(Duration::from_secs(90))))),
            Some(90)
        );
        let given_up = Next::GiveUp { before: 11 * SECOND - horizon };
        assert_eq!(next(&first, &failed(10 * SECOND, true, None)), given_up);
        assert_eq!(next(&delivery(10, 0), &failed(10 * SECOND, false, None)), given_up);
        assert_eq!(next(&first, &failed(horizon, false, None)), Next::GiveUp { before: SECOND });
        let delivered = Attempted { delivered: true, ..failed(0, false, None) };
        assert_eq!(next(&first, &delivered), Next::Delivered);
    }
}
