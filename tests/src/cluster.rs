//! Several hosts that share a database and a bucket.

use crate::cli::Printed;
use crate::home::Home;
use crate::host::Host;
use crate::wire_cutter::WireCutter;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use wasmill_test_servers::{Postgres, PostgresOptions, S3s};

const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", S3s::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", S3s::SECRET_KEY)];

/// A database server, a server of buckets, and what hosts need to share them.
pub struct Cluster {
    /// The database server, which syncs its commits.
    pub postgres: Arc<Postgres>,
    /// The server of buckets.
    pub buckets: Arc<S3s>,
    /// The way to the database, which all hosts take.
    pub way: WireCutter,
    database: String,
    bucket: String,
    /// Where the admin's token and the keys are: the first host's.
    first: Home,
    token: OnceLock<String>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Cluster {
    /// An empty database and an empty bucket.
    pub fn new() -> Self {
        let postgres = Arc::new(Postgres::start(PostgresOptions {
            fsync: true,
            ..PostgresOptions::default()
        }));
        let buckets = Arc::new(S3s::start());
        let way = WireCutter::to(postgres.port());
        let (database, bucket) = (postgres.create_database(), buckets.create_bucket());
        Self {
            postgres,
            buckets,
            way,
            database,
            bucket,
            first: Home::new(),
            token: OnceLock::new(),
        }
    }

    /// Starts a host with further arguments of `serve`.
    pub fn start(&self, args: &[&str]) -> Host {
        self.start_on(&Home::new(), args)
    }

    /// Starts a host on a folder that may have been another one's before.
    pub fn start_on(&self, home: &Home, args: &[&str]) -> Host {
        let first = self.token.get().is_none();
        let home = if first { &self.first } else { home };
        let (value_key, artefact_key) = (self.key("value-key"), self.key("host-secret"));
        let mut all = self.places();
        if !first {
            all.extend(
                ["--value-key-file", &value_key, "--artefact-key-file", &artefact_key]
                    .map(str::to_owned),
            );
        }
        all.extend(args.iter().copied().map(str::to_owned));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let token = self.token.get().map(String::as_str);
        let host = home.start_with_token(&all, &CREDENTIALS, token);
        let _ = self.token.set(host.token.clone());
        host
    }

    /// Tries to start a host that has keys of its own, and returns what it said when it ended.
    pub fn refused(&self) -> Printed {
        let (home, places) = (Home::new(), self.places());
        let data = home.data();
        let mut all = vec![
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data.to_str().expect("a path in UTF-8"),
        ];
        all.extend(places.iter().map(String::as_str));
        CREDENTIALS.iter().fold(home.cli(&all), |cli, (name, value)| cli.env(name, value)).run()
    }

    /// Where all hosts keep what they share.
    fn places(&self) -> Vec<String> {
        let direct = self.postgres.url(&self.database);
        let database = direct
            .replace(&format!(":{}/", self.postgres.port()), &format!(":{}/", self.way.port()));
        let blobs = format!(
            "s3://{}?region=us-east-1&path_style=true&endpoint={}",
            self.bucket,
            self.buckets.endpoint()
        );
        let all = ["--database", &database, "--blobs", &blobs, "--lease", "4"];
        all.map(str::to_owned).into()
    }

    fn key(&self, name: &str) -> String {
        let file: PathBuf = self.first.data().join(name);
        file.to_str().expect("a path in UTF-8").to_owned()
    }
}
