//! Clients of a server's metrics: one who asks as Prometheus does, and those who mean it harm.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two scrapes.
const BETWEEN_SCRAPES: Duration = Duration::from_secs(1);
/// A scrape that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections that are held open at a time, more than the server allows.
const HELD: usize = 100;
/// Pause behind each hostile connection, so that they do not fill the machine by themselves.
const PAUSE: Duration = Duration::from_millis(5);

/// What came of scrapes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scrapes {
    pub(super) answered: usize,
    pub(super) failed: usize,
    pub(super) slowest: Duration,
}

/// Scrapes once a second until `end`.
pub(super) fn scrape(address: SocketAddr, end: Instant) -> Scrapes {
    let mut scrapes = Scrapes::default();
    // The server measures its front before it listens.
    while TcpStream::connect(address).is_err() && Instant::now() < end {
        thread::sleep(Duration::from_millis(50));
    }
    while Instant::now() + PATIENCE < end {
        let start = Instant::now();
        match scrape_once(address) {
            Ok(page) if page.contains("skipgate_requests_total") => scrapes.answered += 1,
            _ => scrapes.failed += 1,
        }
        scrapes.slowest = scrapes.slowest.max(start.elapsed());
        thread::sleep(BETWEEN_SCRAPES);
    }
    scrapes
}

fn scrape_once(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

/// What is sent on one connection after the other.
const ATTACKS: [&[u8]; 10] = [
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"GET /metrics HTTP/1.1\r\nSlow: ",
    b"GET / HTTP/1.1\r\n: nameless\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\0\0\0\0\0\0\0\0",
    b"",
    b"GET /metrics?a=%ff%00 HTTP/1.1\r\nHost: x\r\nX: \xff\xfe\r\n\r\n",
];

/// Connects until `end` or `over`, sends what nobody should, and holds many connections open. Returns how many it made.
pub(super) fn disturb(address: SocketAddr, end: Instant, over: &AtomicBool) -> usize {
    let mut held = std::collections::VecDeque::new();
    let mut made = 0;
    while Instant::now() < end && !over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = TcpStream::connect(address) {
            // Being cut off is what a hostile client has to expect.
            let _ = stream.write_all(ATTACKS[made % ATTACKS.len()]);
            if made % 50 == 0 {
                flood(&mut stream);
            }
            held.push_back(stream);
            made += 1;
        }
        if held.len() > HELD {
            held.pop_front();
        }
        thread::sleep(PAUSE);
    }
    made
}

/// Sends headers without end, until it is cut off.
fn flood(stream: &mut TcpStream) {
    let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
    let header = [b"a: ".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
    let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
    for _ in 0..256 {
        if stream.write_all(&header).is_err() {
            break;
        }
    }
}
