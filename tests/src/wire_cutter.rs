//! A way to a server that can be cut, stopped or made slow, for whatever speaks TCP.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What happens to what passes.
#[derive(Debug, Default)]
struct Faults {
    /// Connections are refused, by closing them at once.
    refuse: AtomicBool,
    /// Nothing passes, and nobody is told.
    stall: AtomicBool,
    /// Milliseconds that every piece is late.
    delay: AtomicU64,
    /// After so many further bytes a connection is cut in the middle of a message; 0 for never.
    cut_after: AtomicU64,
    over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// The way. It ends when this value is dropped.
#[derive(Debug)]
pub struct WireCutter {
    port: u16,
    faults: Arc<Faults>,
}

impl WireCutter {
    /// A way to a port of the loopback.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let faults = Arc::new(Faults::default());
        let way = faults.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if way.over.load(Ordering::Relaxed) {
                    return;
                }
                if way.refuse.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else {
                    continue;
                };
                let mut open = way.open.lock().unwrap_or_else(PoisonError::into_inner);
                open.retain(|stream| stream.take_error().is_ok() && stream.peer_addr().is_ok());
                open.extend([near.try_clone(), far.try_clone()].into_iter().flatten());
                drop(open);
                for (from, to) in [(near, far_again), (far, near_again)] {
                    let way = way.clone();
                    std::thread::spawn(move || pass(&way, from, to));
                }
            }
        });
        Self { port, faults }
    }

    /// Where it begins.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every connection there is.
    pub fn cut(&self) {
        for stream in self.faults.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Cuts every connection, and refuses new ones until told otherwise.
    pub fn refuse(&self, refuse: bool) {
        self.faults.refuse.store(refuse, Ordering::Relaxed);
        if refuse {
            self.cut();
        }
    }

    /// Lets nothing pass, and keeps the connections, until told otherwise.
    pub fn stall(&self, stall: bool) {
        self.faults.stall.store(stall, Ordering::Relaxed);
    }

    /// Makes every piece late.
    pub fn delay(&self, delay: Duration) {
        self.faults.delay.store(delay.as_millis() as u64, Ordering::Relaxed);
    }

    /// Cuts the connection over which the given number of bytes has passed from now on, in the
    /// middle of them.
    pub fn cut_after(&self, bytes: u64) {
        self.faults.cut_after.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for WireCutter {
    fn drop(&mut self) {
        self.faults.over.store(true, Ordering::Relaxed);
        self.cut();
        // The listener is waiting for one more.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn pass(faults: &Faults, mut from: TcpStream, mut to: TcpStream) {
    let mut piece = [0; 16 << 10];
    while let Ok(bytes) = from.read(&mut piece) {
        while faults.stall.load(Ordering::Relaxed) && !faults.over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(faults.delay.load(Ordering::Relaxed)));
        let left = faults.cut_after.load(Ordering::Relaxed);
        let passing = match left {
            0 => bytes,
            left if left > bytes as u64 => {
                faults.cut_after.store(left - bytes as u64, Ordering::Relaxed);
                bytes
            }
            left => {
                faults.cut_after.store(0, Ordering::Relaxed);
                let _ = to.write_all(&piece[..left as usize]);
                break;
            }
        };
        if passing == 0 || to.write_all(&piece[..passing]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
