//! A page for whoever can reach a port. Clients are not trusted: all that one can make the program hold, and how long, has
//! a limit.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future;
use std::io::{self, ErrorKind};
use std::net::{TcpListener as Listener, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

/// Connections that are open at a time, at each address. One more ends the oldest, so that whoever asks and reads at once
/// is answered, however many others hold theirs open.
const MOST_CONNECTIONS: usize = 64;
/// Bytes of a request's line and headers. A longer head is answered with 431, and no body is ever read.
const MOST_HEAD_BYTES: usize = 16 << 10;
/// Headers of a request. More are answered with 431.
const MOST_HEADERS: usize = 64;
/// Time for a whole connection, which answers one request: a slower client is cut off.
const LONGEST_CONNECTION: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be taken, since the reason, such as too many open files, may last.
const PAUSE: Duration = Duration::from_millis(100);

/// What is answered with.
type Answer = Response<String>;

/// A page that is served until this is dropped, by a thread of its own. Whoever is still connected then is not waited for.
pub(crate) struct Endpoint {
    /// Owns the thread and all connections, and ends them.
    _runtime: Runtime,
}

/// The page: its path, the type of its content, and what makes it.
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) content_type: HeaderValue,
    pub(crate) content: Box<dyn Fn() -> String + Send + Sync>,
}

impl Endpoint {
    /// Serves `page` at `address`, which is `HOST:PORT`. A host with several addresses, such as `localhost`, is served at
    /// all of them.
    pub(crate) fn start(address: &str, page: Page) -> Result<Self> {
        let cannot_listen = || format!("cannot listen at {address}");
        let listeners = listeners(address).with_context(cannot_listen)?;
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("skipgate-metrics").enable_all().build()?;
        let page = Arc::new(page);
        let guard = runtime.enter();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener).with_context(cannot_listen)?;
            runtime.spawn(accept(listener, Arc::clone(&page)));
        }
        drop(guard);
        Ok(Self { _runtime: runtime })
    }
}

/// A listener at each address of a host. Those that this machine does not have, as many have no IPv6, are left out.
fn listeners(address: &str) -> io::Result<Vec<Listener>> {
    let mut addresses: Vec<_> = address.to_socket_addrs()?.collect();
    addresses.sort_unstable();
    addresses.dedup();
    let mut listeners = Vec::new();
    let mut unavailable = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        match Listener::bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported) => {
                unavailable = error;
            }
            Err(error) => return Err(error),
        }
    }
    if listeners.is_empty() { Err(unavailable) } else { Ok(listeners) }
}

/// Takes connections for ever.
async fn accept(listener: TcpListener, page: Arc<Page>) {
    let mut open = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                make_room(&mut open);
                open.push_back(tokio::spawn(serve(stream, Arc::clone(&page))).abort_handle());
                // A request that is already there is answered before others can push it out.
                tokio::task::yield_now().await;
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Ends the oldest connections, if there are as many as there may be.
fn make_room(open: &mut VecDeque<AbortHandle>) {
    open.retain(|connection| !connection.is_finished());
    while open.len() >= MOST_CONNECTIONS {
        if let Some(oldest) = open.pop_front() {
            oldest.abort();
        }
    }
}

/// Answers one request.
async fn serve(stream: TcpStream, page: Arc<Page>) {
    let service = service_fn(|request: Request<_>| {
        future::ready(Ok::<_, Infallible>(answer(request.method(), request.uri().path(), &page)))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_CONNECTION)
        .keep_alive(false)
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever asked may be gone, or have sent something else than a request.
    let _ = tokio::time::timeout(LONGEST_CONNECTION, connection).await;
}

/// The body of an answer to HEAD is left out by hyper.
fn answer(method: &Method, path: &str, page: &Page) -> Answer {
    if path != page.path {
        return error(StatusCode::NOT_FOUND, format!("see {}\n", page.path));
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "use GET or HEAD\n".to_owned());
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let mut answer = Response::new((page.content)());
    answer.headers_mut().insert(CONTENT_TYPE, page.content_type.clone());
    answer
}

fn error(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(text);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};
    use std::time::Instant;

    use super::*;

    /// Longest time that an answer may take: far more than it does, and far less than a hang.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A page of numbers at a port that nobody else has.
    fn served() -> (Endpoint, SocketAddr) {
        let port = Listener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        (Endpoint::start(&address.to_string(), page()).unwrap(), address)
    }

    fn page() -> Page {
        let content = Box::new(|| "numbers 1\n".to_owned());
        Page { path: "/metrics", content_type: HeaderValue::from_static("text/plain"), content }
    }

    fn connect(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// All that comes back for `request`; a connection that is cut off ends it.
    fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = connect(address);
        let _ = stream.write_all(request);
        read(&mut stream)
    }

    fn read(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer in {PATIENCE:?}"),
            _ => String::from_utf8_lossy(&answer).into_owned(),
        }
    }

    fn scrape(address: SocketAddr) -> String {
        ask(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    }

    fn check_alive(address: SocketAddr) {
        let answer = scrape(address);
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\nnumbers 1\n"), "{answer}");
    }

    #[test]
    fn a_page_is_found_by_its_path_whatever_the_query() {
        let (_endpoint, address) = served();
        check_alive(address);
        for found in ["/metrics?x=1", "/metrics?", "http://host/metrics?a=b&c"] {
            let answer = ask(address, format!("GET {found} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
            assert!(answer.starts_with("HTTP/1.1 200"), "{found}: {answer}");
        }
        for other in ["/", "/metrics/", "/other?/metrics", "*"] {
            let answer = ask(address, format!("GET {other} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
            assert!(!answer.contains("numbers") && answer.starts_with("HTTP/1.1 4"), "{other}: {answer}");
        }
    }

    #[test]
    fn head_has_the_headers_alone_and_other_methods_are_refused() {
        let (_endpoint, address) = served();
        let head = ask(address, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: 10"), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
            let answer = ask(address, format!("{method} /metrics HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
            assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET, HEAD"), "{answer}");
        }
        assert!(ask(address, b"HEAD /other HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn a_request_of_any_stated_length_is_answered_without_its_body() {
        let (_endpoint, address) = served();
        for method in ["POST", "GET"] {
            for length in ["99999999999999", "9223372036854775807", "18446744073709551615"] {
                let request =
                    format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
                let answer = ask(address, request.as_bytes());
                let expected = if method == "GET" { "HTTP/1.1 200" } else { "HTTP/1.1 405" };
                // The largest number stands for no length in hyper, which refuses it.
                let refused = answer.starts_with("HTTP/1.1 431") && length.len() == 20;
                assert!(answer.starts_with(expected) || refused, "{request}{answer}");
                check_alive(address);
            }
        }
    }

    #[test]
    fn what_is_no_request_is_refused_and_the_next_one_is_answered() {
        let (_endpoint, address) = served();
        for garbage in [
            &b"\0\xff\xfe\r\n\r\n"[..],
            b"GET\r\n\r\n",
            b"GET /metrics HTTP/9.9\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\n: nameless\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        ] {
            let answer = ask(address, garbage);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{garbage:?}: {answer}");
            check_alive(address);
        }
        let chunked = b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n";
        assert!(ask(address, chunked).starts_with("HTTP/1.1 405"));
        check_alive(address);
    }

    #[test]
    fn a_head_without_end_is_cut_off() {
        let (_endpoint, address) = served();
        for piece in [&b"x"[..], b"a: b\r\n", b"GET / "] {
            let mut stream = connect(address);
            stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
            let pieces = piece.repeat(MOST_HEAD_BYTES / piece.len());
            let sent = (0..1000).take_while(|_| stream.write_all(&pieces).is_ok()).count();
            assert!(sent < 1000, "{} MiB were taken", (1000 * pieces.len()) >> 20);
            check_alive(address);
        }
    }

    #[test]
    fn connections_that_are_held_open_keep_nobody_from_the_page() {
        let (_endpoint, address) = served();
        let start = Instant::now();
        let mut idle = Vec::new();
        for number in 0..4 * MOST_CONNECTIONS {
            let mut stream = connect(address);
            if number % 2 == 0 {
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nSlow: ");
            }
            idle.push(stream);
        }
        check_alive(address);
        // The oldest is cut off by the others, not by its age.
        assert!(read(&mut idle[1]).is_empty());
        let by_age = start.elapsed() >= LONGEST_CONNECTION;
        let open = |stream: &mut TcpStream| {
            stream.set_nonblocking(true).unwrap();
            matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
        };
        let open = idle.iter_mut().map(open).filter(|open| *open).count();
        assert!(by_age || (1..=MOST_CONNECTIONS).contains(&open), "{open} are open");
    }

    #[test]
    fn a_client_that_sends_nothing_is_cut_off_after_a_while() {
        let (_endpoint, address) = served();
        let mut silent = connect(address);
        let mut slow = connect(address);
        slow.write_all(b"GET /metrics HTTP/1.1\r\nSlow: ").unwrap();
        assert!(read(&mut silent).is_empty());
        let answer = read(&mut slow);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }

    #[test]
    fn a_name_is_an_address_and_the_page_is_at_all_that_it_stands_for() {
        let (endpoint, address) = served();
        drop(endpoint);
        let name = format!("localhost:{}", address.port());
        let _endpoint = Endpoint::start(&name, page()).unwrap();
        check_alive(address);
        for address in name.to_socket_addrs().unwrap() {
            if TcpStream::connect(address).is_ok() {
                check_alive(address);
            }
        }
    }

    #[test]
    fn an_address_that_cannot_be_listened_at_is_named() {
        let (_endpoint, address) = served();
        for address in [&address.to_string(), "192.0.2.1:9090", "no-such-host.invalid:9090"] {
            let error = Endpoint::start(address, page()).err().expect("nobody can listen there");
            assert_eq!(error.to_string(), format!("cannot listen at {address}"));
        }
    }
}
