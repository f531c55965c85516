//! One request to a receiver: to a public address, without redirects, within a time, on a
//! connection of its own.
//!
//! The address that is connected to is the one that was judged: names are looked up by a resolver
//! that drops what is not public, so that a name cannot mean one thing when it is looked at and
//! another when it is called.

use super::target::{Target, not_public};
use bytes::Bytes;
use http::header::{RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;
use wasmill_core::limits::DeliveryLimits;
use wasmill_core::outbox::address;

/// How long one of several addresses is tried before the next: receivers whose first address is
/// dead are still reached.
const CONNECT: Duration = Duration::from_secs(5);

/// Makes requests. Proxies that the environment names are not used: they would look up names
/// themselves.
pub(super) struct Client(legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>);

/// What a receiver answered.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    /// The beginning of the answer.
    pub(super) answer: String,
}

impl Client {
    pub(super) fn new(allow_private: bool) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver { allow_private });
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        let https = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        // No connection is kept, so that none is shared by workspaces.
        Self(legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https))
    }

    /// Sends a message and waits for the answer. Once the status is there, that counts, whatever
    /// becomes of the rest.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub(super) async fn post(
        &self,
        target: Target,
        headers: HeaderMap,
        body: String,
        limits: &DeliveryLimits,
    ) -> Result<Received, String> {
        let end = Instant::now() + limits.timeout;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.uri().clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("wasmill/", env!("CARGO_PKG_VERSION"))),
        );
        let response = match timeout_at(end, self.0.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(reason(&error)),
            Err(_) => {
                return Err(format!("There was no answer within {} s", limits.timeout.as_secs()));
            }
        };
        let (parts, mut body) = response.into_parts();
        let mut answer = Vec::new();
        let reading = async {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                let Some(data) = frame.data_ref() else { continue };
                read += data.len() as u64;
                let room = (limits.kept_answer_bytes as usize).saturating_sub(answer.len());
                answer.extend(data.iter().take(room));
                if read >= limits.answer_bytes || body.is_end_stream() {
                    break;
                }
            }
        };
        // A body that does not end is left.
        let _ = timeout_at(end, reading).await;
        Ok(Received {
            status: parts.status.as_u16(),
            retry_after: parts
                .headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            answer: String::from_utf8_lossy(&answer).into_owned(),
        })
    }
}

/// The innermost reason of an error, which is the one that says something.
fn reason(error: &legacy::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match error.is_connect() {
        true => format!("The receiver cannot be connected to: {innermost}"),
        false => format!("The receiver did not answer: {innermost}"),
    }
}

/// Looks up names, and drops what is not public unless that is allowed.
#[derive(Debug, Clone, Copy)]
struct Resolver {
    allow_private: bool,
}

impl Resolver {
    async fn look_up(self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
        let allowed: Vec<SocketAddr> = found
            .iter()
            .filter(|found| self.allow_private || address::is_public(found.ip()))
            .copied()
            .collect();
        match (found.first(), allowed.is_empty()) {
            (Some(private), true) => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                not_public(&format!("{name} ({})", private.ip())),
            )),
            (None, _) => {
                Err(io::Error::new(io::ErrorKind::NotFound, format!("{name} has no address")))
            }
            (Some(_), false) => Ok(allowed),
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = *self;
        Box::pin(async move { Ok(resolver.look_up(name.as_str()).await?.into_iter()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A receiver that reads a request and answers with these bytes, then keeps the connection open
    /// or not.
    async fn receiver(answer: Vec<u8>, hang: bool) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"{}") {
                let mut piece = [0; 1_024];
                let read = stream.read(&mut piece).await.unwrap();
                request.extend_from_slice(&piece[..read]);
            }
            let _ = stream.write_all(&answer).await;
            if hang {
                std::future::pending::<()>().await;
            }
            String::from_utf8(request).unwrap()
        });
        (port, task)
    }

    async fn post(url: &str, allow_private: bool, timeout: Duration) -> Result<Received, String> {
        let limits = DeliveryLimits { timeout, ..DeliveryLimits::default() };
        // As if the URL had been allowed before: the resolver is the one to refuse.
        let target = Target::parse(url, true, &limits).unwrap();
        Client::new(allow_private).post(target, HeaderMap::new(), "{}".into(), &limits).await
    }

    #[tokio::test]
    async fn a_request_and_its_answer() {
        let answer = format!(
            "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 4000\r\n\r\n{}",
            "é".repeat(2_000)
        );
        let (port, task) = receiver(answer.into_bytes(), false).await;
        let received =
            post(&format!("http://localhost:{port}/a?b=c"), true, Duration::from_secs(10))
                .await
                .unwrap();
        assert_eq!((received.status, received.retry_after.as_deref()), (503, Some("7")));
        assert_eq!(received.answer, "é".repeat(512));
        let request = task.await.unwrap();
        assert!(request.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains(&format!("host: localhost:{port}\r\n"))
                && request.contains("user-agent: wasmill/"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn names_that_lead_inside_are_refused() {
        let (port, task) = receiver(Vec::new(), false).await;
        let refused = post(&format!("http://localhost:{port}/"), false, Duration::from_secs(10))
            .await
            .unwrap_err();
        assert!(
            refused.contains("localhost (") && refused.contains("--allow-private-webhooks"),
            "{refused}"
        );
        assert!(!task.is_finished(), "it was connected to");
        task.abort();
    }

    #[tokio::test]
    async fn answers_that_do_not_end() {
        let short = Duration::from_millis(300);
        let (port, task) = receiver(Vec::new(), true).await;
        let silent = post(&format!("http://127.0.0.1:{port}/"), true, short).await.unwrap_err();
        assert!(silent.contains("no answer within"), "{silent}");
        task.abort();
        // The status is there: what was promised is done.
        let (port, task) =
            receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec(), true).await;
        let received = post(&format!("http://127.0.0.1:{port}/"), true, short).await.unwrap();
        assert_eq!((received.status, received.answer.as_str()), (200, "half"));
        task.abort();
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 1 << 20]].concat();
        let (port, task) = receiver(endless, true).await;
        let begun = Instant::now();
        let received = post(&format!("http://127.0.0.1:{port}/"), true, Duration::from_secs(60))
            .await
            .unwrap();
        assert_eq!((received.status, received.answer.len()), (200, 1_024));
        assert!(begun.elapsed() < Duration::from_secs(30));
        task.abort();
    }

    #[tokio::test]
    async fn no_answer_at_all() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let refused = post(&format!("http://127.0.0.1:{port}/"), true, Duration::from_secs(10))
            .await
            .unwrap_err();
        assert!(
            refused.contains("cannot be connected to") && refused.contains("refused"),
            "{refused}"
        );
        let (port, task) = receiver(b"nonsense\r\n\r\n".to_vec(), false).await;
        let strange = post(&format!("http://127.0.0.1:{port}/"), true, Duration::from_secs(10))
            .await
            .unwrap_err();
        assert!(strange.contains("did not answer"), "{strange}");
        task.abort();
        // What greets with TLS is answered before it has said all.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        let no_tls = post(&format!("https://127.0.0.1:{port}/"), true, Duration::from_secs(10))
            .await
            .unwrap_err();
        assert!(no_tls.contains("cannot be connected to"), "{no_tls}");
        task.abort();
    }
}
