//! One suite for every back end: what the traits promise, verb by verb, and random sequences
//! compared with memory.

mod accounts;
mod cancel;
mod deliveries;
mod jobs;
mod keys;
mod lists;
mod nodes;
mod outbox;
mod queue;
mod random;
mod records;
mod scripts;
mod values;

use crate::fixtures::*;
use crate::memory::MemoryStore;
use crate::sqlite::{Options, SqliteStore};
use crate::*;
use std::time::Duration;
use tempfile::TempDir;
use wasmill_core::{Digest, JobId, Kind, Runnable, VersionHash, WorkspaceId};

/// Runs each function of the suite against each back end that is named for its module.
macro_rules! conformance {
    ($($module:ident on $back_ends:tt: $cases:tt;)+) => {
        mod back_ends {$(
            conformance!(@module $module $back_ends $cases);
        )+}
    };
    (@module $module:ident [$($back_end:ident)+] $cases:tt) => {
        mod $module {
            use crate::conformance::$module as suite;
            $(conformance!(@$back_end $cases);)+
        }
    };
    (@memory [$($case:ident)+]) => {
        mod memory {$(
            #[tokio::test]
            async fn $case() {
                super::suite::$case(&crate::memory::MemoryStore::new()).await;
            }
        )+}
    };
    (@sqlite [$($case:ident)+]) => {
        mod sqlite {$(
            #[tokio::test]
            async fn $case() {
                let (_dir, store) = crate::sqlite::tests::open();
                super::suite::$case(&store).await;
            }
        )+}
    };
    (@postgres [$($case:ident)+]) => {
        mod postgres {$(
            #[tokio::test]
            async fn $case() {
                let (_database, store) = crate::postgres::tests::open().await;
                super::suite::$case(&store).await;
            }
        )+}
    };
}

conformance! {
    accounts on [memory sqlite postgres]:
        [workspaces users_and_members tokens token_owners revocation uses scoped_tokens looking_around changing_tokens any_text order_of_names];
    scripts on [memory sqlite postgres]: [deploying redeploying archiving listing borders deleting order_of_paths];
    jobs on [memory sqlite postgres]:
        [life_of_a_job enqueue_is_all_or_none order_of_claims tags_and_priorities fencing rescue_and_exhaustion releasing adopting deleted_versions];
    cancel on [memory sqlite postgres]: [cancelling canceled_ones_never_start_again];
    keys on [memory sqlite postgres]: [idempotency];
    records on [memory sqlite postgres]:
        [recording lists foreign_ids ids_of_another_time depth_and_due counting deleting without_payload erasing_in_time];
    queue on [memory sqlite postgres]:
        [retrying retrying_what_is_cancelled_or_secret limits limits_keep_the_order limits_of_their_own shares retention waiting_for_ends];
    nodes on [memory sqlite postgres]: [leases leading generations signals settings collecting];
    lists on [memory sqlite postgres]: [filters spans pages kinship];
    values on [memory sqlite postgres]: [variables resources renaming any_text];
    outbox on [memory sqlite postgres]: [setting changes_of_scripts changes_of_values wakes];
    deliveries on [memory sqlite postgres]: [order giving_up_and_moving tests_and_redeliveries the_log any_answer];
}
