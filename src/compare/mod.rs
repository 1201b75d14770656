//! `gpugan compare`: trains several presets on the same data with several seeds
//! and tells what came out, in one table.

mod outcome;
mod table;

use crate::config::Override;
use crate::config::options::CompareOptions;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::run::progress::Progress;
use crate::run::stop;
use crate::store::replace::replace;

pub use outcome::{Entry, Outcome};
pub use table::table;

/// Trains, measures and tells as asked. Runs of the same configuration that lie
/// in the folder already are not trained again.
///
/// # Errors
/// [`Error::Usage`] where a metric needs a classifier and there is none; whatever stops a
/// training, but for one that diverges or is ended for its health.
pub fn run(options: &CompareOptions) -> Result<()> {
    let mut progress = Progress::new(options.quiet);
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    // What cannot be measured is refused now, not after hours of training.
    let entries = options
        .configs
        .iter()
        .map(|config| Entry::new(config, options));
    let mut entries = entries.collect::<Result<Vec<_>>>()?;
    let count = entries.len() as u64 * options.seeds;
    let mut number = 0;
    // A seed of all presets before the next seed, so that half of the work
    // compares all of them.
    for seed in 0..options.seeds {
        for (entry, config) in entries.iter_mut().zip(&options.configs) {
            number += 1;
            progress.line(&format!(
                "training {number} of {count}: {}, seed {seed}",
                config.preset
            ))?;
            // No more seeds than fit.
            let config = config.with([Override::new("seed", seed as i64)])?;
            let outcome = outcome::of(options, config)?;
            if stop::asked() {
                return progress.line("stopped; the same command continues from here");
            }
            entry.runs.push(outcome);
        }
    }
    for (entry, config) in entries.iter_mut().zip(&options.configs) {
        progress.line(&format!("timing {}", config.preset))?;
        entry.sec_per_update = outcome::time(&gpu, config, entry.channels)?;
    }
    outcome::picture(&gpu, &entries, &options.outdir.join("compare.png"))?;
    gpu.save_pipeline_cache();
    let text = table(&entries);
    let json = serde_json::to_string_pretty(&entries)
        .map_err(|e| Error::usage(e.to_string(), "report this as a bug"))?;
    for (name, text) in [("compare.md", &text), ("compare.json", &(json + "\n"))] {
        replace(&options.outdir.join(name), |out| {
            std::io::Write::write_all(out, text.as_bytes())
        })?;
    }
    crate::console::print(&text)?;
    progress.line(&format!("-> {}/compare.*", options.outdir.display()))
}
