//! The sets that are part of the program.

use std::path::Path;

use super::idx;
use super::labels::Labels;
use super::reading::Opened;
use crate::error::Result;

/// Their names, as `--data` takes them.
pub(super) const NAMES: [&str; 2] = ["fashion", "digits"];

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
        _ => return None,
    };
    Some(set)
}

fn drawings(name: &str, images: &[u8], labels: &[u8], classes: &[&str]) -> Result<Opened> {
    let (array, of) = idx::read_built_in(name, images, labels)?;
    let mut labels = Labels::numbered(of);
    if !classes.is_empty() {
        labels.classes = classes.iter().map(|name| (*name).to_string()).collect();
    }
    Ok(Opened::new(Path::new(name), Box::new(array), labels))
}
