//! Encrypted connections, and those by a socket of the file system.

use crate::Accounts;
use crate::postgres::{Options, PostgresStore};
use wasmill_test_servers::{Postgres, PostgresOptions, shared};

async fn opened(url: &str) -> Result<usize, String> {
    let options = Options::from_url(url).map_err(|error| error.to_string())?;
    let store = PostgresStore::open(&options).await.map_err(|error| error.to_string())?;
    Ok(store.list_workspaces().await.unwrap().len())
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate() {
    let server = Postgres::start(PostgresOptions { tls: true, ..PostgresOptions::default() });
    let database = server.create_database();
    let plain = server.url(&database);
    let at = |parameters: &str| plain.replace("sslmode=disable", parameters);
    let certificate = server.certificate().display().to_string();
    for mode in ["require", "verify-full", "prefer"] {
        let options =
            Options::from_url(&at(&format!("sslmode={mode}&sslrootcert={certificate}"))).unwrap();
        let store = PostgresStore::open(&options).await.unwrap();
        assert!(store.list_workspaces().await.unwrap().is_empty());
        let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'wasmill'";
        assert_eq!(server.sql(&database, encrypted), "t", "{mode}");
    }
    // Nobody vouches for it, it is somebody else's, or there is nothing that could vouch.
    let unknown = opened(&at("sslmode=verify-full")).await.unwrap_err();
    assert!(unknown.contains("certificate"), "{unknown}");
    let other =
        at(&format!("sslmode=require&sslrootcert={certificate}")).replace("127.0.0.1", "localhost");
    assert!(opened(&other).await.unwrap_err().contains("certificate"));
    assert!(
        opened(&at("sslmode=require&sslrootcert=/nowhere.pem"))
            .await
            .unwrap_err()
            .contains("/nowhere.pem")
    );
    assert_eq!(opened(&plain).await, Ok(0));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let database = super::Database::migrated();
    let url = shared().url(database.name()).replace("sslmode=disable", "sslmode=require");
    let refused = opened(&url).await.unwrap_err();
    assert!(refused.contains("sslmode=disable"), "{refused}");
}

#[tokio::test]
async fn sockets_are_reached_too() {
    let database = super::Database::migrated();
    assert_eq!(opened(&shared().socket_url(database.name())).await, Ok(0));
}
