//! A camera that takes a picture every so often: as many blocks are skipped as it takes to keep up with it, and frames that
//! could not be in time are dropped; when frames come more slowly, fewer blocks are skipped again.
//!
//! ```sh
//! cargo run --release --package skipgate-runtime --example camera -- build/resnet20-host 2
//! ```

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use skipgate_core::{Front, PARETO_FILE};
use skipgate_runtime::controller::{KeepUp, Level, Levels};
use skipgate_runtime::{Artifact, Device, Server, ServerOptions, Session, Submission};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(ms)) = (arguments.next(), arguments.next()) else {
        return Err("usage: camera ARTIFACT MILLISECONDS-BETWEEN-FRAMES".into());
    };
    let (artifact, period) = (Artifact::open(&dir)?, Duration::from_millis(ms.parse()?));
    let front = Front::from_json(&fs_err::read_to_string(format!("{dir}/{PARETO_FILE}"))?)?;

    // What each configuration of the front costs on this machine.
    let frame: Arc<[f32]> = vec![0.5; artifact.manifest().image()?.elements().unwrap_or_default()].into();
    let mut session = Session::new(&artifact, Device::local_sync())?;
    let mut levels = Vec::new();
    for configuration in &front.configurations {
        session.run(&frame, &configuration.mask)?;
        let start = Instant::now();
        session.run(&frame, &configuration.mask)?;
        let took = start.elapsed();
        levels.push(Level::new(configuration.accuracy.unwrap_or_default(), took, took));
    }
    let slowest = levels.first().map_or(Duration::ZERO, |level| level.median);

    let controller = KeepUp::new(&Levels::new(levels, 0.5)?, 2 * slowest);
    let masks = front.configurations.into_iter().map(|configuration| configuration.mask).collect();
    let options = ServerOptions { device: Device::local_sync(), cpu: None };
    let server = Server::start(&artifact, masks, Box::new(controller), options)?;
    for number in 0..50 {
        // The picture of this moment would be taken here.
        match server.submit(Arc::clone(&frame))? {
            Submission::Dropped => println!("frame {number}: dropped"),
            Submission::Accepted(ticket) => {
                // Its answer comes while the camera takes the next picture.
                thread::spawn(move || match ticket.wait() {
                    Ok(answer) => println!("frame {number}: configuration {}", answer.configuration),
                    Err(error) => eprintln!("frame {number}: {error}"),
                });
            }
        }
        thread::sleep(period);
    }
    Ok(())
}
