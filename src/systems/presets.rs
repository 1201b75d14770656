//! Presets: TOML files that override the documented defaults.

use std::path::Path;

use super::read_config;
use crate::config::{Config, Override, nearest};
use crate::error::{Error, Result};
use crate::store::file;

/// A preset that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The name `--preset` takes.
    pub name: &'static str,
    /// The file: a comment, whose first line says what it is, and overrides.
    pub text: &'static str,
}

/// The preset of a run that names none.
pub const DEFAULT: &str = "dcgan28";

/// The preset of a conditional run that names none.
pub const CONDITIONAL: &str = "cdcgan28";

/// The files of these names.
macro_rules! presets {
    ($($name:literal)+) => {
        &[$(Preset {
            name: $name,
            text: include_str!(concat!("../../assets/presets/", $name, ".toml")),
        },)+]
    };
}

/// The presets that come with the program.
pub const PRESETS: &[Preset] = presets! {
    "cdcgan28"
    "cdcgan32"
    "classifier"
    "cyclegan"
    "cyclegan32"
    "dcgan28"
    "dcgan32"
    "dcgan64"
    "dtn"
    "fvbn"
    "lsgan"
    "made"
    "mlp"
    "pix2pix"
    "pix2pix32"
    "rbm"
    "sngan"
    "srgan"
    "srgan32"
    "srresnet"
    "toy"
    "vae"
    "wgan"
    "wgan-gp"
};

impl Preset {
    /// What it is, in one line.
    pub fn summary(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches('#').trim()
    }
}

/// The configuration of a preset: the name of one that comes with the program,
/// or a path to a TOML file of overrides. A file's own key `preset` names it,
/// else its file name does.
///
/// # Errors
/// [`Error::Usage`] for a name that is neither, naming the nearest, and for
/// what a file gets wrong.
pub fn load(name: &str) -> Result<Config> {
    if let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) {
        let named = Override::new("preset", preset.name);
        return read_config(preset.text, [])?.with([named]);
    }
    let path = Path::new(name);
    let is_path = path.components().count() > 1 || path.extension().is_some_and(|e| e == "toml");
    if !is_path && !path.is_file() {
        return Err(unknown(name));
    }
    read(path).map_err(|error| match error {
        Error::Io { .. } => Error::usage(
            error.to_string(),
            format!("give a TOML file or one of {}", names().join(", ")),
        ),
        other => other,
    })
}

/// The configuration in a TOML file of overrides.
///
/// # Errors
/// [`Error::Io`] where it cannot be read, [`Error::Usage`], beginning with the
/// path, where it is no text file and for what it gets wrong.
pub fn read(path: &Path) -> Result<Config> {
    let text = file::read_text(path)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let named = Override::new("preset", stem.into_owned());
    read_config(&text, [named]).map_err(|error| match error {
        Error::Usage { what, mend } => Error::Usage {
            what: format!("{}: {what}", path.display()),
            mend,
        },
        other => other,
    })
}

fn unknown(name: &str) -> Error {
    let nearest = nearest(names().into_iter(), |known| {
        strsim::jaro_winkler(name, known)
    });
    let nearest = nearest.map_or_else(String::new, |name| format!("did you mean {name}? "));
    Error::usage(
        format!("unknown preset {name}"),
        format!(
            "{nearest}the presets are {}; a path of a TOML file works too",
            names().join(", ")
        ),
    )
}

fn names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
}
