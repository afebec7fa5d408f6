//! Times every single skip of an artifact, step by step: `explained DIR`. `terse.rs` is the short form.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use skipgate_runtime::{Artifact, Device, Error, Hint, Session, SkipMask};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: explained DIR");
        return ExitCode::from(2);
    };
    match time_skips(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // An error says what happened, its hint what to do next.
            eprintln!("error: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn time_skips(path: &str) -> Result<(), Error> {
    // 1. Open the artifact. Version, target and hash are checked here, so a mistake shows before any code runs. The
    //    code is mapped, not copied: threads and clones share one copy.
    let model = Artifact::open(path)?;

    // 2. Make a session: one per thread, made once and kept. With `local_sync` the calling thread does all the work, so
    //    pinning this thread to a core pins the inference.
    let mut session = Session::new(&model, Device::local_sync())?;

    // 3. Prepare the image as the manifest's `preprocessing` says. Grey will do here.
    let image = vec![0.0; model.manifest().image()?.elements().unwrap_or_default()];

    // 4. The first call touches every page of code and weights for the first time; leave it out of measurements.
    let all = SkipMask::all_run(model.gates().len());
    session.run(&image, &all)?;
    println!("{:>10.3?}  every block runs", time(&mut session, &image, &all)?);

    // 5. Masks are plain values: choose another one at every call, nothing is compiled or loaded again.
    for (index, gate) in model.gates().iter().enumerate() {
        let mask = SkipMask::skipping(model.gates().len(), &[index])?;
        println!("{:>10.3?}  without `{}`", time(&mut session, &image, &mask)?, gate.block);
    }
    Ok(())
}

/// The shortest of some calls: everything else on the machine only makes them longer.
fn time(session: &mut Session, image: &[f32], mask: &SkipMask) -> Result<Duration, Error> {
    let mut shortest = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        session.run(image, mask)?;
        shortest = shortest.min(start.elapsed());
    }
    Ok(shortest)
}
