//! `gpugan apply`: what a trained model makes of images.

mod claims;
mod inputs;
mod model;
mod names;
mod published;
mod scores;

use std::path::{Path, PathBuf};

use image::DynamicImage;

use self::claims::Claims;
use self::inputs::{Inputs, Planes, Truth};
pub use self::model::{Made, Model, Trained};
use self::names::{Names, names};
use self::scores::{Scores, enlarged};
use crate::config::options::ApplyOptions;
use crate::data::{Report, to_floats, to_pixels};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::media::figures;
use crate::media::sheet::{Column, Shelves, sheet};
use crate::run::progress::Progress;
use crate::run::stop;

/// Images that something is said of, at most.
const SAID: usize = 10;

/// Applies a model as asked: writes a picture for each image that can be read, and
/// where asked a sheet of inputs beside outputs, and scores.
///
/// # Errors
/// [`Error::Usage`] for a checkpoint of a system that takes no images, for names that
/// lead to no image, and where none can be used; errors of the device and of writing.
pub fn run(options: &ApplyOptions) -> Result<()> {
    names::check(&options.out)?;
    let trained = Trained::open(
        &options.checkpoint,
        options.preset.as_ref(),
        options.direction.as_deref(),
        options.raw,
    )?;
    let inputs = Inputs::open(&options.inputs, &trained, options.count)?;
    let truth = match &options.truth {
        Some(path) => Some(Truth::open(path, &trained, &inputs)?),
        None => None,
    };
    let mut run = Application::new(options, inputs, truth, Progress::new(options.quiet))?;
    run.overwrite_nothing(trained.path())?;
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    run.scores = Scores::new(trained.scale());
    run.introduce(&trained)?;
    let mut model = Model::new(&gpu, trained, options.tile);
    stop::finishing(&run.progress, "this image");
    run.progress.start(&gpu, 0, run.inputs.len() as u64);
    let outcome = run.all(&mut model);
    run.progress.end();
    gpu.save_pipeline_cache();
    outcome?;
    run.finish(&model)
}

/// An application while it runs.
struct Application<'a> {
    options: &'a ApplyOptions,
    inputs: Inputs,
    truth: Option<Truth>,
    names: Names,
    scores: Scores,
    sheet: Shelves,
    progress: Progress,
    written: usize,
    left_out: usize,
    /// Images that are too large for the sheet.
    unshown: usize,
    /// Lines about single images, of which only the first are shown.
    mentioned: usize,
    /// Why the first image was left out.
    first: Option<Report>,
}

impl<'a> Application<'a> {
    fn new(
        options: &'a ApplyOptions,
        inputs: Inputs,
        truth: Option<Truth>,
        progress: Progress,
    ) -> Result<Self> {
        let names = names(inputs.names().iter().map(|name| &**name));
        let is_file = names::is_file(&options.out);
        if is_file && inputs.len() > 1 {
            return Err(Error::usage(
                format!(
                    "--out {} is a single file, but there are {} images",
                    options.out.display(),
                    inputs.len()
                ),
                "give a folder with --out",
            ));
        }
        Ok(Self {
            options,
            inputs,
            truth,
            names,
            scores: Scores::new(1),
            sheet: Shelves::default(),
            progress,
            written: 0,
            left_out: 0,
            unshown: 0,
            mentioned: 0,
            first: None,
        })
    }

    /// Where an output is written.
    fn output(&self, index: usize) -> PathBuf {
        let out = &self.options.out;
        match names::is_file(out) {
            true => out.clone(),
            false => out.join(&self.names.paths[index]),
        }
    }

    /// Where the scores are written, if there can be any.
    fn table(&self) -> Option<PathBuf> {
        let out = &self.options.out;
        let known = self.truth.is_some() || self.inputs.tell_truth();
        (known && !names::is_file(out)).then(|| out.join(scores::FILE))
    }

    /// That nothing that is written replaces what is read or written besides.
    ///
    /// # Errors
    /// [`Error::Usage`] for what does.
    fn overwrite_nothing(&self, checkpoint: &Path) -> Result<()> {
        let mut claims = Claims::default();
        claims.read(self.inputs.files(), "an input");
        let truths = self.truth.iter().flat_map(Truth::files);
        claims.read(truths, "an expected picture");
        claims.read([checkpoint.to_owned()], "the checkpoint");
        for index in 0..self.inputs.len() {
            claims.write(&self.output(index), "an output", "--out")?;
        }
        if let Some(table) = self.table() {
            claims.write(&table, "the table of scores", "--out")?;
        }
        match &self.options.compare {
            Some(sheet) if sheet.is_dir() => Err(Error::usage(
                format!("--compare {} is a folder", sheet.display()),
                "give a file to write with --compare",
            )),
            Some(sheet) => claims.write(sheet, "the sheet", "--compare"),
            None => Ok(()),
        }
    }

    /// Says what is not to be expected.
    fn introduce(&mut self, trained: &Trained) -> Result<()> {
        for report in self.inputs.left_out().to_vec() {
            self.mention(&format!("left out: {report}"))?;
        }
        if trained.any_size().is_none() && self.inputs.path(0).is_some() {
            let [_, height, width] = trained.of().from;
            let fit = trained.config.value("data.fit");
            let fit = fit
                .as_ref()
                .and_then(|fit| fit.as_str())
                .unwrap_or_default();
            self.progress.line(&format!(
                "this model only takes {width}x{height} pixels: other images are resized as in training (data.fit = {fit})"
            ))?;
        }
        match &self.names.renamed[..] {
            [] => Ok(()),
            [first, others @ ..] => {
                let more = match others.len() {
                    0 => String::new(),
                    count => format!(", and {count} more likewise"),
                };
                let path = self.inputs.path(*first);
                let path = path.unwrap_or_else(|| self.inputs.names()[*first].clone());
                let line = format!(
                    "{} is written as {}, because its name is taken{more}",
                    path.display(),
                    self.names.paths[*first].display()
                );
                self.progress.line(&line)
            }
        }
    }

    fn all(&mut self, model: &mut Model) -> Result<()> {
        for index in 0..self.inputs.len() {
            if stop::asked() {
                return Ok(());
            }
            self.one(model, index)?;
            let name = self.names.paths[index].display().to_string();
            self.progress.advance(name);
        }
        Ok(())
    }

    fn one(&mut self, model: &mut Model, index: usize) -> Result<()> {
        let name = self.inputs.names()[index].clone();
        let (input, known) = match self.inputs.read(index) {
            Ok(read) => read,
            Err(report) => return self.leave_out(report),
        };
        let [_, height, width] = input.shape;
        let floats = to_floats(&input.values);
        let made = model.image(&floats, [height, width], self.options.seed);
        let saved = made.and_then(|made| self.save(index, &made).map(|()| made));
        let made = match saved {
            Ok(made) => made,
            // Of this image alone.
            Err(error @ Error::Usage { .. }) => {
                let path = self.inputs.path(index).unwrap_or_else(|| name.clone());
                let reason = error.to_string();
                return self.leave_out(Report { path, reason });
            }
            Err(error) => return Err(error),
        };
        self.written += 1;
        let truth = match (known, &self.truth) {
            (Some(known), _) => Some(known),
            (None, None) => None,
            (None, Some(truth)) => match truth.of(&name) {
                Ok(truth) => Some(truth),
                Err(report) => {
                    self.mention(&report.to_string())?;
                    None
                }
            },
        };
        self.compare(model, &name, [input, pixels(&made)], truth)
    }

    fn save(&self, index: usize, made: &Made) -> Result<()> {
        let [c, h, w] = made.shape;
        write(
            figures::single(&made.values, [1, c, h, w], 0)?,
            &self.output(index),
        )
    }

    /// Scores an output and adds it to the sheet.
    fn compare(
        &mut self,
        model: &Model,
        name: &Path,
        [input, made]: [Planes; 2],
        truth: Option<Planes>,
    ) -> Result<()> {
        let scale = model.trained().scale();
        let bicubic = (scale > 1).then(|| enlarged(&input, scale));
        if let Some(truth) = &truth {
            let made: Vec<&Planes> = [&made].into_iter().chain(&bicubic).collect();
            if let Err(reason) = self.scores.add(name, truth, &made) {
                self.mention(&format!("{}: {reason}", name.display()))?;
            }
        }
        if self.options.compare.is_none() || self.sheet.is_full() {
            return Ok(());
        }
        let images = [Some(input), bicubic, Some(made), truth];
        let images: Vec<(Vec<f32>, [usize; 3])> = images
            .into_iter()
            .flatten()
            .map(|image| (to_floats(&image.values), image.shape))
            .collect();
        let columns: Vec<Column<'_>> = images
            .iter()
            .map(|(values, shape)| Column {
                values,
                shape: *shape,
            })
            .collect();
        match sheet(&columns, 1) {
            Ok(picture) => self.sheet.add(picture),
            // Of this image alone.
            Err(Error::Usage { what, .. }) => {
                self.unshown += 1;
                let name = name.display();
                self.mention(&format!("{name}: is left out of the comparison: {what}"))?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Leaves out one of the images.
    fn leave_out(&mut self, report: Report) -> Result<()> {
        self.left_out += 1;
        self.mention(&format!("left out: {report}"))?;
        self.first.get_or_insert(report);
        Ok(())
    }

    fn mention(&mut self, line: &str) -> Result<()> {
        self.mentioned += 1;
        match self.mentioned <= SAID {
            true => self.progress.line(line),
            false => Ok(()),
        }
    }

    /// Writes the scores and the sheet, and says what was done.
    fn finish(mut self, model: &Model) -> Result<()> {
        let count = self.inputs.len();
        let stopped = self.written + self.left_out < count;
        if self.written == 0 && !stopped {
            let first = self.first.or(self.inputs.left_out().first().cloned());
            let first = first.map_or_else(String::new, |first| format!(": {first}"));
            let what = match count {
                0 => "there is no image in what was given".to_owned(),
                count => format!("none of {count} images can be used"),
            };
            return Err(Error::usage(
                format!("{what}{first}"),
                "give pictures that can be read",
            ));
        }
        if self.mentioned > SAID {
            let more = self.mentioned - SAID;
            self.progress.line(&format!("and {more} more likewise"))?;
        }
        if let Some(line) = self.scores.line() {
            self.progress.line(&line)?;
            if let Some(table) = self.table() {
                self.scores.save(&table)?;
            }
        }
        self.finish_sheet()?;
        let images = if self.written == 1 { "image" } else { "images" };
        let done = format!(
            "{} {images} through {} -> {}",
            self.written,
            model.trained().path().display(),
            self.options.out.display()
        );
        match stopped {
            true => self.progress.line(&format!("stopped: {done}, of {count}")),
            false => self.progress.line(&done),
        }
    }

    /// Writes the sheet, where there is something to show.
    fn finish_sheet(&mut self) -> Result<()> {
        let Some(path) = self.options.compare.as_deref() else {
            return Ok(());
        };
        if self.sheet.is_empty() {
            return Ok(());
        }
        write(self.sheet.picture(), path)?;
        let shown = self.sheet.len();
        let which = match self.unshown {
            _ if shown == self.written => String::new(),
            0 => format!(", the first {shown}"),
            _ => format!(", {shown} of {}", self.written),
        };
        let line = format!("comparison: {}{which}", path.display());
        self.progress.line(&line)
    }
}

/// Writes a picture, in a folder that is made where there is none.
fn write(picture: impl Into<DynamicImage>, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    figures::save_png(picture, path)
}

/// What was made as 8-bit pixels.
fn pixels(made: &Made) -> Planes {
    Planes {
        values: to_pixels(&made.values),
        shape: made.shape,
    }
}
