//! The one place that decides which cryptography TLS uses.

use crate::{Result, StoreError};
use rustls::crypto::{CryptoProvider, ring};

/// Makes sure that the process has a provider of cryptography for TLS, which is chosen once for
/// all: ring, unless the program has chosen another one before. Clients that are built without it
/// panic.
///
/// # Errors
/// `Unavailable` when there is none even so.
pub(crate) fn ensure_provider() -> Result<()> {
    if CryptoProvider::get_default().is_none() {
        // Refused when another thread was faster, which is as good.
        let _ = ring::default_provider().install_default();
    }
    match CryptoProvider::get_default() {
        Some(_) => Ok(()),
        None => Err(StoreError::Unavailable("TLS has no provider of cryptography".into())),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_can_be_asked_for_many_times() {
        let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(super::ensure_provider)).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    }
}
