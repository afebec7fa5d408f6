//! Runs an artifact on a grey image with every block: `terse DIR`. `explained.rs` is the same with reasons.

use skipgate_runtime::{Artifact, Device, Error, Session, SkipMask};

fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "artifact".to_owned());
    let model = Artifact::open(path)?;
    let mut session = Session::new(&model, Device::local_sync())?;
    let image = vec![0.5; model.manifest().image()?.elements().unwrap_or_default()];
    let logits = session.run(&image, &SkipMask::all_run(model.gates().len()))?;
    println!("{logits:?}");
    Ok(())
}
