//! Webhooks and their outbox in memory.

use super::state::{Event, State, Target};
use super::store::MemoryStore;
use crate::common::outbox::due_after;
use crate::common::refusals::{no_delivery, no_webhook};
use crate::{
    Attempt, Delivery, DeliveryRecord, DeliveryState, EventId, KEPT_ATTEMPTS, Micros, Next, Outbox,
    Result, Webhook,
};
use async_trait::async_trait;
use tokio::sync::watch;
use wasmill_core::WorkspaceId;
use wasmill_core::outbox::Change;

#[async_trait]
impl Outbox for MemoryStore {
    async fn set_webhook(&self, workspace: &WorkspaceId, webhook: &Webhook) -> Result<()> {
        let mut state = self.state();
        state.workspace(workspace)?;
        let due = state.oldest(workspace).map(|_| webhook.changed);
        state.webhooks.insert(workspace.clone(), Target { webhook: webhook.clone(), due });
        self.outbox_changed();
        Ok(())
    }

    async fn webhook(&self, workspace: &WorkspaceId) -> Result<Option<Webhook>> {
        Ok(self.state().webhooks.get(workspace).map(|target| target.webhook.clone()))
    }

    async fn clear_webhook(&self, workspace: &WorkspaceId, at: Micros) -> Result<bool> {
        let mut state = self.state();
        state.give_up(workspace, Micros::MAX, at);
        Ok(state.webhooks.remove(workspace).is_some())
    }

    async fn next_deliveries(&self, limit: u32) -> Result<Vec<Delivery>> {
        let state = self.state();
        let delivery = |(workspace, target): (&WorkspaceId, &Target)| {
            state.delivery(workspace, state.oldest(workspace)?, target.due?)
        };
        let mut deliveries: Vec<Delivery> = state.webhooks.iter().filter_map(delivery).collect();
        deliveries.sort_by_key(|delivery| delivery.due);
        deliveries.truncate(limit as usize);
        Ok(deliveries)
    }

    async fn begin_test(&self, workspace: &WorkspaceId, at: Micros) -> Result<Delivery> {
        let mut state = self.state();
        if !state.webhooks.contains_key(workspace) {
            return Err(no_webhook(workspace));
        }
        let event = state.insert_event(workspace, Change::Test, at, DeliveryState::GivenUp(at));
        state.delivery(workspace, event, at).ok_or_else(|| no_webhook(workspace))
    }

    async fn note_attempt(&self, event: EventId, attempt: &Attempt, next: Next) -> Result<bool> {
        let mut state = self.state();
        let Some(noted) = state.events.get_mut(&event) else {
            return Ok(false);
        };
        let (workspace, waited) = (noted.workspace.clone(), noted.is_waiting());
        noted.attempts += 1;
        noted.log.push(attempt.clone());
        if noted.log.len() > KEPT_ATTEMPTS {
            noted.log.remove(0);
        }
        match next {
            Next::Delivered => noted.state = DeliveryState::Delivered(attempt.at),
            Next::GiveUp { before } if waited => {
                noted.state = DeliveryState::GivenUp(attempt.at);
                state.give_up(&workspace, before, attempt.at);
            }
            Next::GiveUp { .. } | Next::Retry(_) => {}
        }
        let oldest = state.oldest(&workspace);
        if let Some(due) = due_after(next, event, oldest, waited, attempt.at)
            && let Some(target) = state.webhooks.get_mut(&workspace)
        {
            target.due = due;
        }
        self.outbox_changed();
        Ok(true)
    }

    async fn redeliver(&self, workspace: &WorkspaceId, event: EventId, at: Micros) -> Result<()> {
        let mut guard = self.state();
        let state = &mut *guard;
        let target = state.webhooks.get_mut(workspace).ok_or_else(|| no_webhook(workspace))?;
        let again = state.events.get_mut(&event).filter(|event| event.workspace == *workspace);
        let again = again.ok_or_else(|| no_delivery(event))?;
        again.state = DeliveryState::Waiting(None);
        again.attempts = 0;
        target.due = Some(at);
        self.outbox_changed();
        Ok(())
    }

    async fn deliveries(
        &self,
        workspace: &WorkspaceId,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<DeliveryRecord>> {
        let state = self.state();
        let oldest = state.oldest(workspace);
        let due = state.webhooks.get(workspace).and_then(|target| target.due);
        let earlier = state.events.range(..before.unwrap_or(EventId::MAX)).rev();
        let own = earlier.filter(|(_, event)| event.workspace == *workspace);
        let record = |(number, event): (&EventId, &Event)| DeliveryRecord {
            event: *number,
            change: event.change.clone(),
            at: event.at,
            state: match event.state {
                DeliveryState::Waiting(_) => {
                    DeliveryState::Waiting(due.filter(|_| oldest == Some(*number)))
                }
                settled => settled,
            },
            attempts: event.attempts,
            last: event.log.clone(),
        };
        Ok(own.map(record).take(limit as usize).collect())
    }

    async fn purge_deliveries(&self, before: Micros, limit: u32) -> Result<u64> {
        let mut state = self.state();
        let settled = |(number, event): (&EventId, &Event)| match event.state {
            DeliveryState::Delivered(at) | DeliveryState::GivenUp(at) if at < before => {
                Some((at, *number))
            }
            _ => None,
        };
        let mut old: Vec<(Micros, EventId)> = state.events.iter().filter_map(settled).collect();
        old.sort_unstable();
        old.truncate(limit as usize);
        for (_, number) in &old {
            state.events.remove(number);
        }
        Ok(old.len() as u64)
    }

    fn outbox_changes(&self) -> watch::Receiver<u64> {
        self.outbox.subscribe()
    }
}

impl MemoryStore {
    pub(super) fn outbox_changed(&self) {
        self.outbox.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Tells of a change, when there is a webhook to tell.
    pub(super) fn tell(
        &self,
        state: &mut State,
        workspace: &WorkspaceId,
        at: Micros,
        change: Change,
    ) {
        if !state.webhooks.contains_key(workspace) {
            return;
        }
        state.insert_event(workspace, change, at, DeliveryState::Waiting(None));
        if let Some(target) = state.webhooks.get_mut(workspace) {
            target.due = target.due.or(Some(at));
        }
        self.outbox_changed();
    }

    /// Tells of each of several changes.
    pub(super) fn tell_all(
        &self,
        state: &mut State,
        workspace: &WorkspaceId,
        at: Micros,
        changes: impl IntoIterator<Item = Change>,
    ) {
        changes.into_iter().for_each(|change| self.tell(state, workspace, at, change));
    }
}

impl State {
    fn insert_event(
        &mut self,
        workspace: &WorkspaceId,
        change: Change,
        at: Micros,
        state: DeliveryState,
    ) -> EventId {
        self.last_event += 1;
        let event =
            Event { workspace: workspace.clone(), change, at, state, attempts: 0, log: Vec::new() };
        self.events.insert(self.last_event, event);
        self.last_event
    }

    /// The oldest event of a workspace that waits.
    fn oldest(&self, workspace: &WorkspaceId) -> Option<EventId> {
        let mut events = self.events.iter();
        events
            .find(|(_, event)| event.workspace == *workspace && event.is_waiting())
            .map(|(number, _)| *number)
    }

    fn delivery(&self, workspace: &WorkspaceId, number: EventId, due: Micros) -> Option<Delivery> {
        let event = self.events.get(&number)?;
        let webhook = self.webhooks.get(workspace)?.webhook.clone();
        let (change, at, attempts) = (event.change.clone(), event.at, event.attempts);
        Some(Delivery {
            event: number,
            workspace: workspace.clone(),
            change,
            at,
            attempts,
            due,
            webhook,
        })
    }

    /// Gives up what waits in a workspace and happened before a moment.
    fn give_up(&mut self, workspace: &WorkspaceId, before: Micros, at: Micros) {
        let events = self.events.values_mut().filter(|event| event.workspace == *workspace);
        for event in events.filter(|event| event.is_waiting() && event.at < before) {
            event.state = DeliveryState::GivenUp(at);
        }
    }
}
