//! What an adapter can do and what our kernels get out of it: its ceilings,
//! every kernel family on the shapes of real networks, whole training steps.

mod ceiling;
mod compare;
mod emit;
mod kernels;
mod measure;
mod report;
mod scaling;
mod step;
mod tune;

use crate::config::options::{BenchOptions, BenchWhat};
use crate::console::{counted, print};
use crate::error::Result;
use crate::gpu::{Gpu, Selector};

pub use ceiling::Ceilings;
pub use compare::{beside, compare};
pub use emit::emit;
pub use kernels::{names, run_kernels};
pub use measure::{Timer, Times};
pub use report::Row;
pub use scaling::{Point, measure_scaling};
pub use step::{StepFigures, measure_step};
pub use tune::{Contest, tune};

/// Measures what is asked for and prints it.
///
/// # Errors
/// [`crate::Error::Usage`] where no case has such a name or a file to compare
/// with cannot be understood, [`crate::Error::Io`] where a file cannot be read
/// or written, [`crate::Error::Gpu`] where the device failed.
pub fn run(options: &BenchOptions) -> Result<()> {
    if options.list {
        return print(&(names().join("\n") + "\n"));
    }
    if let BenchWhat::Kernels(words) = &options.what {
        kernels::check_words(words)?;
    }
    let earlier = match &options.compare[..] {
        [first, second] => {
            let [first, second] = [report::read(first)?, report::read(second)?];
            return print(&beside([&first, &second]));
        }
        files => files.first().map(|path| report::read(path)).transpose()?,
    };
    if let Some(path) = &options.save {
        report::check_place(path, "--save")?;
    }
    if let (BenchWhat::Scaling(_, path), None) = (&options.what, &options.emit) {
        report::check_place(path, "--plot")?;
    }
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    if let Some(folder) = &options.emit {
        let recordings = match &options.what {
            BenchWhat::Kernels(words) => kernels::recordings(&gpu.facts.kernel_facts(), words)?,
            BenchWhat::Step(config) | BenchWhat::Tune(config) | BenchWhat::Scaling(config, _) => {
                emit::of_run(&gpu.facts, config)?
            }
        };
        let kernels = counted(emit(folder, &recordings)?, "kernels");
        return print(&format!("{kernels} -> {}\n", folder.display()));
    }
    if !options.json {
        print(&format!(
            "{}\n{}; timed by {}\n\n",
            gpu.facts,
            gpu.facts.driver_and_version(),
            Timer::of(&gpu)
        ))?;
    }
    let mut rows = Vec::new();
    let mut show = |row: Row| -> Result<()> {
        let row = row.on(&gpu);
        print(&if options.json {
            row.json() + "\n"
        } else {
            row.line() + "\n"
        })?;
        rows.push(row);
        Ok(())
    };
    match &options.what {
        BenchWhat::Kernels(words) => {
            if !options.json {
                print(&report::header())?;
            }
            let ceilings = Ceilings::measure(&gpu)?;
            for row in ceilings.rows() {
                show(row)?;
            }
            run_kernels(&gpu, &ceilings, words, &mut show)?;
        }
        BenchWhat::Step(config) => {
            let figures = measure_step(&gpu, config)?;
            if !options.json {
                print(&figures.text())?;
            }
            if !options.json {
                print(&report::header())?;
            }
            for row in figures.rows() {
                show(row)?;
            }
        }
        BenchWhat::Tune(config) => {
            let mut wrong = 0;
            let tuned = tune(&gpu, config, &mut |contest| {
                wrong += contest.wrong.len();
                print(&if options.json {
                    serde_json::json!(contest).to_string() + "\n"
                } else {
                    tune::line(contest)
                })
            })?;
            let path = gpu.save_tuned(&tuned)?;
            if !options.json {
                print(&format!("saved to {}\n", path.display()))?;
            }
            tune::verdict(&gpu, wrong)?;
        }
        BenchWhat::Scaling(config, png) => {
            let points = measure_scaling(&gpu, config)?;
            if !options.json {
                print(&scaling::text(&points))?;
            }
            scaling::plot(&points, png)?;
            let mut points = points.iter().map(|point| point.row());
            if options.json {
                points.try_for_each(show)?;
            } else {
                // The table above has them.
                rows.extend(points.map(|row| row.on(&gpu)));
            }
        }
    }
    gpu.save_pipeline_cache();
    if let Some(path) = &options.save {
        report::write(path, &rows)?;
    }
    if let Some(earlier) = earlier {
        print(&compare(&earlier, &rows))?;
    }
    Ok(())
}
