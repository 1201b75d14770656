//! The folder of one training run, `runs/00000-<preset>-<data>/`.
//!
//! Every file that is rewritten during a run goes through [`super::replace`].

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use crate::{
    error::{Error, Result},
    store::{checkpoint, replace::name_of},
};

/// Longest `<preset>-<data>` part of a folder name, in characters; file
/// systems commonly allow 255 bytes for the whole name.
const LONGEST_NAME: usize = 80;

/// The folder of one training run and the names of the files in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates the next free folder below `outdir`, which is created too if it
    /// is missing. `preset` and `data` become parts of the name; characters
    /// that are awkward in file names become `-`. Processes that start at the
    /// same time get different numbers.
    ///
    /// # Errors
    /// [`Error::Usage`] if `outdir` cannot be created, listed or written.
    pub fn create(outdir: &Path, preset: &str, data: &str) -> Result<Self> {
        claim(outdir, &folder_name(preset, data))
            .map(|path| Self { path })
            .map_err(|source| {
                Error::usage(
                    format!(
                        "cannot create a run folder in {}: {source}",
                        outdir.display()
                    ),
                    "give a writable folder with --outdir",
                )
            })
    }

    /// An existing run folder.
    ///
    /// # Errors
    /// [`Error::Usage`] if `path` is not a folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        if path.is_dir() {
            Ok(Self { path })
        } else {
            Err(Error::usage(
                format!("{} is not a run folder", path.display()),
                "give the folder that a training run made, such as runs/00000-dcgan-mnist",
            ))
        }
    }

    /// All runs below `outdir` that have a configuration, in the order of their numbers.
    ///
    /// # Errors
    /// Where `outdir` cannot be listed.
    pub fn all(outdir: &Path) -> io::Result<Vec<Self>> {
        let mut found = numbered(outdir)?;
        found.sort();
        let folders = found.into_iter().map(|(_, path)| Self { path });
        Ok(folders.filter(|run| run.config().is_file()).collect())
    }

    /// The name of the folder, as `00000-dcgan28-fashion`.
    pub fn name(&self) -> String {
        name_of(&self.path)
    }

    /// The run with the highest number below `outdir`, if there is any.
    pub fn newest(outdir: &Path) -> Option<Self> {
        let (_, path) = numbered(outdir)
            .ok()?
            .into_iter()
            // A bare number is a claim that a killed process left behind.
            .filter(|(_, path)| path.is_dir() && name_of(path).contains('-'))
            .max_by_key(|(number, _)| *number)?;
        Some(Self { path })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `ended.txt`: why the run was ended for its health; missing where it was not.
    pub fn ended(&self) -> PathBuf {
        self.path.join("ended.txt")
    }

    /// `asked.toml`: the configuration as it was asked for, where a rollback has
    /// changed it.
    pub fn asked(&self) -> PathBuf {
        self.path.join("asked.toml")
    }

    /// The complete configuration of the run.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The messages of the run, see [`Log`].
    pub fn log(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// One JSON object a tick, see [`crate::run::stats`].
    pub fn stats(&self) -> PathBuf {
        self.path.join("stats.jsonl")
    }

    /// A grid of real images as the discriminator sees them.
    pub fn reals(&self) -> PathBuf {
        self.path.join("reals.png")
    }

    /// A grid of generated images from a fixed latent, `fakes000200.png`.
    pub fn fakes(&self, step: u64) -> PathBuf {
        self.path.join(format!("fakes{step:06}.png"))
    }

    /// A grid of what another view than the first shows, `fakes000200-b-to-a.png`.
    pub fn fakes_through(&self, step: u64, view: &str) -> PathBuf {
        self.path.join(format!("fakes{step:06}-{view}.png"))
    }

    /// The checkpoint at the end of a stage that another follows, from 1:
    /// `stage-1.safetensors`.
    pub fn stage(&self, number: usize) -> PathBuf {
        self.path.join(format!("stage-{number}.safetensors"))
    }

    /// The training curves, see [`crate::run::loss_plot`].
    pub fn losses(&self) -> PathBuf {
        self.path.join("losses.png")
    }

    /// The curves of the training's health, see [`crate::run::health_plot`].
    pub fn health(&self) -> PathBuf {
        self.path.join("health.png")
    }

    /// One JSON object a scored snapshot.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// A copy of the checkpoint with the best score.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// The recorded tensors of a traced step.
    pub fn trace(&self) -> PathBuf {
        self.path.join("trace.safetensors")
    }

    /// The checkpoint taken after `step` steps.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.path.join(checkpoint::file_name(step))
    }

    /// All checkpoints as (step, path), the newest last.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be listed.
    pub fn checkpoints(&self) -> Result<Vec<(u64, PathBuf)>> {
        checkpoint::list(&self.path)
    }
}

/// `<preset>-<data>` with only letters, digits, `.`, `_` and `-`.
fn folder_name(preset: &str, data: &str) -> String {
    format!("{preset}-{data}")
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => c,
            _ => '-',
        })
        .take(LONGEST_NAME)
        .collect()
}

/// The entries of `outdir` that begin with at least five digits, which end the
/// name or are followed by `-`.
fn numbered(outdir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(outdir)? {
        let path = entry?.path();
        let name = name_of(&path);
        let number = name.split('-').next().unwrap_or_default();
        if number.len() >= 5
            && number.bytes().all(|b| b.is_ascii_digit())
            && let Ok(number) = number.parse()
        {
            found.push((number, path));
        }
    }
    Ok(found)
}

/// Makes `outdir/NNNNN-name` with a number that no other entry has.
///
/// Two starts with different names would not collide in `create_dir`. So each
/// first makes the bare folder `NNNNN`, which only one can hold at a time, looks
/// whether the number went to another since it listed, and then renames it.
fn claim(outdir: &Path, name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(outdir)?;
    loop {
        let taken = numbered(outdir)?;
        let number = taken.iter().map(|(n, _)| n + 1).max().unwrap_or(0);
        let bare = outdir.join(format!("{number:05}"));
        match fs::create_dir(&bare) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(e),
        }
        let rivals = numbered(outdir)?;
        if rivals.iter().any(|(n, path)| *n == number && *path != bare) {
            fs::remove_dir(&bare)?;
            continue;
        }
        let path = outdir.join(format!("{number:05}-{name}"));
        fs::rename(&bare, &path)?;
        return Ok(path);
    }
}

/// Writes messages to `log.txt`, each with the time since the log was opened,
/// and to standard output too if asked.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    start: Instant,
}

impl Log {
    /// Opens `path` for appending.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        Ok(Self {
            path,
            file,
            start: Instant::now(),
        })
    }

    /// Writes one message. Each of its lines begins with the elapsed time as
    /// `h:mm:ss`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn line(&mut self, message: &str) -> Result<()> {
        let seconds = self.start.elapsed().as_secs();
        let time = format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        let text: String = message
            .split('\n')
            .map(|line| format!("{time}  {line}\n"))
            .collect();
        self.file
            .write_all(text.as_bytes())
            .map_err(Error::io("write", &self.path))?;
        Ok(())
    }
}
