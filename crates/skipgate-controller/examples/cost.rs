//! What a controller costs per request: `cargo run --release --package skipgate-controller --example cost`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use skipgate_controller::{
    Controller, Deadline, Error, KeepUp, Level, Levels, Percentile, Queueing, Stepwise,
};

const REQUESTS: u32 = 10_000_000;

fn main() -> Result<(), Error> {
    let level = |number: u32| {
        let latency = Duration::from_micros(u64::from(5000 - 150 * number));
        Level::new(0.9 - 0.005 * f64::from(number), latency, latency)
    };
    let levels = Levels::new((0..32).map(level).collect(), 0.7)?;
    let idle = Duration::from_millis(5);
    let controllers: [(&str, Box<dyn Controller>); 5] = [
        ("keep-up", Box::new(KeepUp::new(&levels, 2 * idle))),
        ("percentile", Box::new(Percentile::new(&levels, 2 * idle))),
        ("stepwise", Box::new(Stepwise::new(levels.clone(), idle))),
        ("queueing", Box::new(Queueing::new(levels.clone(), idle, 4))),
        ("deadline", Box::new(Deadline::new(levels, Duration::from_millis(4)))),
    ];
    println!("32 configurations, nanoseconds per request");
    for (name, mut controller) in controllers {
        let start = Instant::now();
        for request in 0..REQUESTS {
            let now = Duration::from_micros(4000 * u64::from(request));
            if controller.admit(now, black_box(usize::from(request % 3 == 0))) {
                let configuration = black_box(controller.choose(now, now, 0));
                controller.finished(configuration, Duration::from_micros(4200));
            }
        }
        println!("{name:10} {:6.1}", start.elapsed().as_nanos() as f64 / f64::from(REQUESTS));
    }
    Ok(())
}
