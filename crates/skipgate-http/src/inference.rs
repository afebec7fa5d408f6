//! The paths of the Open Inference Protocol v2.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};
use skipgate_runtime as runtime;
use skipgate_workload::{Outcome, Processed, Request};

use crate::decode::{Decoded, decode};
use crate::encode::{Encoded, Model, VERSION, encode};
use crate::endpoint::{Answer, Site};
use crate::error::Refusal;
use crate::metrics;
use crate::numbers::Shared;
use crate::sessions::Sessions;

/// How many bytes of a body are JSON.
const HEADER_LENGTH: &str = "inference-header-content-length";
const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";
/// Bytes of a request that are not elements: names, shapes, parameters.
const MOST_OTHER_BYTES: usize = 64 << 10;
/// Bytes of an element in JSON: the longest decimal number that programs write for one, with what separates it from the next.
const MOST_ELEMENT_BYTES: usize = 32;

/// One model, served by the protocol, with its numbers beside it.
#[derive(Debug)]
pub struct Inference {
    model: Model,
    sessions: Sessions,
    numbers: Shared,
    ready: AtomicBool,
    started: Instant,
    most_body_bytes: usize,
}

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Server,
    Live,
    Ready,
    Model,
    ModelReady,
    Infer,
    Metrics,
    /// A model of another name or version.
    OtherModel,
    Nowhere,
}

impl Inference {
    /// Serves `model` by `sessions`, and adds what becomes of requests to `numbers`.
    pub fn new(model: Model, sessions: Sessions, numbers: Shared) -> Self {
        let elements = model.manifest().inputs().iter().map(|input| input.elements().unwrap_or_default());
        let elements = elements.fold(0usize, usize::saturating_add);
        let most_body_bytes = elements.saturating_mul(MOST_ELEMENT_BYTES).saturating_add(MOST_OTHER_BYTES);
        let (ready, started) = (AtomicBool::new(true), Instant::now());
        Self { model, sessions, numbers, ready, started, most_body_bytes }
    }

    /// Says from now on that it is not ready, so that nobody sends more requests. Those that come are answered still.
    pub fn leave(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }

    fn place(&self, path: &str) -> Place {
        let parts: Vec<_> = path.split('/').skip(1).collect();
        match parts[..] {
            ["v2"] => Place::Server,
            ["v2", "health", "live"] => Place::Live,
            ["v2", "health", "ready"] => Place::Ready,
            ["metrics"] => Place::Metrics,
            ["v2", "models", name, "versions", version, ref rest @ ..] => {
                place_of_model(name == self.model.name() && version == VERSION, rest)
            }
            ["v2", "models", name, ref rest @ ..] => place_of_model(name == self.model.name(), rest),
            _ => Place::Nowhere,
        }
    }

    /// Whether it is ready, beside what else is told.
    fn health(&self, mut told: Value) -> Answer {
        let ready = self.ready.load(Ordering::Relaxed);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        told["ready"] = ready.into();
        json_answer(status, &told)
    }

    /// Answers an inference request, and counts it.
    async fn infer(&self, head: &Parts, body: &[u8]) -> Answer {
        match self.run(head, body).await {
            Ok(answer) => answer,
            Err(refusal) => {
                self.count(&refusal);
                let mut answer = error(refusal.status(), &refusal.to_string());
                if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                }
                answer
            }
        }
    }

    async fn run(&self, head: &Parts, body: &[u8]) -> Result<Answer, Refusal> {
        if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Refusal::Encoding);
        }
        let length = head.headers.get(HEADER_LENGTH).map(|length| String::from_utf8_lossy(length.as_bytes()));
        let Decoded { request, asked } = decode(body, length.as_deref(), self.model.manifest())?;
        let (arrived, deadline) = (self.started.elapsed(), request.deadline);
        let reply = self.sessions.ask(request).await?;
        let encoded = encode(&asked, &reply, &self.model)?;
        let took = reply.ended.saturating_sub(reply.arrived);
        let processed = Processed {
            configuration: reply.configuration,
            began: arrived + reply.began.saturating_sub(reply.arrived),
            ended: arrived + took,
            correct: None,
        };
        self.add(&Request { arrived, deadline, outcome: Outcome::Processed(processed) });
        match deadline.filter(|deadline| took > *deadline) {
            Some(deadline) => Err(Refusal::Late { took, deadline }),
            None => Ok(encoded_answer(encoded)),
        }
    }

    fn add(&self, request: &Request) {
        // No answer is known to be right.
        self.numbers.with(|numbers| numbers.tally.add(request, 0.0));
    }

    /// Counts a request that has no answer.
    fn count(&self, refusal: &Refusal) {
        match refusal {
            // It was processed, and is counted.
            Refusal::Late { .. } => {}
            Refusal::Full { .. } | Refusal::Dropped | Refusal::Run(runtime::Error::TooLate { .. }) => {
                let arrived = self.started.elapsed();
                self.add(&Request { arrived, deadline: None, outcome: Outcome::Dropped });
            }
            // It ended for good, and requests would still be sent to it.
            Refusal::Stopped => {
                self.leave();
                self.numbers.with(|numbers| numbers.failed += 1);
            }
            _ if refusal.status().is_client_error() => self.numbers.with(|numbers| numbers.refused += 1),
            _ => self.numbers.with(|numbers| numbers.failed += 1),
        }
    }
}

/// What stands behind the name, or the name and the version, of a model.
fn place_of_model(is_ours: bool, rest: &[&str]) -> Place {
    match rest {
        _ if !is_ours => Place::OtherModel,
        [] => Place::Model,
        ["ready"] => Place::ModelReady,
        ["infer"] => Place::Infer,
        _ => Place::Nowhere,
    }
}

impl Site for Inference {
    const KEEP_ALIVE: bool = true;

    fn most_body_bytes(&self, head: &Parts) -> usize {
        let infers = head.method == Method::POST && self.place(head.uri.path()) == Place::Infer;
        if infers { self.most_body_bytes } else { 0 }
    }

    async fn answer(&self, head: Parts, body: Bytes) -> Answer {
        let place = self.place(head.uri.path());
        let methods: &[Method] = match place {
            Place::Infer => &[Method::POST],
            _ => &[Method::GET, Method::HEAD],
        };
        match place {
            Place::Nowhere => {
                error(StatusCode::NOT_FOUND, "there is nothing at this path; see /v2 and /metrics")
            }
            Place::OtherModel => {
                let name = self.model.name();
                let text = format!("the only model here is `{name}`, version {VERSION}: /v2/models/{name}");
                error(StatusCode::NOT_FOUND, &text)
            }
            _ if !methods.contains(&head.method) => not_allowed(methods),
            Place::Server => json_answer(StatusCode::OK, &server()),
            Place::Live => json_answer(StatusCode::OK, &json!({"live": true})),
            Place::Ready => self.health(json!({})),
            Place::Model => json_answer(StatusCode::OK, &self.model.metadata()),
            Place::ModelReady => self.health(json!({"name": self.model.name()})),
            Place::Infer => self.infer(&head, &body).await,
            Place::Metrics => {
                let text = self.numbers.with(|numbers| metrics::text(numbers));
                answer(StatusCode::OK, metrics::CONTENT, text.into())
            }
        }
    }

    fn refuse(&self, status: StatusCode, text: String) -> Answer {
        self.numbers.with(|numbers| numbers.refused += 1);
        error(status, &text)
    }
}

fn encoded_answer(encoded: Encoded) -> Answer {
    let Some(length) = encoded.header_length else {
        return answer(StatusCode::OK, JSON, encoded.body.into());
    };
    let mut answer = answer(StatusCode::OK, BINARY, encoded.body.into());
    answer.headers_mut().insert(HEADER_LENGTH, length.into());
    answer
}

/// What is told of the server.
fn server() -> Value {
    json!({"name": "skipgate", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"]})
}

fn not_allowed(methods: &[Method]) -> Answer {
    let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, &format!("use {}", methods.join(" or ")));
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        answer.headers_mut().insert(ALLOW, methods);
    }
    answer
}

fn error(status: StatusCode, text: &str) -> Answer {
    json_answer(status, &json!({"error": text}))
}

fn json_answer(status: StatusCode, value: &Value) -> Answer {
    answer(status, JSON, value.to_string().into())
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use hyper::http::response;
    use skipgate_workload::Tally;
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::fixture::manifest;

    /// The model `net` without a session.
    fn site() -> (Inference, Shared) {
        let model = Model::new("net", manifest(), vec!["11".parse().unwrap()]).unwrap();
        let numbers = Shared::new(Tally::new(Duration::from_millis(1)), false);
        (Inference::new(model, Sessions::new(vec![], 1), numbers.clone()), numbers)
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    fn ask(
        site: &Inference,
        method: Method,
        path: &str,
        body: &'static [u8],
    ) -> (u16, response::Parts, String) {
        let (head, ()) = hyper::Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
        runtime().block_on(async {
            let (head, body) = site.answer(head, Bytes::from_static(body)).await.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            (head.status.as_u16(), head, String::from_utf8(body.to_vec()).unwrap())
        })
    }

    #[test]
    fn every_path_of_the_protocol_is_there_with_and_without_the_version() {
        let (site, _) = site();
        for path in ["/v2", "/v2/health/live", "/v2/health/ready", "/metrics", "/v2/models/net?x=1"] {
            assert_eq!(ask(&site, Method::GET, path, b"").0, 200, "{path}");
        }
        for rest in ["", "/ready"] {
            for version in ["", "/versions/1"] {
                let path = format!("/v2/models/net{version}{rest}");
                assert_eq!(ask(&site, Method::GET, &path, b"").0, 200, "{path}");
            }
        }
        for path in [
            "/",
            "/v2/",
            "/v2/models",
            "/v2/models/net/",
            "/v2/models/net/versions/2",
            "/v2/models/other/ready",
            "/v1",
            "/v2/models/net/ready/infer",
        ] {
            let (status, _, text) = ask(&site, Method::GET, path, b"");
            assert!(status == 404 && text.starts_with(r#"{"error":"#), "{path}: {text}");
        }
    }

    #[test]
    fn other_methods_are_refused_and_told_which_ones_there_are() {
        let (site, _) = site();
        let (status, head, _) = ask(&site, Method::GET, "/v2/models/net/infer", b"");
        assert_eq!((status, &head.headers[ALLOW]), (405, &HeaderValue::from_static("POST")));
        let (status, head, _) = ask(&site, Method::POST, "/v2/models/net", b"");
        assert_eq!((status, &head.headers[ALLOW]), (405, &HeaderValue::from_static("GET, HEAD")));
    }

    #[test]
    fn a_site_that_leaves_is_alive_but_not_ready() {
        let (site, _) = site();
        site.leave();
        assert_eq!(ask(&site, Method::GET, "/v2/health/live", b"").0, 200);
        for path in ["/v2/health/ready", "/v2/models/net/ready"] {
            let (status, _, text) = ask(&site, Method::GET, path, b"");
            assert!(status == 503 && text.contains(r#""ready":false"#), "{text}");
        }
    }

    #[test]
    fn a_session_that_ended_is_a_failure_of_ours_and_no_more_requests_are_wanted() {
        let (site, numbers) = site();
        let body = crate::decode::tests::request().to_string().into_bytes().leak();
        let (status, _, text) = ask(&site, Method::POST, "/v2/models/net/infer", body);
        assert!(status == 500 && text.contains("ended before it answered"), "{text}");
        assert_eq!(numbers.with(|numbers| (numbers.refused, numbers.failed)), (0, 1));
        assert_eq!(ask(&site, Method::GET, "/v2/health/ready", b"").0, 503);
    }

    #[test]
    fn what_is_refused_is_counted_and_bodies_are_read_for_inference_alone() {
        let (site, numbers) = site();
        for body in [&b""[..], b"{}", b"\xff", b"[[[[[["] {
            assert_eq!(ask(&site, Method::POST, "/v2/models/net/infer", body).0, 400);
        }
        assert_eq!(numbers.with(|numbers| (numbers.refused, numbers.failed)), (4, 0));
        let most = |method, path| {
            let (head, ()) =
                hyper::Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
            Site::most_body_bytes(&site, &head)
        };
        // Two elements of seven types.
        assert_eq!(most(Method::POST, "/v2/models/net/infer"), 14 * MOST_ELEMENT_BYTES + MOST_OTHER_BYTES);
        assert_eq!(most(Method::GET, "/v2/models/net/infer") + most(Method::POST, "/v2/models/net"), 0);
    }
}
