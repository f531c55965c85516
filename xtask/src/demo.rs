//! `cargo xtask demo`: the main job on real input, from nothing. Installs what is missing, builds,
//! starts the host, pushes the example scripts, calls them in every way, and shows each call with
//! its answer.
//!
//! `--once` ends after the calls; the exit code is 0 only if every answer was the right one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::guests;
use crate::host::{self, Host};

/// The example scripts that are called with their own `sample.json` and have to answer their
/// `expected.*`.
const EXAMPLES: [&str; 7] =
    ["greet", "hello", "echo", "csv-report", "github-push", "image-size", "word-count"];

/// Where the examples are deployed.
const FOLDER: &str = "f/examples";

/// Builds what the demo needs, and runs it.
pub(crate) fn build_and_run(root: &Path, once: bool, listen: Option<&str>) -> Result<()> {
    let guests = guests::build_all(root)?;
    let binary = host::build(root)?;
    run(root, binary, guests, once, listen)
}

/// Runs the demo on a host's binary and the built guests.
pub(crate) fn run(
    root: &Path,
    binary: PathBuf,
    guests: BTreeMap<String, PathBuf>,
    once: bool,
    listen: Option<&str>,
) -> Result<()> {
    let listen = listen.unwrap_or(if once { "127.0.0.1:0" } else { "127.0.0.1:8000" });
    let mut demo = Demo {
        host: Host::start(&binary, &root.join("target/demo"), listen)?,
        root,
        binary,
        guests,
        wrong: 0,
    };
    demo.host_says();
    demo.examples()?;
    demo.webhook()?;
    demo.queued()?;
    demo.overwrite()?;
    demo.trouble()?;
    if demo.wrong > 0 {
        bail!("{} answers were not the right ones", demo.wrong);
    }
    println!("\nEvery answer was the right one.");
    if !once {
        println!("\nThe host goes on serving at {}. In another terminal:\n", demo.host.url);
        println!(
            "  export WASMILL_URL={} WASMILL_TOKEN=$(cat {})",
            demo.host.url,
            demo.host.data.join("admin-token").display()
        );
        println!("  {} scripts\n\nCtrl-C ends it.", demo.binary.display());
        demo.host.wait()?;
    }
    Ok(())
}

struct Demo<'a> {
    host: Host,
    root: &'a Path,
    binary: PathBuf,
    guests: BTreeMap<String, PathBuf>,
    wrong: u32,
}

struct Answer {
    status: u16,
    content_type: String,
    body: String,
}

impl Demo<'_> {
    fn host_says(&self) {
        println!(
            "\nwasmill is listening on {}, its data is in {}",
            self.host.url,
            self.host.data.display()
        );
    }

    /// Pushes a guest by the command line, as a user would, and returns the version's hash.
    fn push(&self, guest: &str, path: &str) -> Result<String> {
        let file = self.guests.get(guest).with_context(|| format!("there is no guest {guest}"))?;
        let output = Command::new(&self.binary)
            .args(["push", "--json", "--path", path])
            .arg(file)
            .env("WASMILL_URL", &self.host.url)
            .env("WASMILL_TOKEN", &self.host.token)
            .output()
            .context("could not start wasmill push")?;
        if !output.status.success() {
            bail!("pushing {guest} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let pushed: Value = serde_json::from_slice(&output.stdout)
            .context("wasmill push --json did not print JSON")?;
        let text =
            |key: &str| pushed.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        println!(
            "  pushed {guest:<12} {:<8} {path}  {}",
            text("kind"),
            text("hash").get(..12).unwrap_or_default()
        );
        Ok(text("hash"))
    }

    /// Makes one request, prints it with its answer, and counts the answer when it is not as
    /// expected.
    fn call(
        &mut self,
        method: &str,
        route: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
        expected: impl FnOnce(&Answer) -> bool,
    ) -> Result<Answer> {
        let answer = self.send(method, route, body, headers)?;
        println!(
            "\n  {method} {route}{}",
            body.map(|body| format!("\n    {}", shorten(body))).unwrap_or_default()
        );
        println!("  -> {} {}\n    {}", answer.status, answer.content_type, shorten(&answer.body));
        if !expected(&answer) {
            self.wrong += 1;
            println!("    THIS IS NOT THE RIGHT ANSWER");
        }
        Ok(answer)
    }

    fn send(
        &self,
        method: &str,
        route: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("{}/api/w/main/{route}", self.host.url);
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {}", self.host.token));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = agent
            .run(request.body(body.unwrap_or_default().to_owned())?)
            .with_context(|| format!("{method} {route}"))?;
        let content_type = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        Ok(Answer {
            status: response.status().as_u16(),
            content_type,
            body: response.body_mut().read_to_string()?,
        })
    }

    fn file(&self, script: &str, name: &str) -> Result<String> {
        let path = self.root.join("scripts").join(script).join(name);
        std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))
    }

    fn examples(&mut self) -> Result<()> {
        println!("\n1. Seven scripts, called by path and by hash; the answer is the result");
        for script in EXAMPLES {
            let hash = self.push(script, &format!("{FOLDER}/{script}"))?;
            let sample = compact(&self.file(script, "sample.json")?)?;
            let right: Box<dyn Fn(&Answer) -> bool> = match self.file(script, "expected.json") {
                Ok(json) => {
                    let expected: Value = serde_json::from_str(&json)?;
                    Box::new(move |answer| {
                        serde_json::from_str::<Value>(&answer.body)
                            .is_ok_and(|body| body == expected)
                    })
                }
                Err(_) => {
                    let expected = self.file(script, "expected.txt")?;
                    Box::new(move |answer| answer.body.trim_end() == expected.trim_end())
                }
            };
            self.call(
                "POST",
                &format!("jobs/run_wait_result/p/{FOLDER}/{script}"),
                Some(&sample),
                &[],
                |a| a.status == 200 && right(a),
            )?;
            let by_hash =
                self.send("POST", &format!("jobs/run_wait_result/h/{hash}"), Some(&sample), &[])?;
            if by_hash.status != 200 || !right(&by_hash) {
                self.wrong += 1;
                println!(
                    "    BY ITS HASH IT ANSWERS DIFFERENTLY: {} {}",
                    by_hash.status, by_hash.body
                );
            }
        }
        Ok(())
    }

    fn webhook(&mut self) -> Result<()> {
        println!(
            "\n2. A webhook as its sender makes it: a signature over the exact body, arguments in a GET"
        );
        let body = self.file("github-push", "body.json")?;
        let sample: Value = serde_json::from_str(&self.file("github-push", "sample.json")?)?;
        let signed =
            sample.get("raw_string").and_then(Value::as_str).unwrap_or_default().to_owned();
        let signature = sample
            .get("x_hub_signature_256")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let route = format!(
            "jobs/run_wait_result/p/{FOLDER}/github-push?raw=true&include_header=X-Hub-Signature-256"
        );
        let exact = if body.trim_end() == signed { body.trim_end().to_owned() } else { signed };
        self.call("POST", &route, Some(&exact), &[("X-Hub-Signature-256", &signature)], |a| {
            a.status == 200 && a.content_type.starts_with("text/plain")
        })?;
        self.call(
            "POST",
            &route,
            Some(&format!("{exact} ")),
            &[("X-Hub-Signature-256", &signature)],
            |a| a.status == 401,
        )?;
        // {"name":"Ann"} in base64
        self.call(
            "GET",
            &format!("jobs/run_wait_result/p/{FOLDER}/greet?payload=eyJuYW1lIjoiQW5uIn0"),
            None,
            &[],
            |a| a.body == "\"Hello Ann!\"",
        )?;
        Ok(())
    }

    fn queued(&mut self) -> Result<()> {
        println!("\n3. A slow script as a job: the answer is its id, the result comes later");
        self.push("slow", &format!("{FOLDER}/slow"))?;
        let id = self
            .call(
                "POST",
                &format!("jobs/run/p/{FOLDER}/slow"),
                Some(r#"{"seconds":2}"#),
                &[],
                |a| a.status == 201 && a.body.len() == 36,
            )?
            .body;
        let begun = Instant::now();
        loop {
            let maybe: Value = serde_json::from_str(
                &self
                    .send("GET", &format!("jobs_u/completed/get_result_maybe/{id}"), None, &[])?
                    .body,
            )?;
            if maybe.get("completed") == Some(&Value::Bool(true)) {
                break;
            }
            if begun.elapsed() > Duration::from_secs(60) {
                bail!("the job {id} did not end within a minute");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        self.call("GET", &format!("jobs_u/completed/get_result/{id}"), None, &[], |a| {
            a.body == r#"{"slept":2}"#
        })?;
        self.call("GET", &format!("jobs_u/get_logs/{id}"), None, &[], |a| {
            a.body.lines().count() >= 2
        })?;
        Ok(())
    }

    fn overwrite(&mut self) -> Result<()> {
        println!("\n4. A new version: /p/ moves at once, /h/ stays");
        let (path, args) = (format!("{FOLDER}/hello"), r#"{"name":"Ann"}"#);
        let old = self.push("hello", &path)?;
        let again = self.push("hello", &path)?;
        if old != again {
            self.wrong += 1;
            println!("    PUSHING THE SAME THING TWICE MADE TWO VERSIONS");
        }
        let new = self.push("hello-loud", &path)?;
        self.call("POST", &format!("jobs/run_wait_result/p/{path}"), Some(args), &[], |a| {
            a.body.contains("HELLO ANN!")
        })?;
        self.call("POST", &format!("jobs/run_wait_result/h/{old}"), Some(args), &[], |a| {
            a.body.contains("Hello Ann!")
        })?;
        self.call("POST", &format!("jobs/run_wait_result/h/{new}"), Some(args), &[], |a| {
            a.body.contains("HELLO ANN!")
        })?;
        Ok(())
    }

    fn trouble(&mut self) -> Result<()> {
        println!("\n5. What goes wrong says so");
        self.call(
            "POST",
            &format!("jobs/run_wait_result/p/{FOLDER}/hello"),
            Some(r#"{"name":"Ann","times":"twice"}"#),
            &[],
            |a| a.status == 200 && a.body.contains("InvalidArguments") && a.body.contains("times"),
        )?;
        self.call(
            "POST",
            &format!("jobs/run_wait_result/p/{FOLDER}/hello"),
            Some(r#"{"name":"Ann","times":101}"#),
            &[],
            |a| a.body.contains("ScriptError"),
        )?;
        self.call(
            "POST",
            &format!("jobs/run_wait_result/p/{FOLDER}/hello"),
            Some(r#"{"name": oops}"#),
            &[],
            |a| a.status == 400 && a.body.contains("column"),
        )?;
        self.call(
            "POST",
            &format!("jobs/run_wait_result/p/{FOLDER}/nothing-here"),
            Some("{}"),
            &[],
            |a| a.status == 404,
        )?;
        Ok(())
    }
}

/// JSON without the white space that files have for people.
fn compact(json: &str) -> Result<String> {
    Ok(serde_json::from_str::<Value>(json)?.to_string())
}

fn shorten(text: &str) -> String {
    const MOST: usize = 160;
    let line = text.trim_end().replace('\n', "\n    ");
    if line.chars().count() <= MOST {
        line
    } else {
        line.chars().take(MOST).chain("...".chars()).collect()
    }
}
