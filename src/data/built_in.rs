//! The sets that are part of the program.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Crc;

use super::array::Array;
use super::labels::Labels;
use super::opened::Opened;
use super::source::{Fault, Head, Pictures, Raw};
use super::{idx, picture};
use crate::error::{Error, Result};

/// Their names, as `--data` takes them.
const NAMES: [&str; 3] = ["fashion", "digits", "emoji"];

/// Whether a set of this name comes with the program.
pub fn is_embedded(name: &str) -> bool {
    NAMES.contains(&name)
}

/// What `--data` takes, as it means the same in every working directory: the name of an
/// embedded set, or an absolute path.
pub(crate) fn from_anywhere(data: &str) -> String {
    if is_embedded(data) {
        return data.to_owned();
    }
    // A path that is no Unicode stays as it was given.
    let path = std::path::absolute(data).map(PathBuf::into_os_string).ok();
    path.and_then(|path| path.into_string().ok())
        .unwrap_or_else(|| data.to_owned())
}

/// The names of Fashion-MNIST's classes, as its authors list them.
const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The set of this name, if there is one.
pub(super) fn open(name: &str) -> Option<Result<Opened>> {
    let set = match name {
        "fashion" => drawings(
            name,
            include_bytes!("../../assets/data/fashion-images-idx3-ubyte.gz"),
            include_bytes!("../../assets/data/fashion-labels-idx1-ubyte.gz"),
            &FASHION_CLASSES,
        ),
        "digits" => drawings(
            name,
            include_bytes!("../../assets/data/digits-images-idx3-ubyte.gz"),
            include_bytes!("../../assets/data/digits-labels-idx1-ubyte.gz"),
            &[],
        ),
        "emoji" => emoji().map(Emoji::all),
        _ => return None,
    };
    Some(set)
}

/// Both sides of the set of pairs of this name, if there is one.
pub(super) fn sides(name: &str) -> Option<Result<[Opened; 2]>> {
    (name == "emoji").then(|| emoji().map(Emoji::sides))
}

fn drawings(name: &str, images: &[u8], labels: &[u8], classes: &[&str]) -> Result<Opened> {
    let (array, mut labels) = idx::read_built_in(name, images, labels)?;
    if !classes.is_empty() {
        labels.classes = classes.iter().map(|name| (*name).to_string()).collect();
    }
    Ok(Opened::new(Path::new(name), Arc::new(array), labels))
}

/// Side of an emoji in pixels.
const SIDE: usize = 32;

/// Pairs in a row of the sheet, each Noto's drawing beside Twemoji's.
const COLUMNS: usize = 10;

/// The same things drawn twice.
struct Emoji {
    noto: Array,
    twemoji: Array,
    names: Arc<[String]>,
    labels: Labels,
}

/// Drawings with a name each.
struct Named {
    array: Array,
    names: Arc<[String]>,
}

fn emoji() -> Result<Emoji> {
    let sheet = include_bytes!("../../assets/data/emoji.png");
    let list = include_str!("../../assets/data/emoji.tsv");
    let sheet = image::load_from_memory(sheet)
        .map_err(|error| Error::usage(format!("emoji: {error}"), "build the program again"))?
        .into_rgb8();
    let mut labels = Labels::default();
    let mut names = Vec::new();
    // Sorted by category.
    for (category, name) in list.lines().filter_map(|line| line.split_once('\t')) {
        if labels.classes.last().is_none_or(|last| last != category) {
            labels.classes.push(category.to_string());
        }
        labels.of.push(labels.classes.len() as u32 - 1);
        names.push(name.to_string());
    }
    let style = |name: &str, side: usize| {
        let cell = |pair: usize| {
            let x = (pair % COLUMNS * 2 + side) * SIDE;
            let y = pair / COLUMNS * SIDE;
            let side = SIDE as u32;
            image::imageops::crop_imm(&sheet, x as u32, y as u32, side, side).to_image()
        };
        let values = (0..names.len()).flat_map(|pair| picture::planes(&cell(pair)));
        let path = Path::new("emoji").join(name);
        Array::new(&path, [3, SIDE, SIDE], values.collect())
    };
    Ok(Emoji {
        noto: style("noto", 0),
        twemoji: style("twemoji", 1),
        names: names.into(),
        labels,
    })
}

impl Emoji {
    /// Noto's as A and Twemoji's as B.
    fn sides(self) -> [Opened; 2] {
        let Self { names, labels, .. } = self;
        [self.noto, self.twemoji].map(|array| {
            let (names, labels) = (Arc::clone(&names), labels.clone());
            Opened::new(Path::new("emoji"), Arc::new(Named { array, names }), labels)
        })
    }

    /// All of Noto's, then all of Twemoji's.
    fn all(mut self) -> Opened {
        self.noto.values.extend(self.twemoji.values);
        self.labels.of.extend_from_within(..);
        let named = Named {
            array: Array {
                path: "emoji".into(),
                ..self.noto
            },
            names: self.names,
        };
        Opened::new(Path::new("emoji"), Arc::new(named), self.labels)
    }
}

impl Pictures for Named {
    fn len(&self) -> usize {
        self.array.len()
    }

    fn path(&self, item: usize) -> PathBuf {
        self.array.path.join(&self.names[item % self.names.len()])
    }

    fn head(&self, item: usize) -> std::result::Result<Head, Fault> {
        self.array.head(item)
    }

    fn read(&self, item: usize) -> std::result::Result<Raw, Fault> {
        self.array.read(item)
    }

    fn sign(&self, item: usize, crc: &mut Crc) {
        self.array.sign(item, crc);
    }

    fn root(&self) -> Option<&Path> {
        None
    }
}
