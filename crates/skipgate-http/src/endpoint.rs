//! HTTP for whoever can reach a port. Clients are not trusted: all that one can make the program hold, and how long, has a
//! limit.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener as Listener, ToSocketAddrs as _};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::error::Error;

/// Connections that are open at a time, at each address. One more ends the one that was idle the longest, so that whoever
/// asks and reads at once is answered, however many others hold theirs open.
const MOST_CONNECTIONS: usize = 64;
/// Bytes of a request's line and headers. A longer head is answered with 431.
const MOST_HEAD_BYTES: usize = 16 << 10;
/// Headers of a request. More are answered with 431.
const MOST_HEADERS: usize = 64;
/// Time for each of what a client does: to send a head, to send a body, to read an answer, and to ask once more. A slower one is
/// cut off.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be taken, since the reason, such as too many open files, may last.
const PAUSE: Duration = Duration::from_millis(100);

/// What is answered with.
pub type Answer = Response<Full<Bytes>>;

/// What is served.
pub trait Site: Send + Sync + 'static {
    /// Whether a connection may ask more than once.
    const KEEP_ALIVE: bool;

    /// Most bytes of the body of a request with this head. With 0, the body is never read.
    fn most_body_bytes(&self, head: &Parts) -> usize;

    /// The answer to a request, whose body was read if it may have one.
    fn answer(&self, head: Parts, body: Bytes) -> impl Future<Output = Answer> + Send;

    /// The answer to a request whose body was not read for the reason `text`.
    fn refuse(&self, status: StatusCode, text: String) -> Answer;
}

/// A site that is served until this is dropped, by a thread of its own. Whoever is still connected then is not waited for; see
/// [`finish`](Self::finish).
#[derive(Debug)]
pub struct Endpoint {
    /// Owns the thread and all connections, and ends them.
    runtime: Runtime,
    addresses: Vec<SocketAddr>,
    /// Tells all connections to end after what they are doing.
    closing: watch::Sender<bool>,
    /// Ends when there is no connection any more.
    ended: mpsc::Receiver<Infallible>,
}

impl Endpoint {
    /// Serves `site` at `address`, which is `HOST:PORT`. A host with several addresses, such as `localhost`, is served at
    /// all of them.
    ///
    /// # Errors
    ///
    /// When nobody can listen there.
    pub fn start(address: &str, site: &Arc<impl Site>) -> Result<Self, Error> {
        let cannot_listen = |source| Error::Listen { address: address.to_owned(), source };
        let listeners = listeners(address).map_err(cannot_listen)?;
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("skipgate-http").enable_all().build();
        let runtime = runtime.map_err(Error::Threads)?;
        let (closing, close) = watch::channel(false);
        let (open, ended) = mpsc::channel(1);
        let guard = runtime.enter();
        let mut addresses = Vec::new();
        for listener in listeners {
            listener.set_nonblocking(true).map_err(cannot_listen)?;
            addresses.push(listener.local_addr().map_err(cannot_listen)?);
            let listener = TcpListener::from_std(listener).map_err(cannot_listen)?;
            runtime.spawn(accept(listener, Arc::clone(site), close.clone(), open.clone()));
        }
        drop(guard);
        Ok(Self { runtime, addresses, closing, ended })
    }

    /// Where it is served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes no more connections, answers the requests that are there, and returns when the last client has its answer or was
    /// cut off.
    pub fn finish(mut self) {
        self.closing.send_replace(true);
        self.runtime.block_on(self.ended.recv());
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

/// Takes connections until `closing` is set. `open` is held as long as there is one.
async fn accept(
    listener: TcpListener,
    site: Arc<impl Site>,
    mut closing: watch::Receiver<bool>,
    open: mpsc::Sender<Infallible>,
) {
    let mut connections = Vec::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.changed() => return,
        };
        match accepted {
            Ok((stream, _)) if make_room(&mut connections) => {
                let activity = Arc::new(Activity::new());
                let (site, closing, open) = (Arc::clone(&site), closing.clone(), open.clone());
                let connection = serve(stream, site, Arc::clone(&activity), closing, open);
                connections.push((activity, tokio::spawn(connection).abort_handle()));
                // A request that is already there is answered before others can push it out.
                tokio::task::yield_now().await;
            }
            // All others have asked and wait for their answers.
            Ok(_) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Ends the connection that was idle the longest, if there are as many as there may be. Whether there is room then.
fn make_room(connections: &mut Vec<(Arc<Activity>, AbortHandle)>) -> bool {
    connections.retain(|(_, connection)| !connection.is_finished());
    if connections.len() < MOST_CONNECTIONS {
        return true;
    }
    let idle = connections
        .iter()
        .enumerate()
        .filter_map(|(place, (activity, _))| Some((activity.idle_since()?, place)));
    let Some((_, place)) = idle.min() else { return false };
    connections.remove(place).1.abort();
    true
}

/// Whether a client waits for its answer, or else since when it is waited for.
struct Activity(Mutex<Option<Instant>>);

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Some(Instant::now())))
    }

    /// `None` while an answer is being made.
    fn idle_since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, idle_since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = idle_since;
    }

    /// Returns when the client has been waited for for too long.
    async fn is_over(&self) {
        loop {
            let left = self
                .idle_since()
                .map_or(LONGEST_PAUSE, |since| LONGEST_PAUSE.saturating_sub(since.elapsed()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// Answers the requests of a connection.
async fn serve(
    stream: TcpStream,
    site: Arc<impl Site>,
    activity: Arc<Activity>,
    mut closing: watch::Receiver<bool>,
    open: mpsc::Sender<Infallible>,
) {
    // Answers are sent as soon as they are there.
    let _ = stream.set_nodelay(true);
    let keep_alive = keep_alive(&*site);
    let service = service_fn(|request: Request<Incoming>| {
        let (site, activity) = (&site, &activity);
        async move { Ok::<_, Infallible>(answer(&**site, request, activity).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_PAUSE)
        .keep_alive(keep_alive)
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut closes = false;
    loop {
        tokio::select! {
            // Whoever asked may be gone, or have sent something else than a request.
            _ = connection.as_mut() => break,
            () = activity.is_over() => break,
            _ = closing.changed(), if !closes => {
                closes = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
    drop(open);
}

/// Whether connections to a site may ask more than once.
fn keep_alive<S: Site>(_site: &S) -> bool {
    S::KEEP_ALIVE
}

/// Reads the body, if there may be one, and answers.
async fn answer(site: &impl Site, request: Request<Incoming>, activity: &Activity) -> Answer {
    activity.set(Some(Instant::now()));
    let (head, body) = request.into_parts();
    let answer = match read(body, site.most_body_bytes(&head)).await {
        Ok(body) => {
            activity.set(None);
            site.answer(head, body).await
        }
        Err((status, text)) => site.refuse(status, text),
    };
    activity.set(Some(Instant::now()));
    answer
}

/// The body, which nobody need wait for longer than a pause.
async fn read(body: Incoming, most: usize) -> Result<Bytes, (StatusCode, String)> {
    if most == 0 {
        return Ok(Bytes::new());
    }
    let too_long = || (StatusCode::PAYLOAD_TOO_LARGE, format!("the body may have {most} bytes"));
    if body.size_hint().lower() > most as u64 {
        return Err(too_long());
    }
    match tokio::time::timeout(LONGEST_PAUSE, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
        Ok(Err(error)) => Err((StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}"))),
        Err(_) => {
            Err((StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {LONGEST_PAUSE:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};
    use std::time::Instant;

    use super::*;
    use crate::metrics::Page;

    /// Longest time that an answer may take: far more than it does, and far less than a hang.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A page of numbers at a port that nobody else has.
    fn served() -> (Endpoint, SocketAddr) {
        let port = Listener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        (Endpoint::start(&address.to_string(), &page()).unwrap(), address)
    }

    fn page() -> Arc<Page> {
        let content = Box::new(|| "numbers 1\n".to_owned());
        Arc::new(Page { path: "/metrics", content_type: "text/plain", content })
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
        let by_age = start.elapsed() >= LONGEST_PAUSE;
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
        let _endpoint = Endpoint::start(&name, &page()).unwrap();
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
            let error = Endpoint::start(address, &page()).expect_err("nobody can listen there");
            assert_eq!(error.to_string(), format!("cannot listen at {address}"));
        }
    }

    /// Takes bodies of ten bytes and gives them back, after it was told to where they say `wait`.
    struct Echo {
        go_on: tokio::sync::Notify,
        began: tokio::sync::Notify,
    }

    impl Site for Echo {
        const KEEP_ALIVE: bool = true;

        fn most_body_bytes(&self, _head: &Parts) -> usize {
            10
        }

        async fn answer(&self, _head: Parts, body: Bytes) -> Answer {
            if body == "wait" {
                self.began.notify_one();
                self.go_on.notified().await;
            }
            Response::new(Full::new(body))
        }

        fn refuse(&self, status: StatusCode, text: String) -> Answer {
            let mut answer = Response::new(Full::from(text));
            *answer.status_mut() = status;
            answer
        }
    }

    fn echo() -> (Endpoint, Arc<Echo>, SocketAddr) {
        let site = Arc::new(Echo { go_on: tokio::sync::Notify::new(), began: tokio::sync::Notify::new() });
        let endpoint = Endpoint::start("127.0.0.1:0", &site).unwrap();
        let address = endpoint.addresses()[0];
        (endpoint, site, address)
    }

    #[test]
    fn a_connection_may_ask_again_where_that_is_allowed() {
        let (_endpoint, _site, address) = echo();
        let once = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
        let last = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nxyz";
        let answers = ask(address, format!("{once}{last}").as_bytes());
        assert!(answers.contains("\r\n\r\nabcHTTP/1.1 200 OK") && answers.ends_with("xyz"), "{answers}");
    }

    #[test]
    fn a_body_of_more_bytes_than_it_may_have_is_refused() {
        let (_endpoint, _site, address) = echo();
        let stated = "Content-Length: 11\r\n\r\nabcdefghijk";
        let unstated = "Transfer-Encoding: chunked\r\n\r\nb\r\nabcdefghijk\r\n0\r\n\r\n";
        for body in [stated, unstated] {
            let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
            let answer = ask(address, format!("{head}{body}").as_bytes());
            assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("may have 10 bytes"), "{answer}");
        }
    }

    #[test]
    fn a_body_that_does_not_come_is_not_waited_for() {
        let (_endpoint, _site, address) = echo();
        let answer = ask(address, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }

    #[test]
    fn an_endpoint_that_finishes_answers_what_is_there_and_takes_no_more() {
        let (endpoint, site, address) = echo();
        let mut idle = connect(address);
        let mut client = connect(address);
        client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwait").unwrap();
        endpoint.runtime.block_on(site.began.notified());
        let finishing = std::thread::spawn(move || endpoint.finish());
        assert!(read(&mut idle).is_empty(), "who asks nothing is cut off");
        assert!(!finishing.is_finished(), "there is a request without an answer");
        site.go_on.notify_one();
        assert!(read(&mut client).ends_with("wait"));
        finishing.join().unwrap();
        TcpStream::connect(address).unwrap_err();
    }

    #[test]
    fn whoever_waits_for_an_answer_is_not_pushed_out() {
        let (_endpoint, site, address) = echo();
        let mut client = connect(address);
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nwait")
            .unwrap();
        let waiter = Builder::new_current_thread().build().unwrap();
        waiter.block_on(site.began.notified());
        let others: Vec<_> = (0..2 * MOST_CONNECTIONS).map(|_| connect(address)).collect();
        site.go_on.notify_one();
        assert!(read(&mut client).ends_with("wait"));
        drop(others);
    }
}
