//! Time of whole training steps (one discriminator and one generator update):
//! `cargo bench -- [PRESET [BATCH]]`.

use std::time::Instant;

use gpugan::Result;
use gpugan::config::{Config, presets};
use gpugan::gpu::{Gpu, Selector};
use gpugan::models::Model;
use gpugan::train::memory::mebibytes;
use gpugan::train::session::{Blueprint, Session};

/// Steps before the clock starts: drivers compile at the first.
const WARM_UP: usize = 3;
const TIMED: usize = 60;

fn main() -> Result<()> {
    // Cargo adds flags of its own.
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    let mut config = presets::load(words.next().as_deref().unwrap_or(presets::DEFAULT))?;
    if let Some(batch) = words.next().and_then(|word| word.parse().ok()) {
        config = Config { batch, ..config };
    }
    if let Ok(w) = std::env::var("WIDTH") {
        config.model.width = w.parse().unwrap();
    }
    let channels = config.data.channels.unwrap_or(1);
    let gpu = Gpu::open(&Selector::named(
        std::env::var("GPUGAN_ADAPTER").ok().as_deref(),
    ))?;
    let model = Model::new(&config, channels);
    let blueprint = Blueprint::new(&config, &model, &gpu.facts.kernel_facts())?;
    let dispatches: usize = blueprint
        .recordings
        .iter()
        .filter(|(name, _)| *name != "sample")
        .map(|(_, recording)| recording.dispatches().count())
        .sum();
    let bytes = blueprint.memory.total();
    let mut session = Session::new(&gpu, &config, &model, blueprint)?;

    let [c, h, w] = model.image();
    // Times do not depend on what the images show.
    let images: Vec<f32> = (0..config.batch * c * h * w)
        .map(|i| (i as f32 * 0.37).sin())
        .collect();
    let mut seconds = Vec::with_capacity(TIMED);
    for step in 0..WARM_UP + TIMED {
        let start = Instant::now();
        session.discriminator_step(&images)?;
        session.generator_step(Some(&images))?;
        gpu.wait()?;
        if step >= WARM_UP {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    session.prof()?;
    seconds.sort_by(f64::total_cmp);
    println!(
        "{} batch {} on {}: median {:.1} ms, least {:.1} ms a step; {dispatches} dispatches, {} MiB",
        config.preset,
        config.batch,
        gpu.facts,
        1e3 * seconds[TIMED / 2],
        1e3 * seconds[0],
        mebibytes(bytes)
    );
    Ok(())
}
