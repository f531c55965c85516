//! When a run that failed is started again.

use crate::outcome::FailureName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Retries of one job at most, constant and exponential ones together. Each keeps its error and its
/// log.
pub const RETRIES: u32 = 100;
/// Longest wait before one: a day. An exponential policy reaches any number of years within a few
/// steps.
pub const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// When a job whose run failed is started again: first the constant retries, then the exponential
/// ones. The form is Windmill's. Without either, the first failure is the job's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Retries at the same distance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<ConstantRetry>,
    /// Retries at growing distances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponential: Option<ExponentialRetry>,
}

/// Retries at the same distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantRetry {
    /// How many.
    pub attempts: u16,
    /// Seconds before each.
    pub seconds: u32,
}

/// Retries at growing distances: the n-th waits `multiplier * seconds^n` seconds, where n counts
/// all failures so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExponentialRetry {
    /// How many.
    pub attempts: u16,
    /// What the power is multiplied by.
    #[serde(default = "one")]
    pub multiplier: u32,
    /// The base of the power, seconds.
    pub seconds: u32,
    /// Each wait is spread by up to so many percent to either side.
    #[serde(default)]
    pub random_factor: u8,
}

fn one() -> u32 {
    1
}

impl RetryPolicy {
    /// Reads a policy out of its JSON text.
    ///
    /// # Errors
    /// A sentence for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Deserialising would also take an array of the members' values, which nobody means.
        if !text.trim_start().starts_with('{') {
            return Err("a retry policy is a JSON object such as {\"constant\":{\"attempts\":3,\"seconds\":5}}".into());
        }
        serde_json::from_str::<Self>(text)
            .map_err(|error| format!("no retry policy: {error}"))?
            .checked()
    }

    /// The same, when it can be kept.
    ///
    /// # Errors
    /// A sentence for the author: too many retries, more than 100 percent of spread, or growing
    /// waits that do not grow.
    pub fn checked(self) -> Result<Self, String> {
        let retries = self.retries();
        if retries > RETRIES {
            return Err(format!("retry asks for {retries} retries; there are at most {RETRIES}"));
        }
        match self.exponential {
            Some(exponential) if exponential.random_factor > 100 => {
                Err(format!("retry.exponential.random_factor is {}; it is percent, 100 at most", exponential.random_factor))
            }
            Some(exponential) if exponential.attempts > 0 && exponential.seconds == 0 => {
                Err("retry.exponential.seconds is 0, so that its waits would not grow; it must be 1 or more".into())
            }
            _ => Ok(self),
        }
    }

    /// How many retries there are.
    pub fn retries(&self) -> u32 {
        let constant = self.constant.map_or(0, |constant| constant.attempts);
        let exponential = self.exponential.map_or(0, |exponential| exponential.attempts);
        u32::from(constant) + u32::from(exponential)
    }

    /// The wait before the next start of a job that failed `failures` times, this one included;
    /// `None`: it is over.
    /// `random` spreads the wait as far as the policy asks for it.
    pub fn next(&self, failures: u32, random: u32) -> Option<Duration> {
        let before = failures.checked_sub(1)?;
        let constant = self.constant.map_or(0, |constant| u32::from(constant.attempts));
        if before < constant {
            return Some(Duration::from_secs(self.constant?.seconds.into()).min(LONGEST_WAIT));
        }
        let exponential = self
            .exponential
            .filter(|exponential| before - constant < u32::from(exponential.attempts))?;
        let power = u64::from(exponential.seconds).saturating_pow(failures);
        let seconds = u64::from(exponential.multiplier).saturating_mul(power);
        let wait = Duration::from_secs(seconds).min(LONGEST_WAIT);
        let spread = f64::from(exponential.random_factor.min(100)) / 100.0;
        Some(wait.mul_f64(1.0 - spread + 2.0 * spread * f64::from(random) / f64::from(u32::MAX)))
    }
}

/// Whether another start may help. What was cancelled is over, and what was wrong with the call
/// stays wrong.
pub fn may_help(failure: &FailureName) -> bool {
    !matches!(
        failure,
        FailureName::Canceled | FailureName::InvalidArguments | FailureName::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn constant(attempts: u16, seconds: u32) -> RetryPolicy {
        RetryPolicy { constant: Some(ConstantRetry { attempts, seconds }), exponential: None }
    }

    fn exponential(attempts: u16, multiplier: u32, seconds: u32, random_factor: u8) -> RetryPolicy {
        RetryPolicy {
            constant: None,
            exponential: Some(ExponentialRetry { attempts, multiplier, seconds, random_factor }),
        }
    }

    #[test]
    fn waits() {
        let both =
            RetryPolicy { exponential: exponential(2, 3, 2, 0).exponential, ..constant(2, 7) };
        let half = u32::MAX / 2;
        for (policy, failures, random, seconds) in [
            (RetryPolicy::default(), 1, 0, None),
            (constant(2, 7), 1, 0, Some(7.0)),
            (constant(2, 7), 2, 0, Some(7.0)),
            (constant(2, 7), 3, 0, None),
            (exponential(3, 1, 2, 0), 1, 0, Some(2.0)),
            (exponential(3, 1, 2, 0), 2, 0, Some(4.0)),
            (exponential(3, 5, 2, 0), 3, 0, Some(40.0)),
            (exponential(3, 5, 2, 0), 4, 0, None),
            (exponential(1, 1, 10, 50), 1, 0, Some(5.0)),
            (exponential(1, 1, 10, 50), 1, half, Some(10.0)),
            (exponential(1, 1, 10, 50), 1, u32::MAX, Some(15.0)),
            (exponential(100, u32::MAX, u32::MAX, 0), 90, 0, Some(86_400.0)),
            (both, 2, 0, Some(7.0)),
            (both, 3, 0, Some(24.0)),
            (both, 4, 0, Some(48.0)),
            (both, 5, 0, None),
            (both, 0, 0, None),
        ] {
            let wait =
                policy.next(failures, random).map(|wait| (wait.as_secs_f64() * 1e3).round() / 1e3);
            assert_eq!(wait, seconds, "{policy:?} {failures} {random}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert!(constant(100, 1).checked().is_ok());
        assert!(constant(101, 1).checked().unwrap_err().contains("101"));
        assert!(exponential(1, 1, 1, 101).checked().unwrap_err().contains("random_factor"));
        assert!(exponential(1, 1, 0, 0).checked().unwrap_err().contains("seconds"));
        assert!(exponential(0, 1, 0, 0).checked().is_ok());
    }

    #[test]
    fn the_form_in_json() {
        let text = r#"{"exponential":{"attempts":3,"seconds":2}}"#;
        let policy: RetryPolicy = serde_json::from_str(text).unwrap();
        assert_eq!(policy, exponential(3, 1, 2, 0));
        assert_eq!(RetryPolicy::parse(text), Ok(policy));
        assert_eq!(RetryPolicy::parse(" {}"), Ok(RetryPolicy::default()));
        for (text, word) in [
            (r#"{"constant":{"attempts":1}}"#, "seconds"),
            (r#"{"contant":{"attempts":1,"seconds":1}}"#, "contant"),
            (r#"{"constant":{"attempts":1,"seconds":1},"retry_if":{"expr":"true"}}"#, "retry_if"),
            (r#"{"constant":{"attempts":101,"seconds":1}}"#, "101"),
            (r#"{"constant":{"attempts":-1,"seconds":1}}"#, "-1"),
            ("3", "object"),
            ("null", "object"),
            ("[]", "object"),
            ("", "object"),
        ] {
            let why = RetryPolicy::parse(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn there_are_as_many_as_asked_for(c in 0u16..60, e in 0u16..40, seconds: u32, multiplier: u32, factor in 0u8..=100, random: u32) {
            let policy = RetryPolicy { exponential: exponential(e, multiplier, seconds, factor).exponential, ..constant(c, seconds) };
            for failures in 1..=policy.retries() {
                prop_assert!(policy.next(failures, random).unwrap() <= LONGEST_WAIT * 2);
            }
            prop_assert_eq!(policy.next(policy.retries() + 1, random), None);
        }
    }
}
