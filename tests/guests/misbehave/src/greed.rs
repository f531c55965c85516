//! Taking more than one's share, and looking for what others left behind.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::hint::black_box;

use serde_json::value::RawValue;
use wasmill_guest::ScriptError;

const MIB: usize = 1 << 20;

/// Sixteen bytes that occur nowhere else. Put together at run time, so that the module's own data
/// doesn't hold them.
fn marker() -> [u8; 16] {
    let mut marker = [0; 16];
    for (at, byte) in (0_u8..).zip(&mut marker) {
        *byte = black_box(at).wrapping_mul(37) ^ 0xa5;
    }
    marker
}

/// Takes memory, a mebibyte at a time, until there is none. Returns how many it got, if being
/// refused leaves it alive.
pub fn grow() -> usize {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(MIB).is_err() {
            return taken.len();
        }
        piece.resize(MIB, 1);
        taken.push(black_box(piece));
    }
}

/// Calls itself for ever. Each call keeps something of its own, which no optimiser can fold into a
/// loop.
#[expect(unconditional_recursion, reason = "that is what it is for")]
#[inline(never)]
pub fn recurse(depth: u64) -> u64 {
    let kept = black_box([depth; 8]);
    let deeper = recurse(depth + 1);
    deeper + kept.iter().sum::<u64>()
}

/// The JSON of a string of `bytes` letters.
pub fn long_string(bytes: u32) -> Result<Box<RawValue>, ScriptError> {
    let mut json = String::from("\"");
    json.reserve_exact(bytes as usize + 1);
    json.extend(std::iter::repeat_n('x', bytes as usize));
    json.push('"');
    RawValue::from_string(json)
        .map_err(|error| ScriptError::new("InvalidResult", error.to_string()))
}

/// Takes `mib` mebibytes and writes to every page of them.
pub fn take(mib: u32) -> &'static str {
    let mut memory: Vec<u8> = Vec::with_capacity(mib as usize * MIB);
    memory.resize(mib as usize * MIB, 7);
    black_box(&memory);
    "ok"
}

/// Fills a mebibyte with the marker. Returns how often it is in there.
pub fn write_marker() -> usize {
    let memory = marker().repeat(MIB / marker().len());
    black_box(&memory).len() / marker().len()
}

/// Counts the markers in eight mebibytes that nothing was written to yet.
pub fn count_markers() -> usize {
    const FRESH: Layout = match Layout::from_size_align(8 * MIB, 16) {
        Ok(layout) => layout,
        Err(_) => panic!("16 is a power of two"),
    };
    // SAFETY: the layout isn't empty, the pointer is checked, and the memory is given back with the
    // layout it came with. Bytes that were never written are undefined for an optimiser, which is
    // why it doesn't get to see where they come from.
    unsafe {
        let start = black_box(alloc(FRESH));
        if start.is_null() {
            handle_alloc_error(FRESH);
        }
        let memory = black_box(std::slice::from_raw_parts(start, FRESH.size()));
        let count = memory.chunks_exact(16).filter(|piece| *piece == marker()).count();
        dealloc(start, FRESH);
        count
    }
}
