//! The log of a run: of limited size, made of whole lines, safe to show, readable while it grows.
//!
//! When the log is full, further output is only counted. So a guest that prints a gigabyte costs
//! little memory and time. The log holds escaped text, because output of a guest may contain escape
//! sequences of terminals.

use crate::limiter::mib;
use crate::sanitize;
use bytes::Bytes;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use wasmill_core::limits::{LOG_LINE_BYTES, STDERR_TAIL_BYTES};

/// The log of one run, up to a limit. The run appends to it; followers read it at the same time.
pub struct LogBuffer {
    limit: usize,
    content: Mutex<Content>,
    grown: Notify,
}

#[derive(Default)]
struct Content {
    text: String,
    dropped: u64,
    full: bool,
    finished: bool,
}

impl LogBuffer {
    /// A log that keeps up to `limit` bytes. Allocates nothing before the first append.
    pub fn new(limit: u64) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            content: Mutex::default(),
            grown: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // A panic while the lock is held leaves valid text.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text behind `offset`, in bytes, and the offset for the next call. `offset` must be 0 or
    /// an offset that this method has returned.
    pub fn read_from(&self, offset: usize) -> (String, usize) {
        let content = self.lock();
        (content.text.get(offset..).unwrap_or_default().to_owned(), content.text.len())
    }

    /// Waits until the log has more than `offset` bytes, or is finished.
    pub async fn grown(&self, offset: usize) {
        loop {
            let notified = self.grown.notified();
            {
                let content = self.lock();
                if content.text.len() > offset || content.finished {
                    return;
                }
            }
            notified.await;
        }
    }

    /// Finishes the log and returns all of it. The last line tells how many bytes were dropped, if
    /// any were. Later appends are ignored.
    pub fn finish(&self) -> Bytes {
        let mut content = self.lock();
        if !content.finished {
            content.finished = true;
            if content.dropped > 0 {
                if !content.text.is_empty() && !content.text.ends_with('\n') {
                    content.text.push('\n');
                }
                let line = format!(
                    "[wasmill] the log is full ({}); {} more bytes were dropped\n",
                    mib(self.limit as u64),
                    content.dropped
                );
                content.text.push_str(&line);
            }
        }
        let bytes = Bytes::copy_from_slice(content.text.as_bytes());
        drop(content);
        self.grown.notify_waiters();
        bytes
    }

    /// True when [`LogBuffer::finish`] was called. Nothing is appended after that.
    pub fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// Bytes that were dropped because the log was full.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Appends text of the host or of a guest. Control characters are escaped.
    pub fn append(&self, text: &str) {
        let mut content = self.lock();
        if content.finished {
            return;
        }
        if content.full {
            content.dropped += text.len() as u64;
            return;
        }
        // Escaping only makes text longer. So text that exceeds the limit before it is escaped
        // exceeds the limit after it too.
        let room = self.limit - content.text.len().min(self.limit);
        let fitting = sanitize::truncated(text, room);
        let start = content.text.len();
        sanitize::push_escaped(&mut content.text, fitting);
        content.dropped += (text.len() - fitting.len()) as u64;
        content.full = fitting.len() < text.len() || content.text.len() >= self.limit;
        if content.text.len() > self.limit {
            let end = content.text.floor_char_boundary(self.limit).max(start);
            content.dropped += (content.text.len() - end) as u64;
            content.text.truncate(end);
        }
        drop(content);
        self.grown.notify_waiters();
    }

    /// True when further appends are only counted.
    fn is_full(&self) -> bool {
        self.lock().full
    }

    fn drop_bytes(&self, count: usize) {
        self.lock().dropped += count as u64;
    }
}

impl fmt::Debug for LogBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A log may hold secrets, so only its size is shown.
        let content = self.lock();
        f.debug_struct("LogBuffer")
            .field("bytes", &content.text.len())
            .field("dropped", &content.dropped)
            .finish()
    }
}

/// One output stream of a guest. Joins what the guest writes in parts to lines, so that lines of
/// standard output and standard error are not mixed.
#[derive(Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
    tail: Vec<u8>,
}

impl Lines {
    /// Takes what the guest has written, and appends the complete lines to the log.
    pub(crate) fn write(&mut self, log: &LogBuffer, bytes: &[u8]) {
        self.remember(bytes);
        if log.is_full() {
            log.drop_bytes(bytes.len());
            return;
        }
        let end = match bytes.iter().rposition(|&b| b == b'\n') {
            Some(last) => last + 1,
            None => 0,
        };
        let (lines, rest) = bytes.split_at(end);
        if !lines.is_empty() {
            self.pending.extend_from_slice(lines);
            self.flush(log);
        }
        self.pending.extend_from_slice(rest);
        if self.pending.len() > LOG_LINE_BYTES {
            self.flush_characters(log);
        }
    }

    /// Appends the incomplete line to the log.
    pub(crate) fn flush(&mut self, log: &LogBuffer) {
        if !self.pending.is_empty() {
            append_bytes(log, &self.pending);
            self.pending.clear();
        }
    }

    /// Appends a line that is too long to the log, up to its last complete character.
    fn flush_characters(&mut self, log: &LogBuffer) {
        let whole = match std::str::from_utf8(&self.pending) {
            Ok(text) => text.len(),
            // There is no error length: the bytes behind `valid_up_to` begin a character.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.pending.len(),
        };
        let rest = self.pending.split_off(whole);
        append_bytes(log, &self.pending);
        self.pending = rest;
    }

    /// The end of all that was written, with the incomplete line.
    pub(crate) fn tail(&self) -> String {
        sanitize::lossy(&self.tail).into_owned()
    }

    fn remember(&mut self, bytes: &[u8]) {
        let new = bytes.get(bytes.len().saturating_sub(STDERR_TAIL_BYTES)..).unwrap_or(bytes);
        let excess = (self.tail.len() + new.len()).saturating_sub(STDERR_TAIL_BYTES);
        self.tail.drain(..excess.min(self.tail.len()));
        self.tail.extend_from_slice(new);
    }
}

/// Appends bytes as text. CR LF becomes LF.
fn append_bytes(log: &LogBuffer, bytes: &[u8]) {
    let text = sanitize::lossy(bytes);
    if text.contains("\r\n") {
        log.append(&text.replace("\r\n", "\n"));
    } else {
        log.append(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn text(log: &LogBuffer) -> String {
        log.read_from(0).0
    }

    #[test]
    fn lines_of_two_streams_stay_whole() {
        let log = LogBuffer::new(1000);
        let (mut out, mut err) = (Lines::default(), Lines::default());
        out.write(&log, b"out ");
        err.write(&log, b"err\npart");
        out.write(&log, b"one\r\nout ");
        assert_eq!(text(&log), "err\nout one\n");
        out.flush(&log);
        err.flush(&log);
        assert_eq!(text(&log), "err\nout one\nout part");
        assert_eq!(err.tail(), "err\npart");
    }

    #[test]
    fn terminal_escapes_and_broken_text_are_harmless() {
        let log = LogBuffer::new(1000);
        let mut out = Lines::default();
        out.write(&log, b"a\x1b[2Jb\xff\rc\td\n");
        assert_eq!(text(&log), "a\\u{1b}[2Jb\u{fffd}\\u{d}c\td\n");
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let log = LogBuffer::new(1 << 20);
        let mut out = Lines::default();
        for _ in 0..5000 {
            out.write(&log, "€".as_bytes().get(..2).unwrap());
            out.write(&log, "€".as_bytes().get(2..).unwrap());
        }
        out.flush(&log);
        assert_eq!(text(&log), "€".repeat(5000));
    }

    #[test]
    fn a_full_log_counts() {
        let log = LogBuffer::new(10);
        let mut out = Lines::default();
        out.write(&log, b"12345678\n");
        out.write(&log, "äöü\n".as_bytes());
        out.write(&log, b"more\n");
        out.flush(&log);
        assert_eq!(log.dropped(), 12);
        assert_eq!(text(&log), "12345678\n");
        let whole = String::from_utf8(log.finish().to_vec()).unwrap();
        assert!(
            whole.starts_with("12345678\n[wasmill] the log is full")
                && whole.ends_with("12 more bytes were dropped\n"),
            "{whole}"
        );
        log.append("late");
        assert_eq!(log.finish(), whole);
    }

    #[test]
    fn escapes_count_against_the_limit() {
        let log = LogBuffer::new(10);
        log.append("\x1b\x1b\x1b\x1b");
        assert!(text(&log).len() <= 10);
        assert!(log.dropped() > 0);
    }

    #[test]
    fn a_gigabyte_is_dropped_quickly() {
        let log = LogBuffer::new(1 << 20);
        let mut out = Lines::default();
        let chunk = vec![b'x'; 4096];
        let start = Instant::now();
        for _ in 0..(1 << 30) / 4096 {
            out.write(&log, &chunk);
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(log.dropped() + text(&log).len() as u64 + out.pending.len() as u64, 1 << 30);
        assert!(out.pending.capacity() < 1 << 16);
    }

    #[tokio::test]
    async fn followers_see_it_grow_and_end() {
        let log = Arc::new(LogBuffer::new(1000));
        let follower = tokio::spawn({
            let log = log.clone();
            async move {
                let (mut seen, mut offset) = (String::new(), 0);
                while !log.is_finished() {
                    log.grown(offset).await;
                    let (new, next) = log.read_from(offset);
                    seen.push_str(&new);
                    offset = next;
                }
                seen
            }
        });
        for i in 0..10 {
            log.append(&format!("{i}\n"));
            tokio::task::yield_now().await;
        }
        log.finish();
        assert_eq!(follower.await.unwrap(), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    }
}
