//! The memory limit of a run: the sum over all of its memories and tables, and the number of
//! memories and tables.
//!
//! The limits of WebAssembly apply to one memory, and a component may have many. When a memory
//! would grow beyond the limit, the run ends with an error. The guest is not asked, because nearly
//! every language aborts when a memory cannot grow. The caller would then read "unreachable"
//! instead of "out of memory".

use std::fmt;
use wasmill_core::RunLimits;
use wasmill_core::limits::{CORE_INSTANCES_PER_RUN, MEMORIES_PER_RUN, TABLES_PER_RUN};
use wasmtime::ResourceLimiter;

/// Bytes that the engine allocates for one table element: a pointer.
const ELEMENT_BYTES: u64 = 8;

/// The limit that ended a run. The engine returns it to the host as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LimitExceeded {
    Memory { wanted: u64, limit: u64 },
    TableElements { wanted: u64, limit: u64 },
    Deadline,
    Result,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitExceeded::Memory { wanted, limit } => {
                write!(
                    f,
                    "the script asked for {} of memory, its limit is {}",
                    mib_over(*wanted),
                    mib(*limit)
                )
            }
            LimitExceeded::TableElements { wanted, limit } => {
                write!(f, "the script asked for {wanted} table elements, its limit is {limit}")
            }
            LimitExceeded::Deadline => f.write_str("the script took too long"),
            LimitExceeded::Result => f.write_str("the script's result is too large"),
        }
    }
}

impl std::error::Error for LimitExceeded {}

/// A number of bytes in MiB, rounded down, with one decimal when it is not an integer.
pub(crate) fn mib(bytes: u64) -> String {
    in_tenths(u128::from(bytes) * 10 / (1 << 20))
}

/// A number of bytes in MiB, rounded up. For a size over a limit, which must not look equal to the
/// limit.
fn mib_over(bytes: u64) -> String {
    in_tenths((u128::from(bytes) * 10).div_ceil(1 << 20))
}

fn in_tenths(tenths: u128) -> String {
    if tenths.is_multiple_of(10) {
        format!("{} MiB", tenths / 10)
    } else {
        format!("{}.{} MiB", tenths / 10, tenths % 10)
    }
}

/// Counts the memory of a run. Sizes are in bytes.
pub(crate) struct Limiter {
    limit: u64,
    element_limit: u64,
    used: u64,
    elements: u64,
    peak: u64,
    /// Bytes and table elements of the last growth. They are subtracted when the system then
    /// refuses the growth.
    last: (u64, u64),
}

impl Limiter {
    pub(crate) fn new(limits: &RunLimits) -> Self {
        Self {
            limit: limits.memory_bytes,
            element_limit: limits.table_elements,
            used: 0,
            elements: 0,
            peak: 0,
            last: (0, 0),
        }
    }

    /// The largest sum that was reached.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    fn grow(&mut self, bytes: u64, elements: u64) -> Result<(), LimitExceeded> {
        let wanted = self.used.saturating_add(bytes);
        if wanted > self.limit {
            return Err(LimitExceeded::Memory { wanted, limit: self.limit });
        }
        self.used = wanted;
        self.elements = self.elements.saturating_add(elements);
        self.peak = self.peak.max(wanted);
        self.last = (bytes, elements);
        Ok(())
    }

    fn undo(&mut self) {
        let (bytes, elements) = std::mem::take(&mut self.last);
        self.used = self.used.saturating_sub(bytes);
        self.elements = self.elements.saturating_sub(elements);
    }
}

/// True when a memory or table would grow beyond its own maximum, and that maximum is below the
/// limit of the run. Growing then fails by the rules of WebAssembly, and the guest is told so.
/// `maximum` may also be the maximum of the pool.
fn beyond_own(desired: usize, maximum: Option<usize>, limit: u64) -> bool {
    maximum.is_some_and(|maximum| desired > maximum && (maximum as u64) < limit)
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if beyond_own(desired, maximum, self.limit) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current) as u64, 0)?;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::warn!(error = %error, "the system refused memory to a script");
        self.undo();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if beyond_own(desired, maximum, self.element_limit) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current) as u64;
        let wanted = self.elements.saturating_add(more);
        if wanted > self.element_limit {
            return Err(LimitExceeded::TableElements { wanted, limit: self.element_limit }.into());
        }
        self.grow(more.saturating_mul(ELEMENT_BYTES), more)?;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::warn!(error = %error, "the system refused a table to a script");
        self.undo();
        Ok(())
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_PER_RUN as usize
    }

    fn tables(&self) -> usize {
        TABLES_PER_RUN as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_PER_RUN as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(memory_bytes: u64, table_elements: u64) -> Limiter {
        Limiter::new(&RunLimits { memory_bytes, table_elements, ..RunLimits::default() })
    }

    #[test]
    fn sums_over_memories_and_tables() {
        let mut limiter = limiter(1000, 100);
        assert!(limiter.memory_growing(0, 400, None).unwrap());
        assert!(limiter.memory_growing(0, 400, None).unwrap());
        assert!(limiter.table_growing(0, 20, None).unwrap());
        assert_eq!(limiter.peak(), 960);
        let error = limiter.memory_growing(400, 500, None).unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&LimitExceeded::Memory { wanted: 1060, limit: 1000 })
        );
        let error = limiter.table_growing(20, 101, None).unwrap_err();
        assert_eq!(
            error.downcast_ref(),
            Some(&LimitExceeded::TableElements { wanted: 101, limit: 100 })
        );
    }

    #[test]
    fn failed_growth_is_taken_back() {
        let mut limiter = limiter(1000, 100);
        assert!(limiter.memory_growing(0, 900, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no")).unwrap();
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(
            !limiter.memory_growing(600, 2000, Some(900)).unwrap(),
            "its own maximum is not our error"
        );
        assert!(limiter.memory_growing(600, 2000, Some(1500)).is_err(), "but ours comes first");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(mib(256 << 20), "256 MiB");
        assert_eq!(mib((1 << 20) + (1 << 19)), "1.5 MiB");
        let exceeded = LimitExceeded::Memory { wanted: (256 << 20) + 65_536, limit: 256 << 20 };
        assert_eq!(
            exceeded.to_string(),
            "the script asked for 256.1 MiB of memory, its limit is 256 MiB"
        );
    }
}
