//! The flags by which a script's retries are said.

use wasmill_core::queue::RetryPolicy;
use wasmill_core::queue::retry::{ConstantRetry, ExponentialRetry};

/// When a queued run that failed is started again.
#[derive(clap::Args)]
pub(crate) struct Retry {
    /// Start a queued run that failed again, so many times at most
    #[arg(long, value_name = "N")]
    retry_attempts: Option<u16>,
    /// Seconds before each retry; with --retry-exponential their base
    #[arg(long, value_name = "S", default_value_t = 5, requires = "retry_attempts")]
    retry_seconds: u32,
    /// Wait longer before each further retry: the multiplier times S, S*S, S*S*S ... seconds
    #[arg(long, requires = "retry_attempts")]
    retry_exponential: bool,
    /// The multiplier of --retry-exponential
    #[arg(long, value_name = "M", default_value_t = 1, requires = "retry_exponential")]
    retry_multiplier: u32,
    /// Spread the waits of --retry-exponential by up to so many percent to either side
    #[arg(long, value_name = "PERCENT", default_value_t = 0, requires = "retry_exponential")]
    retry_random: u8,
    /// The whole policy as JSON: {"constant": {"attempts", "seconds"}, "exponential": {"attempts",
    /// "multiplier", "seconds", "random_factor"}}
    #[arg(long, value_name = "JSON", conflicts_with = "retry_attempts")]
    retry: Option<String>,
}

impl Retry {
    /// The policy as JSON text, if there is one.
    ///
    /// # Errors
    /// A sentence saying what is wrong with it.
    pub(crate) fn policy(&self) -> Result<Option<String>, String> {
        if let Some(text) = &self.retry {
            return RetryPolicy::parse(text)
                .map(|_| Some(text.clone()))
                .map_err(|why| format!("--retry: {why}"));
        }
        let Some(attempts) = self.retry_attempts else { return Ok(None) };
        let seconds = self.retry_seconds;
        let policy = match self.retry_exponential {
            false => RetryPolicy {
                constant: Some(ConstantRetry { attempts, seconds }),
                exponential: None,
            },
            true => {
                let (multiplier, random_factor) = (self.retry_multiplier, self.retry_random);
                RetryPolicy {
                    constant: None,
                    exponential: Some(ExponentialRetry {
                        attempts,
                        multiplier,
                        seconds,
                        random_factor,
                    }),
                }
            }
        };
        serde_json::to_string(&policy.checked()?).map(Some).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        retry: Retry,
    }

    #[test]
    fn flags() {
        let policy = |flags: &str| {
            let words = std::iter::once("x").chain(flags.split_whitespace());
            Flags::try_parse_from(words)
                .map_err(|error| error.to_string())
                .and_then(|flags| flags.retry.policy())
        };
        assert_eq!(policy(""), Ok(None));
        for (flags, expected) in [
            ("--retry-attempts 3", r#"{"constant":{"attempts":3,"seconds":5}}"#),
            ("--retry-attempts 3 --retry-seconds 0", r#"{"constant":{"attempts":3,"seconds":0}}"#),
            (
                "--retry-attempts 3 --retry-seconds 2 --retry-exponential --retry-multiplier 4 --retry-random 10",
                r#"{"exponential":{"attempts":3,"multiplier":4,"seconds":2,"random_factor":10}}"#,
            ),
            (
                r#"--retry {"constant":{"attempts":1,"seconds":1}}"#,
                r#"{"constant":{"attempts":1,"seconds":1}}"#,
            ),
        ] {
            assert_eq!(policy(flags), Ok(Some(expected.into())), "{flags}");
        }
        for (flags, word) in [
            ("--retry-seconds 3", "--retry-attempts"),
            ("--retry-attempts 3 --retry-multiplier 2", "--retry-exponential"),
            ("--retry-attempts 300", "100"),
            ("--retry 3", "object"),
            ("--retry {} --retry-attempts 3", "--retry"),
        ] {
            let why = policy(flags).unwrap_err();
            assert!(why.contains(word), "{flags}: {why}");
        }
    }
}
