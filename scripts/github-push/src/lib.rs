//! Answers GitHub's push webhook, after checking that it came from GitHub.
//!
//! GitHub signs the exact bytes of the body. So the webhook's URL ends with
//! `?raw=true&include_header=X-Hub-Signature-256`, which adds the arguments `raw_string` and
//! `x_hub_signature_256` to those of the body.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use wasmill_guest::{Reply, Schema, reply};

/// The secret that is also entered in the repository's webhook settings. Put your own here before
/// you build the script: who knows it can sign.
const SECRET: &str = "It's a Secret to Everybody";

/// What of a push is looked at.
#[derive(Deserialize, Schema)]
struct Push {
    /// The branch or tag, such as `refs/heads/main`.
    #[serde(rename = "ref")]
    reference: Option<String>,
    /// The commits that were pushed.
    #[serde(default)]
    commits: Vec<Commit>,
    /// Who pushed.
    pusher: Option<Pusher>,
    /// The body as it was sent.
    raw_string: Option<String>,
    /// The signature that GitHub sent: `sha256=` and 64 hexadecimal digits.
    x_hub_signature_256: Option<String>,
}

/// One commit of a push.
#[derive(Deserialize, Schema)]
struct Commit {
    message: String,
}

/// Who pushed.
#[derive(Deserialize, Schema)]
struct Pusher {
    name: String,
}

/// Answers GitHub's push webhook in one line of text.
#[wasmill_guest::main(args)]
fn main(push: Push) -> Reply {
    let (Some(body), Some(signature)) = (&push.raw_string, &push.x_hub_signature_256) else {
        return text(
            401,
            "no signature: call this script with ?raw=true&include_header=X-Hub-Signature-256",
        );
    };
    if !is_signed(body, signature) {
        return text(
            401,
            "the signature does not fit the body; does the webhook have the same secret as the script?",
        );
    }

    for commit in &push.commits {
        println!("{}", commit.message.lines().next().unwrap_or_default());
    }
    let count = push.commits.len();
    let noun = if count == 1 { "commit" } else { "commits" };
    let reference = push.reference.as_deref().unwrap_or("an unknown branch");
    let pusher = push.pusher.as_ref().map_or("somebody", |pusher| &pusher.name);
    text(200, &format!("{count} {noun} to {reference} by {pusher}"))
}

fn text(status: u16, line: &str) -> Reply {
    reply(status).content_type("text/plain; charset=utf-8").body(line)
}

/// Whether the signature is that of the body.
fn is_signed(body: &str, signature: &str) -> bool {
    let Some(claimed) = signature.strip_prefix("sha256=").and_then(bytes) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else { return false };
    mac.update(body.as_bytes());
    // Takes the same time whichever byte is wrong, so that nobody can find a signature byte by
    // byte.
    mac.verify_slice(&claimed).is_ok()
}

/// The bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}
