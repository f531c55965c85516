//! What `scripts/hello` does, as a component of `wasi:http`: JSON in, JSON out, a fresh instance
//! for each request.

use serde::{Deserialize, Serialize};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;

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

struct Hello;

impl Guest for Hello {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let answer = read(&request).and_then(|body| greet(&body));
        let headers = Fields::new();
        let _ = headers.set("content-type", &[b"application/json".to_vec()]);
        let response = OutgoingResponse::new(headers);
        let _ = response.set_status_code(if answer.is_some() { 200 } else { 400 });
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        if let Ok(stream) = body.write() {
            let _ = stream.blocking_write_and_flush(&answer.unwrap_or_default());
        }
        let _ = OutgoingBody::finish(body, None);
    }
}

fn read(request: &IncomingRequest) -> Option<Vec<u8>> {
    let body = request.consume().ok()?;
    let stream = body.stream().ok()?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(part) => bytes.extend(part),
            Err(StreamError::Closed) => return Some(bytes),
            Err(_) => return None,
        }
    }
}

fn greet(body: &[u8]) -> Option<Vec<u8>> {
    let Arguments { name, times } = serde_json::from_slice(body).ok()?;
    let times = times.unwrap_or(1).min(100);
    let greeting = vec![format!("Hello {name}!"); times as usize].join(" ");
    serde_json::to_vec(&Greeting { greeting, times }).ok()
}

wasip2::http::proxy::export!(Hello);
