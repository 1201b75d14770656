//! Pictures as a trained model is given them.

use std::fs;
use std::path::{Path, PathBuf};

use gpugan::data::{Gallery, Reading};
use tempfile::TempDir;

use super::grey;

fn gallery(inputs: &[PathBuf]) -> gpugan::Result<Gallery> {
    let inputs: Vec<String> = inputs
        .iter()
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    Gallery::open(&inputs, [1, 8, 8], &Reading::new(8, 8))
}

fn names(gallery: &Gallery) -> Vec<&Path> {
    (0..gallery.len()).map(|item| gallery.name(item)).collect()
}

#[test]
fn images_in_one_file_are_called_by_their_numbers() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("train-images-idx3-ubyte");
    let head = [[0, 0, 8, 3], [0, 0, 0, 2], [0, 0, 0, 8], [0, 0, 0, 8]].concat();
    fs::write(&file, [head, vec![9; 128]].concat()).unwrap();
    for input in [dir.path(), &file] {
        let found = gallery(&[input.to_path_buf()]).unwrap();
        assert_eq!(names(&found), ["00000", "00001"].map(Path::new));
        assert_eq!(found.files().collect::<Vec<_>>(), [file.as_path()]);
    }
}

#[test]
fn labels_that_are_dropped_are_no_pictures_left_out() {
    let dir = TempDir::new().unwrap();
    for name in ["a/1.png", "b/2.png", "3.png"] {
        grey(&dir.path().join(name), 1);
    }
    fs::write(dir.path().join("c.png"), "garbage").unwrap();
    let found = gallery(&[dir.path().to_path_buf()]).unwrap();
    assert_eq!((found.len(), found.left_out()), (4, &[][..]));
    assert_eq!(found.files().count(), 4);
    // A set that is learned from says it.
    let set = super::open(dir.path());
    let said: Vec<String> = set.skipped().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].ends_with("2 pictures are outside its folders; labels dropped"));
}

#[test]
fn what_a_pattern_fits_without_pictures_is_left_out() {
    let dir = TempDir::new().unwrap();
    grey(&dir.path().join("a/1.png"), 1);
    let empty = dir.path().join("b");
    fs::create_dir(&empty).unwrap();
    fs::write(dir.path().join("c.txt"), "no picture").unwrap();
    let found = gallery(&[dir.path().join("*")]).unwrap();
    assert_eq!(names(&found), [Path::new("1.png")]);
    let left_out: Vec<_> = found.left_out().iter().map(|report| &report.path).collect();
    assert_eq!(left_out, [&empty, &dir.path().join("c.txt")]);
    let said = gallery(&[empty]).err().unwrap().to_string();
    assert!(
        said.starts_with("no image in ") && !said.contains("--data"),
        "{said}"
    );
}
