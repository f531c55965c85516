//! A relay between a store and its server that can fail as networks do.

use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// It arrives.
    Fair,
    /// The server's answers are lost.
    Deaf,
    /// Nothing arrives any more, and nobody is told.
    Still,
    /// Connections are cut, and new ones too.
    Cut,
}

/// A relay. It ends when it is dropped.
pub(super) struct Proxy {
    pub(super) port: u16,
    weather: Arc<watch::Sender<Weather>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// A relay to a port of the loopback.
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let weather = Arc::new(watch::Sender::new(Weather::Fair));
        let changes = weather.subscribe();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let changes = changes.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                        relay(client, server, changes).await;
                    }
                });
            }
        });
        Self { port: own, weather, task }
    }

    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(client: TcpStream, server: TcpStream, mut weather: watch::Receiver<Weather>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pass(from_client, to_server, weather.clone(), [Weather::Fair, Weather::Deaf]);
    let back = pass(from_server, to_client, weather.clone(), [Weather::Fair, Weather::Fair]);
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = weather.wait_for(|now| *now == Weather::Cut) => {}
    }
}

/// Passes bytes on while the weather allows that; otherwise they are lost.
async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    now: watch::Receiver<Weather>,
    passing: [Weather; 2],
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let is_passing = passing.contains(&now.borrow());
        if is_passing && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
