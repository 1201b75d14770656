//! The images that a model is applied to, with what should come out where that is
//! known.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::model::Trained;
use crate::data::{Dataset, Gallery, INPUT, Input, Layout, Reading, Report, Streams, is_embedded};
use crate::error::{Error, Result};

/// Images of an embedded set that are taken where nothing else is said.
const OF_A_SET: usize = 32;

/// 8-bit planes `[C, H, W]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planes {
    pub(super) values: Vec<u8>,
    pub(super) shape: [usize; 3],
}

/// Images of files in the order they were given, then those of embedded sets.
pub(super) struct Inputs {
    files: Gallery,
    /// Their shape where they are fitted to one.
    fitted: Option<[usize; 3]>,
    sets: Vec<Set>,
    /// The set and the item of those that are of no file.
    embedded: Vec<(usize, usize)>,
    names: Vec<PathBuf>,
}

/// An embedded set as training reads it.
struct Set {
    images: Arc<Dataset>,
    /// Whether a record's input is what goes in, and its image what should come out.
    paired: bool,
}

impl Inputs {
    /// The images that are named, `count` at most of each embedded set.
    ///
    /// # Errors
    /// As of [`Gallery::open`], and for a set that has not what the model takes.
    pub(super) fn open(names: &[String], trained: &Trained, count: Option<usize>) -> Result<Self> {
        let of = trained.of();
        let (embedded, files): (Vec<String>, Vec<String>) =
            names.iter().cloned().partition(|name| is_embedded(name));
        let mut inputs = Self {
            files: Gallery::open(&files, of.from, &trained.reading()?)?,
            fitted: trained.any_size().is_none().then_some(of.from),
            sets: Vec::new(),
            embedded: Vec::new(),
            names: Vec::new(),
        };
        let files = 0..inputs.files.len().min(count.unwrap_or(usize::MAX));
        inputs.names = files
            .map(|item| inputs.files.name(item).to_path_buf())
            .collect();
        for name in embedded {
            let set = Set::open(&name, trained)?;
            let items = set.images.len().min(count.unwrap_or(OF_A_SET));
            let place = inputs.sets.len();
            inputs.embedded.extend((0..items).map(|item| (place, item)));
            let named = (0..items).map(|item| item_name(&set.images, item));
            inputs.names.extend(named);
            inputs.sets.push(set);
        }
        Ok(inputs)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Where each is below what was given.
    pub(super) fn names(&self) -> &[PathBuf] {
        &self.names
    }

    /// Files that are no pictures, and so none of the images.
    pub(super) fn left_out(&self) -> &[Report] {
        self.files.left_out()
    }

    /// Where an image is, of files.
    pub(super) fn path(&self, index: usize) -> Option<PathBuf> {
        (index < self.of_files()).then(|| self.files.path(index))
    }

    /// All files that were given, those beyond the count included.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.files.files()
    }

    /// Whether sets tell what should come out.
    pub(super) fn tell_truth(&self) -> bool {
        self.sets.iter().any(|set| set.paired)
    }

    fn of_files(&self) -> usize {
        self.names.len() - self.embedded.len()
    }

    /// An image, and what should come out of it where its set tells.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn read(&self, index: usize) -> Result<(Planes, Option<Planes>), Report> {
        let Some(place) = index.checked_sub(self.of_files()) else {
            let image = read(&self.files, index, self.fitted)?;
            return Ok((image, None));
        };
        let (set, item) = self.embedded[place];
        let Set { images, paired } = &self.sets[set];
        let pair = images.decode_pair(item);
        let (input, image) = pair.map_err(|error| Report {
            path: self.names[index].clone(),
            reason: error.to_string(),
        })?;
        let image = Planes {
            values: image,
            shape: images.shape(),
        };
        Ok(match (paired, images.input_shape()) {
            (true, Some(shape)) => {
                let input = Planes {
                    values: input,
                    shape,
                };
                (input, Some(image))
            }
            _ => (image, None),
        })
    }
}

impl Set {
    /// The side that the model takes of a set that was read as in training, or of one
    /// without sides its images.
    fn open(name: &str, trained: &Trained) -> Result<Self> {
        let (of, reading) = (trained.of(), trained.reading()?);
        let stack = trained.config.data.stack;
        let streams = Streams::open(&reading, name, stack);
        let set = match &streams {
            Ok(streams) => streams.sets().nth(of.stream).cloned(),
            Err(_) => None,
        };
        let paired = of.column == INPUT;
        if let Some(images) = set {
            let shape = match paired {
                true => images.input_shape(),
                false => Some(images.shape()),
            };
            if shape == Some(of.from) {
                return Ok(Self { images, paired });
            }
        }
        let [channels, height, width] = of.from;
        let plain = Reading::new(height, width).channels(Some(channels));
        let plain = plain.layout(Layout::Images).input(Input::None);
        let plain = plain.background(&trained.config.data.background)?;
        Ok(Self {
            images: Arc::new(plain.open(name)?),
            paired: false,
        })
    }
}

/// A name of its own for an item of an embedded set.
fn item_name(images: &Dataset, item: usize) -> PathBuf {
    let name = images.item_name(item);
    let named = Path::new(&name);
    if named.components().count() < 2 {
        return format!("{item:05}.png").into();
    }
    let last = named.file_name().unwrap_or_default().to_string_lossy();
    let safe = |c: char| {
        if c.is_alphanumeric() || "-_ ".contains(c) {
            c
        } else {
            '-'
        }
    };
    let last: String = last.chars().map(safe).collect();
    format!("{last}.png").into()
}

/// A picture at its own size, or at the one that it is fitted to.
fn read(files: &Gallery, item: usize, fitted: Option<[usize; 3]>) -> Result<Planes, Report> {
    match fitted {
        Some(shape) => Ok(Planes {
            values: files.fitted(item)?,
            shape,
        }),
        None => {
            let (values, [height, width]) = files.whole(item)?;
            let channels = values.len() / (height * width).max(1);
            Ok(Planes {
                values,
                shape: [channels, height, width],
            })
        }
    }
}

/// Pictures that outputs should be, by the names of inputs without their endings.
pub(super) struct Truth {
    files: Gallery,
    fitted: Option<[usize; 3]>,
    items: HashMap<PathBuf, usize>,
    folder: String,
}

impl Truth {
    /// The pictures of a folder, or whatever else is named.
    ///
    /// # Errors
    /// As of [`Gallery::open`], and where none is called like an input.
    pub(super) fn open(path: &Path, trained: &Trained, inputs: &Inputs) -> Result<Self> {
        let to = trained.of().to;
        let folder = path.to_string_lossy().into_owned();
        let files = Gallery::open(std::slice::from_ref(&folder), to, &trained.reading()?)?;
        let items = 0..files.len();
        let mut items: HashMap<PathBuf, usize> = items
            .map(|item| (files.name(item).with_extension(""), item))
            .collect();
        // Of one each there is nothing to mix up.
        if let ([input], 1) = (inputs.names(), files.len()) {
            items = HashMap::from([(input.with_extension(""), 0)]);
        }
        let mut names = inputs.names().iter();
        let first = names.clone().next();
        if !names.any(|name| items.contains_key(&name.with_extension(""))) {
            let first =
                first.map_or_else(String::new, |name| format!(", such as {}", name.display()));
            return Err(Error::usage(
                format!("no picture in --truth {folder} has the name of an input{first}"),
                "give each expected picture the name of its input",
            ));
        }
        Ok(Self {
            files,
            fitted: trained.any_size().is_none().then_some(to),
            items,
            folder,
        })
    }

    /// Where they all are.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.files.files()
    }

    /// What should come out of the input of this name.
    ///
    /// # Errors
    /// Why it cannot be read, or that there is none.
    pub(super) fn of(&self, name: &Path) -> Result<Planes, Report> {
        match self.items.get(&name.with_extension("")) {
            Some(&item) => read(&self.files, item, self.fitted),
            None => Err(Report {
                path: name.to_path_buf(),
                reason: format!("has no picture with its name in --truth {}", self.folder),
            }),
        }
    }
}
