//! The HTTP client of all commands but `serve`.

use super::config;
use clap::Args;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;

/// Where the host is, and by what right. Flags first, then the environment, then the file that
/// `serve` wrote.
#[derive(Args, Debug, Clone)]
pub(crate) struct Connection {
    /// Address of the host, such as http://127.0.0.1:8000
    #[arg(long, env = "WASMILL_URL", global = true)]
    url: Option<String>,
    /// Token; better given as WASMILL_TOKEN, for a command line can be seen by others
    #[arg(long, env = "WASMILL_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// Workspace
    #[arg(long, short, env = "WASMILL_WORKSPACE", global = true)]
    workspace: Option<String>,
}

/// A connection with everything known.
pub(crate) struct Client {
    agent: ureq::Agent,
    /// Without a slash at the end.
    pub(crate) url: String,
    /// The workspace of all requests.
    pub(crate) workspace: String,
    token: String,
    /// How a shell gets at the token, for printed examples.
    pub(crate) token_for_shell: String,
}

/// An answer, read whole.
pub(crate) struct Response {
    /// HTTP status.
    pub(crate) status: u16,
    /// The run ended with a failure.
    pub(crate) failed_run: bool,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Finds out what the flags left open.
    ///
    /// # Errors
    /// A sentence saying what is missing and how to give it.
    pub(crate) fn open(&self) -> Result<Client, String> {
        let config = match (&self.url, &self.token) {
            (Some(_), Some(_)) => config::read().ok().flatten(),
            _ => config::read()?,
        };
        let url = self.url.clone().or_else(|| config.as_ref().map(|config| config.url.clone()));
        let url = url
            .ok_or(
                "no host is known; give --url or WASMILL_URL, or start one with 'wasmill serve'",
            )?
            .trim_end_matches('/')
            .to_owned();
        let workspace = self
            .workspace
            .clone()
            .or_else(|| config.as_ref().map(|config| config.workspace.clone()))
            .unwrap_or_else(|| "main".into());
        let (token, token_for_shell) = match (&self.token, config.map(|config| config.token_file)) {
            (Some(token), _) => (token.clone(), "$WASMILL_TOKEN".into()),
            (None, Some(file)) => (read_token(&file)?, format!("$(cat {})", file.display())),
            (None, None) => return Err("no token is known; give WASMILL_TOKEN or --token".into()),
        };
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .build()
            .into();
        Ok(Client { agent, url, workspace, token, token_for_shell })
    }
}

fn read_token(file: &PathBuf) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("the token file {} cannot be read: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}

impl Client {
    /// The address of a route within the workspace.
    pub(crate) fn in_workspace(&self, route: &str) -> String {
        format!("{}/api/w/{}/{route}", self.url, self.workspace)
    }

    /// The address of a route outside of workspaces.
    pub(crate) fn outside(&self, route: &str) -> String {
        format!("{}/api/{route}", self.url)
    }

    /// GET.
    ///
    /// # Errors
    /// A sentence when the host cannot be reached.
    pub(crate) fn get(&self, url: &str) -> Result<Response, String> {
        self.finish(self.agent.get(url).header("authorization", self.bearer()).call())
    }

    /// DELETE.
    ///
    /// # Errors
    /// As `get`.
    pub(crate) fn delete(&self, url: &str) -> Result<Response, String> {
        self.finish(self.agent.delete(url).header("authorization", self.bearer()).call())
    }

    /// POST with a body.
    ///
    /// # Errors
    /// As `get`.
    pub(crate) fn post(
        &self,
        url: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Response, String> {
        self.finish(
            self.agent
                .post(url)
                .header("authorization", self.bearer())
                .header("content-type", content_type)
                .send(body),
        )
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn finish(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Response, String> {
        let mut answer = answer
            .map_err(|error| format!("the host at {} cannot be reached: {error}", self.url))?;
        let failed_run =
            answer.headers().get("x-wasmill-job-status").is_some_and(|status| status == "failure");
        let body = answer
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()
            .map_err(|error| format!("the answer of {} broke off: {error}", self.url))?;
        Ok(Response { status: answer.status().as_u16(), failed_run, body })
    }
}

impl Response {
    /// The answer, when it is a good one.
    ///
    /// # Errors
    /// The host's own words otherwise.
    pub(crate) fn ok(self) -> Result<Self, String> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let problem = serde_json::from_slice::<serde_json::Value>(&self.body).ok();
        let text = |key: &str| {
            problem.as_ref().and_then(|problem| problem.get(key)).and_then(|value| value.as_str())
        };
        Err(match (text("title"), text("detail")) {
            (Some(title), Some(detail)) => format!("{title}: {detail} ({})", self.status),
            _ => format!(
                "the host answered {}: {}",
                self.status,
                String::from_utf8_lossy(&self.body)
            ),
        })
    }

    /// The body as a value.
    ///
    /// # Errors
    /// When it is not of that shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body)
            .map_err(|error| format!("the host's answer is not what was expected: {error}"))
    }
}
