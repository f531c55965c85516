//! The servers to compare with: hyper, JSON, and the work of `hello` done natively, or by a bare
//! engine in a fresh instance for each request: no token, no record, no limits. A process of its
//! own.

use crate::in_process::bare::{Bare, Settings};
use crate::in_process::foreign;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Arguments {
    name: String,
    times: Option<u32>,
}

#[derive(Serialize)]
struct Greeting {
    greeting: String,
    times: u32,
}

/// Arguments of `bare`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The compiled `hello`, to be called by a bare engine
    #[arg(long)]
    script: Option<PathBuf>,
}

/// Who does the work.
enum Work {
    Native,
    Engine(Box<Bare>),
}

/// Serves on a free port, whose address is the first line of output, until standard input is
/// closed.
pub(crate) fn serve(args: &Args) -> Result<()> {
    let work: &'static Work = Box::leak(Box::new(match &args.script {
        None => Work::Native,
        Some(script) => {
            let wasm = std::fs::read(script)
                .with_context(|| format!("{} cannot be read", script.display()))?;
            let engine = Settings::FLOOR.engine().map_err(foreign)?;
            Work::Engine(Box::new(
                Bare::new(&engine, "hello", &wasm, Settings::FLOOR).map_err(foreign)?,
            ))
        }
    }));
    // Whoever started this process holds the other end; when it is gone for whatever reason, so is
    // this.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let service = service_fn(move |request| answer(request, work));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    work: &Work,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let greeting = match (request.into_body().collect().await, work) {
        (Ok(body), Work::Native) => greet(&body.to_bytes()),
        (Ok(body), Work::Engine(bare)) => match std::str::from_utf8(&body.to_bytes()) {
            Ok(text) => bare.call(text).await.ok().map(String::into_bytes),
            Err(_) => None,
        },
        (Err(_), _) => None,
    };
    let mut response = Response::new(Full::default());
    match greeting {
        Some(greeting) => {
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *response.body_mut() = Full::new(greeting.into());
        }
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

/// What `scripts/hello` does.
fn greet(body: &[u8]) -> Option<Vec<u8>> {
    let Arguments { name, times } = serde_json::from_slice(body).ok()?;
    let times = times.unwrap_or(1).min(100);
    let greeting = vec![format!("Hello {name}!"); times as usize].join(" ");
    serde_json::to_vec(&Greeting { greeting, times }).ok()
}
