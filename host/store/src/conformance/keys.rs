//! What every back end promises of idempotency keys.

use super::*;

pub(super) async fn idempotency(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let two = workspace("two");
    let key = |n: u8, body: u8, expires: Micros| IdempotencyKey {
        digest: [n; 32],
        body: [body; 32],
        expires,
    };
    let made = |n: u16, created: Micros| NewJob { created, ..job(id(n), &one, x) };
    let now = job(id(1), &one, x).created;
    let late = now + 100;
    assert_eq!(store.enqueue_once(&key(1, 1, late), made(1, now)).await.unwrap(), Enqueued::New);
    assert_eq!(
        store.enqueue_once(&key(1, 1, late), made(2, now + 99)).await.unwrap(),
        Enqueued::Existing(id(1))
    );
    assert_eq!(
        store.enqueue_once(&key(1, 2, late), made(2, now)).await.unwrap(),
        Enqueued::Mismatch
    );
    assert!(store.job(&one, id(2)).await.unwrap().is_none());
    // The same key elsewhere is another one.
    let elsewhere = NewJob { workspace: two.clone(), ..made(3, now) };
    assert_eq!(store.enqueue_once(&key(1, 2, late), elsewhere).await.unwrap(), Enqueued::New);
    // What fails uses up no key.
    let taken = store.enqueue_once(&key(2, 1, late), made(1, now)).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict(_)));
    let nowhere = NewJob { workspace: workspace("none"), ..made(4, now) };
    assert!(matches!(
        store.enqueue_once(&key(2, 1, late), nowhere).await.unwrap_err(),
        StoreError::NotFound(_)
    ));
    assert_eq!(
        store.enqueue_once(&key(2, 1, late + 1), made(4, now)).await.unwrap(),
        Enqueued::New
    );
    // An expired one is as if it had never been there.
    assert_eq!(
        store.enqueue_once(&key(1, 2, late + 2), made(5, late)).await.unwrap(),
        Enqueued::New
    );
    assert_eq!(
        store.enqueue_once(&key(1, 2, late + 2), made(6, late)).await.unwrap(),
        Enqueued::Existing(id(5))
    );
    assert_eq!(store.queue_depth(&one).await.unwrap(), 3);

    assert_eq!(store.purge_idempotency(late - 1, 10).await.unwrap(), 0);
    assert_eq!(store.purge_idempotency(late + 2, 0).await.unwrap(), 0);
    assert_eq!(store.purge_idempotency(late + 2, 2).await.unwrap(), 2);
    assert_eq!(store.purge_idempotency(late + 2, 10).await.unwrap(), 1);
    assert_eq!(store.enqueue_once(&key(1, 9, late), made(7, now)).await.unwrap(), Enqueued::New);
}
