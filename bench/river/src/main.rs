//! River's part of `wasmill-bench queue --river`: as many jobs with as many bytes, queued and
//! worked off in a PostgreSQL database of its own. Arguments: address, jobs, callers, rounds.
//! Prints one line of JSON for each round, with jobs a second.

use riverqueue::migrate::PostgresMigrator;
use riverqueue::sqlx::postgres::PgPoolOptions;
use riverqueue::sqlx::{PgPool, Row};
use riverqueue::{BoxError, Client, Job, JobArgs, QueueConfig, WorkContext, WorkOutcome, Workers};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Connections of the pool: as many as a host has.
const CONNECTIONS: u32 = 16;
/// Jobs in work at the same time.
const IN_WORK: usize = 1_000;

#[derive(Clone, Debug, Deserialize, JobArgs, Serialize)]
#[river(kind = "bench")]
struct Bench {
    text: String,
}

async fn work(context: WorkContext, job: Job<Bench>) -> Result<WorkOutcome, BoxError> {
    // A result of the size that the others keep.
    let result = job.args.text.get(..298.min(job.args.text.len())).unwrap_or_default();
    context.record_output(serde_json::Value::String(result.to_owned()))?;
    Ok(WorkOutcome::Complete)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("the database's address is missing")?;
    let mut number = |name: &str| -> Result<usize, BoxError> {
        Ok(arguments.next().ok_or(format!("{name} are missing"))?.parse()?)
    };
    let (jobs, callers, rounds) = (number("jobs")?, number("callers")?, number("rounds")?);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(60))
        .connect(&url)
        .await?;
    PostgresMigrator::new(pool.clone()).migrate_up().await?;
    let mut over = 0;
    for _ in 0..rounds {
        let one_by_one = insert(&client(&pool)?, jobs, callers, 1).await?;
        over += jobs;
        let worked = drain(&pool, jobs, over).await?;
        let together = insert(&client(&pool)?, jobs, 4, callers).await?;
        over += jobs;
        let worked_again = drain(&pool, jobs, over).await?;
        let rate = |time: Duration| jobs as f64 / time.as_secs_f64();
        let line = serde_json::json!({
            "enqueue": rate(one_by_one), "enqueue_together": rate(together), "drain": rate(worked.min(worked_again)),
        });
        println!("{line}");
    }
    Ok(())
}

/// A client that works nothing yet.
fn client(pool: &PgPool) -> Result<Client, BoxError> {
    let mut workers = Workers::new();
    workers.add_fn(work)?;
    let queue = QueueConfig::new(IN_WORK);
    Ok(Client::builder(pool.clone())
        .workers(workers)
        .queue("default", queue)
        .fetch_cooldown(Duration::from_millis(1))
        .build()?)
}

/// Queues jobs from callers that wait for one call before the next, so many with each call.
async fn insert(
    client: &Client,
    jobs: usize,
    callers: usize,
    together: usize,
) -> Result<Duration, BoxError> {
    let text = "x".repeat(589);
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let (client, text) = (client.clone(), text.clone());
        let mut share = jobs / callers + usize::from(caller < jobs % callers);
        tasks.push(tokio::spawn(async move {
            while share > 0 {
                let now = share.min(together);
                match now {
                    1 => drop(client.insert(Bench { text: text.clone() }).await?),
                    _ => drop(
                        client.insert_many((0..now).map(|_| Bench { text: text.clone() })).await?,
                    ),
                }
                share -= now;
            }
            Ok::<_, BoxError>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(begun.elapsed())
}

/// Works off all jobs; `over` are over in the end.
async fn drain(pool: &PgPool, jobs: usize, over: usize) -> Result<Duration, BoxError> {
    let client = client(pool)?;
    let begun = Instant::now();
    let mut run = client.start()?;
    loop {
        // A count of many rows costs something itself, so it is not asked for all the time.
        tokio::time::sleep(Duration::from_millis(25)).await;
        let sql = "SELECT count(*) FROM river_job WHERE state NOT IN ('completed', 'discarded', 'cancelled')";
        let open: i64 = riverqueue::sqlx::query(sql).fetch_one(pool).await?.try_get(0)?;
        if open == 0 {
            break;
        }
        if begun.elapsed() > Duration::from_secs(600) {
            return Err(format!("{open} of {jobs} are still open").into());
        }
    }
    let took = begun.elapsed();
    run.stop().await?;
    let done: i64 =
        riverqueue::sqlx::query("SELECT count(*) FROM river_job WHERE state = 'completed'")
            .fetch_one(pool)
            .await?
            .try_get(0)?;
    if done != over as i64 {
        return Err(format!("{done} of {over} jobs are completed").into());
    }
    Ok(took)
}
