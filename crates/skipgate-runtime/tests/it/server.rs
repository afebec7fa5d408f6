//! What a server accepts, drops and answers.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use skipgate_runtime::controller::{Controller, Fixed, Level, Levels, Queueing};
use skipgate_runtime::{
    Choice, Device, Error, Hint as _, Reply, Request, Server, ServerOptions, SkipMask, Submission, Ticket,
    Values,
};

use crate::fixture::{Fixture, IMAGE, expected};

const OPTIONS: ServerOptions = ServerOptions { device: Device::local_sync(), cpu: None };

fn masks() -> Vec<SkipMask> {
    ["11", "01", "00"].map(|text| text.parse().unwrap()).into()
}

fn start(controller: impl Controller + Send + 'static) -> Server {
    Server::start(&Fixture::gated().open(), masks(), Box::new(controller), OPTIONS).unwrap()
}

fn image() -> Arc<[f32]> {
    Arc::from(IMAGE)
}

fn accepted(submission: Submission) -> Ticket {
    match submission {
        Submission::Accepted(ticket) => ticket,
        Submission::Dropped => panic!("dropped"),
    }
}

/// Holds the server up in its first request until it is told to go on.
struct Held {
    controller: Queueing,
    begun: mpsc::Sender<()>,
    go_on: Option<mpsc::Receiver<()>>,
}

impl Held {
    fn new(room: usize) -> (Self, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let level = Level::new(0.9, Duration::from_secs(60), Duration::from_secs(60));
        let levels = Levels::new(vec![level; 3], 0.0).unwrap();
        let controller = Queueing::new(levels, Duration::from_secs(60), room);
        let ((begun, begins), (go, go_on)) = (mpsc::channel(), mpsc::channel());
        (Self { controller, begun, go_on: Some(go_on) }, begins, go)
    }
}

impl Controller for Held {
    fn admit(&mut self, now: Duration, waiting: usize) -> bool {
        self.controller.admit(now, waiting)
    }

    fn choose(&mut self, now: Duration, arrived: Duration, waiting: usize) -> usize {
        let configuration = self.controller.choose(now, arrived, waiting);
        if let Some(go_on) = self.go_on.take() {
            // Requests wait for the lock meanwhile, so they find the device busy.
            self.begun.send(()).unwrap();
            go_on.recv().unwrap();
        }
        configuration
    }

    fn finished(&mut self, configuration: usize, took: Duration) {
        self.controller.finished(configuration, took);
    }
}

#[test]
fn answers_are_those_of_the_configuration_that_the_controller_chose() {
    for (number, mask) in masks().into_iter().enumerate() {
        let answer = accepted(start(Fixed(number)).submit(image()).unwrap()).wait().unwrap();
        assert_eq!((answer.configuration, answer.logits.as_slice()), (number, &expected(&IMAGE, &mask)[..]));
        assert!(answer.arrived <= answer.began && answer.began <= answer.ended);
    }
}

/// What becomes of a request that is kept.
fn replied(server: &Server, request: Request) -> Result<Reply, Error> {
    let (sender, reply) = mpsc::channel();
    assert!(server.request(request, move |reply| sender.send(reply).unwrap())?);
    reply.recv().unwrap()
}

fn request(choice: Choice) -> Request {
    Request { inputs: vec![IMAGE.to_vec().into()], choice, deadline: None }
}

#[test]
fn a_request_may_choose_its_configuration_or_any_mask() {
    let server = start(Fixed(1));
    let mask = |text: &str| text.parse::<SkipMask>().unwrap();
    for (choice, ran, number) in [
        (Choice::Controller, mask("01"), Some(1)),
        (Choice::Configuration(2), mask("00"), Some(2)),
        (Choice::Mask(mask("11")), mask("11"), Some(0)),
        (Choice::Mask(mask("10")), mask("10"), None),
    ] {
        let reply = replied(&server, request(choice)).unwrap();
        assert_eq!(reply.outputs, [Values::from(expected(&IMAGE, &ran))]);
        assert_eq!((reply.mask, reply.configuration), (ran, number));
    }
    let refused = |choice| replied(&server, request(choice)).unwrap_err().to_string();
    assert_eq!(
        refused(Choice::Configuration(3)),
        "there is no configuration 3, there are 3, numbered from 0"
    );
    assert_eq!(refused(Choice::Mask(mask("1"))), "the mask has 1 entries, the model has 2 gates");
}

#[test]
fn tensors_of_every_type_are_requested_of_networks_without_gates() {
    let artifact = Fixture::types().open();
    let server = Server::start(&artifact, vec![SkipMask::all_run(0)], Box::new(Fixed(0)), OPTIONS).unwrap();
    let zeros = |spec: &skipgate_runtime::TensorSpec| {
        Values::zeros(spec.element_type, spec.elements().unwrap_or_default())
    };
    let inputs: Vec<_> = artifact.manifest().inputs().iter().map(zeros).collect();
    let all = Request { inputs: inputs.clone(), choice: Choice::Controller, deadline: None };
    let reply = replied(&server, all.clone()).unwrap();
    assert_eq!(reply.outputs[..6], inputs[..6], "twice nothing");
    assert_eq!(reply.outputs[6], vec![true; 300].into());
    let few = Request { inputs: inputs[1..].to_vec(), ..all.clone() };
    assert!(matches!(replied(&server, few), Err(Error::Inputs { .. })));
    let mut swapped = all.clone();
    swapped.inputs.swap(0, 1);
    assert!(matches!(replied(&server, swapped), Err(Error::Input { .. })));
    replied(&server, all).unwrap();
    let error = server.submit(image()).unwrap_err();
    assert!(matches!(error, Error::NotOneF32(_)), "{error}");
}

#[test]
fn a_request_whose_deadline_is_over_is_not_run() {
    let server = start(Queueing::new(
        Levels::new(vec![Level::new(0.9, Duration::ZERO, Duration::ZERO); 3], 0.0).unwrap(),
        Duration::ZERO,
        1,
    ));
    let late = Request { deadline: Some(Duration::ZERO), ..request(Choice::Controller) };
    assert!(matches!(replied(&server, late.clone()), Err(Error::TooLate { .. })));
    let early = Request { deadline: Some(Duration::from_secs(3600)), ..late };
    replied(&server, early).unwrap();
}

#[test]
fn requests_of_many_threads_are_all_answered_or_dropped() {
    let server = start(Fixed(1));
    let answered: usize = thread::scope(|scope| {
        let client = || {
            let mut answered = 0;
            for _ in 0..50 {
                if let Submission::Accepted(ticket) = server.submit(image()).unwrap() {
                    ticket.wait().unwrap();
                    answered += 1;
                }
            }
            answered
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!((1..=200).contains(&answered));
}

#[test]
fn what_was_accepted_is_answered_though_the_server_is_dropped() {
    let (held, begun, go) = Held::new(2);
    let server = start(held);
    let first = accepted(server.submit(image()).unwrap());
    begun.recv().unwrap();
    go.send(()).unwrap();
    // It may be through by now; up to two more wait.
    let more: Vec<_> = (0..2).map(|_| accepted(server.submit(image()).unwrap())).collect();
    drop(server);
    for ticket in [first].into_iter().chain(more) {
        ticket.wait().unwrap();
    }
}

#[test]
fn an_image_of_another_length_is_refused_and_the_server_goes_on() {
    let server = start(Fixed(0));
    let error = server.submit(Arc::from([1.0; 3])).unwrap_err();
    assert!(matches!(error, Error::Input { found: 3, .. }), "{error}");
    accepted(server.submit(image()).unwrap()).wait().unwrap();
}

#[test]
fn a_configuration_that_does_not_exist_is_an_error_of_its_request() {
    let server = start(Fixed(3));
    let error = accepted(server.submit(image()).unwrap()).wait().unwrap_err();
    assert_eq!(error.to_string(), "the controller chose configuration 3, there are 3");
}

#[test]
fn a_mask_of_another_length_and_a_core_that_does_not_exist_are_refused() {
    let artifact = Fixture::gated().open();
    let masks = vec!["101".parse().unwrap()];
    let error = Server::start(&artifact, masks, Box::new(Fixed(0)), OPTIONS).unwrap_err();
    assert!(matches!(error, Error::Mask(_)), "{error}");
    for cpu in [1000, usize::MAX] {
        let options = ServerOptions { cpu: Some(cpu), ..OPTIONS };
        let error = Server::start(&artifact, self::masks(), Box::new(Fixed(0)), options).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot pin the server to core {cpu}: ")), "{error}");
        assert!(error.hint().unwrap().contains("taskset"));
    }
}

#[test]
fn a_controller_that_panics_leaves_nobody_waiting() {
    struct Panics;
    impl Controller for Panics {
        fn admit(&mut self, _now: Duration, _waiting: usize) -> bool {
            true
        }
        fn choose(&mut self, _now: Duration, _arrived: Duration, _waiting: usize) -> usize {
            panic!("as a user's controller may")
        }
        fn finished(&mut self, _configuration: usize, _took: Duration) {}
    }
    let server = start(Panics);
    let error = accepted(server.submit(image()).unwrap()).wait().unwrap_err();
    assert!(matches!(error, Error::ServerStopped), "{error}");
}
