//! Networks whose features samples are scored with, as files hold them.

use std::path::{Path, PathBuf};

use super::Classifier;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::metrics::Features;
use crate::nets;
use crate::run::viewer::Viewer;
use crate::store::checkpoint::Checkpoint;
use crate::store::classifier::About;
use crate::store::inception;
use crate::systems::{self, System, Weights};

/// Images of one pass at most: of small ones, and of Inception's 299x299, whose largest
/// activations are 5.3 MiB an image.
const PASS: usize = 128;
const INCEPTION_PASS: usize = 16;

/// What a network of features is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A classifier that `gpugan classify` wrote.
    Own(About),
    /// The Inception network of the Fréchet Inception distance.
    Inception,
}

impl Kind {
    /// What is known about it, of a classifier that `gpugan classify` wrote.
    pub fn about(&self) -> Option<&About> {
        match self {
            Self::Own(about) => Some(about),
            Self::Inception => None,
        }
    }

    /// Its features, as scores are named after them.
    pub fn features(&self) -> Features<'_> {
        match self {
            Self::Own(about) => Features::Own(&about.features),
            Self::Inception => Features::Inception,
        }
    }

    /// Number of classes that it tells.
    pub fn classes(&self) -> usize {
        match self {
            Self::Own(about) => about.network.classes,
            Self::Inception => nets::Inception::CLASSES,
        }
    }
}

/// A network that was read and checked, but is on no device.
pub struct Stored {
    kind: Kind,
    /// `[C, H, W]` of the images that it is to see.
    image: [usize; 3],
    file: Checkpoint,
    path: PathBuf,
}

impl Stored {
    /// Reads a classifier's file or Inception's, for images `[C, H, W]`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that is neither, or that lacks a tensor of Inception's;
    /// with this mend where it takes other images.
    pub fn read(path: &Path, image: [usize; 3], mend: &str) -> Result<Self> {
        let file = Checkpoint::load(path)?;
        let [c, h, w] = image;
        let takes = if !About::is_of(&file) && inception::is_of(&file) {
            if c == 1 || c == 3 {
                return Ok(Self {
                    kind: Kind::Inception,
                    image,
                    file: inception::folded(&file, path)?,
                    path: path.to_owned(),
                });
            }
            "1 or 3 channels".to_owned()
        } else {
            let own = Self::classifier(file, path)?;
            if own.image == image {
                return Ok(own);
            }
            let [c, h, w] = own.image;
            format!("{c}x{h}x{w}")
        };
        Err(Error::usage(
            format!(
                "{} is for images of {takes}, these are {c}x{h}x{w}",
                path.display()
            ),
            mend,
        ))
    }

    /// The classifier of a file that `gpugan classify` makes.
    pub(super) fn classifier(file: Checkpoint, path: &Path) -> Result<Self> {
        let about = About::of(&file, path)?;
        Ok(Self {
            image: about.network.image,
            kind: Kind::Own(about),
            file,
            path: path.to_owned(),
        })
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// It on a device.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn on(&self, gpu: &Gpu) -> Result<Classifier> {
        let (system, pass): (Box<dyn System>, usize) = match &self.kind {
            Kind::Own(about) => {
                let network = about.network.clone();
                (Box::new(systems::classifier::Classifier::of(network)), PASS)
            }
            Kind::Inception => {
                let image = self.image;
                (
                    Box::new(systems::inception::Inception { image }),
                    INCEPTION_PASS,
                )
            }
        };
        let file = (&self.file, &*self.path);
        let mend = "give a file that `gpugan classify` wrote";
        let view = ("features", pass);
        Ok(Classifier {
            network: Viewer::new(gpu, &*system, view, Weights::Raw, file, mend)?,
            kind: self.kind.clone(),
        })
    }
}
