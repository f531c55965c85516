//! When a failed delivery is tried again, and when it is given up.

use crate::limits::RECEIVER_WAIT;
use std::time::Duration;

/// The waits between attempts in seconds, for the default base: 5 s, 30 s, 2 min, 10 min, 1 h, 3 h,
/// 6 h, 12 h, 24 h, 24 h. Together nearly three days.
const STEPS: [u64; 10] = [5, 30, 120, 600, 3_600, 10_800, 21_600, 43_200, 86_400, 86_400];
/// The age in seconds at which an event is given up, after any number of attempts. The event may
/// have waited long for earlier events.
const HORIZON: u64 = 3 * 86_400;
/// The default of the first wait. The other waits are multiples of it.
const BASE: Duration = Duration::from_secs(5);

/// The schedule of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: BASE }
    }
}

impl Backoff {
    /// The schedule whose first wait is `base`. The other waits and the age at which an event is
    /// given up are scaled by it.
    pub fn with_base(base: Duration) -> Self {
        Self { base: base.clamp(Duration::from_millis(1), BASE * 1_000) }
    }

    /// The age at which an event is given up.
    pub fn horizon(&self) -> Duration {
        self.scaled(HORIZON)
    }

    /// The wait before the next attempt of an event of this age, after `attempts` failed ones.
    /// `None`: the event is given up. `random` changes the wait by up to a fifth, so that a
    /// receiver that is back is not overloaded. The wait that the receiver asks for can make it
    /// longer, up to a day.
    pub fn next(
        &self,
        attempts: u32,
        age: Duration,
        wish: Option<Duration>,
        random: u32,
    ) -> Option<Duration> {
        let step = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let step = self.scaled(*STEPS.get(step)?);
        if age >= self.horizon() {
            return None;
        }
        let wait = step.mul_f64(0.8 + 0.4 * f64::from(random) / f64::from(u32::MAX));
        Some(wait.max(wish.unwrap_or_default().min(RECEIVER_WAIT)))
    }

    fn scaled(&self, seconds: u64) -> Duration {
        self.base.saturating_mul(u32::try_from(seconds / BASE.as_secs()).unwrap_or(u32::MAX))
    }
}

/// The wait that a `Retry-After` header asks for at `now`, in microseconds since 1970. The header
/// has seconds or a date (RFC 9110, 10.2.3). A date in the past is a wait of zero. `None` when the
/// header has neither.
pub fn retry_after(value: &str, now: i64) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at =
        time::OffsetDateTime::parse(value, &time::format_description::well_known::Rfc2822).ok()?;
    let wait = at.unix_timestamp_nanos() / 1_000 - i128::from(now);
    Some(Duration::from_micros(u64::try_from(wait.max(0)).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIDDLE: u32 = u32::MAX / 2;

    #[test]
    fn the_schedule() {
        let backoff = Backoff::default();
        let waits: Vec<u64> = (1..)
            .map_while(|attempts| backoff.next(attempts, Duration::ZERO, None, MIDDLE))
            .map(|wait| wait.as_secs_f64().round() as u64)
            .collect();
        assert_eq!(waits, STEPS);
        let all: u64 = STEPS.iter().sum();
        assert!((60 * 3_600..HORIZON).contains(&all), "{all}");
        assert_eq!(backoff.next(0, Duration::ZERO, None, 0), None);
        assert_eq!(backoff.next(1, backoff.horizon(), None, 0), None);
        assert!(backoff.next(1, backoff.horizon() - Duration::from_secs(1), None, 0).is_some());
        assert_eq!(backoff.next(1, Duration::ZERO, None, 0), Some(Duration::from_secs(4)));
        assert_eq!(backoff.next(1, Duration::ZERO, None, u32::MAX), Some(Duration::from_secs(6)));
    }

    #[test]
    fn wishes_within_bounds() {
        let wait = |attempts, wish: u64| {
            Backoff::default()
                .next(attempts, Duration::ZERO, Some(Duration::from_secs(wish)), MIDDLE)
                .unwrap()
        };
        assert_eq!(wait(1, 60).as_secs(), 60);
        // Never sooner than the schedule has it.
        assert!(wait(3, 60) > Duration::from_secs(110));
        assert_eq!(wait(1, u64::MAX), RECEIVER_WAIT);
    }

    #[test]
    fn retry_after_headers() {
        // 1994-11-06T08:49:37Z
        let date = 784_111_777_000_000;
        for (value, now, expected) in [
            ("120", 0, Some(120)),
            (" 0 ", 0, Some(0)),
            ("99999999999999999999999", 0, Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", date - 30_000_000, Some(30)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", date + 30_000_000, Some(0)),
            ("-1", 0, None),
            ("1.5", 0, None),
            ("soon", 0, None),
            ("", 0, None),
        ] {
            assert_eq!(retry_after(value, now).map(|wait| wait.as_secs()), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn always_within_a_fifth_and_scaled(attempts in 0..20u32, age in 0..400_000u64, wish in prop::option::of(any::<u64>()), random: u32, base in 0..100_000u64) {
            let backoff = Backoff::with_base(Duration::from_millis(base));
            let wait = backoff.next(attempts, Duration::from_secs(age), wish.map(Duration::from_millis), random);
            if let Some(wait) = wait {
                let step = backoff.scaled(STEPS[attempts as usize - 1]);
                prop_assert!(wait >= step.mul_f64(0.799));
                prop_assert!(wait <= step.mul_f64(1.201).max(RECEIVER_WAIT));
            }
        }

        #[test]
        fn headers_never_panic(value in ".{0,40}", now: i64) {
            let _ = retry_after(&value, now);
        }
    }
}
