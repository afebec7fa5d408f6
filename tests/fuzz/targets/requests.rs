//! What clients of a server send: to `/metrics`, over a connection, or the body of an inference request. The first byte says
//! which of them, and how much of the body is said to be JSON.
#![no_main]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use skipgate_core::Manifest;
use skipgate_http::{Endpoint, Metrics, Shared, decode};
use skipgate_workload::Tally;

static MANIFEST: LazyLock<Manifest> =
    LazyLock::new(|| Manifest::from_json(include_str!("manifest.json")).expect("it is a manifest"));

/// Serves for as long as the fuzzer runs.
static ENDPOINT: LazyLock<(Endpoint, SocketAddr)> = LazyLock::new(|| {
    let numbers = Shared::new(Tally::new(Duration::from_millis(1)), false);
    let endpoint = Metrics::serve("127.0.0.1:0", &numbers).expect("a free port");
    let address = endpoint.addresses()[0];
    (endpoint, address)
});

/// Longer than an answer to whatever was sent takes, once there is no more to come.
const PATIENCE: Duration = Duration::from_secs(4);

fn ask(bytes: &[u8]) {
    let mut stream = TcpStream::connect(ENDPOINT.1).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
    // A client that sends nonsense is cut off.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer in {PATIENCE:?}"),
        _ => assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{answer:?}"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [] => {}
        [0, rest @ ..] => ask(rest),
        [255, rest @ ..] => drop(decode(rest, None, &MANIFEST)),
        [length, rest @ ..] => drop(decode(rest, Some(&(8 * usize::from(*length)).to_string()), &MANIFEST)),
    }
});
