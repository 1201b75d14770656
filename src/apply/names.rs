//! What outputs are called.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The PNG of each input, and of those that were taken already the input's number.
pub(super) struct Names {
    pub(super) paths: Vec<PathBuf>,
    pub(super) renamed: Vec<usize>,
}

/// `a/b.png` for an input `a/b.jpg`, and `a/b-2.png` where there is one already.
pub(super) fn names<'a>(inputs: impl Iterator<Item = &'a Path>) -> Names {
    let mut names = Names {
        paths: Vec::new(),
        renamed: Vec::new(),
    };
    // Some file systems take letters of both cases for the same.
    let mut taken = HashSet::new();
    for (index, input) in inputs.enumerate() {
        let mut path = input.with_extension("png");
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut number = 2;
        while !taken.insert(path.to_string_lossy().to_lowercase()) {
            path.set_file_name(format!("{stem}-{number}.png"));
            number += 1;
        }
        if number > 2 {
            names.renamed.push(index);
        }
        names.paths.push(path);
    }
    names
}

/// Whether `--out` names a file and not a folder.
pub(super) fn is_file(out: &Path) -> bool {
    out.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
        && !out.is_dir()
}

/// That no output replaces a picture that is read.
///
/// # Errors
/// [`Error::Usage`] for one that does.
pub(super) fn replace_none(
    outputs: impl Iterator<Item = PathBuf>,
    read: impl Iterator<Item = PathBuf>,
) -> Result<()> {
    let read: HashSet<PathBuf> = read.filter_map(|path| path.canonicalize().ok()).collect();
    let is_read = |path: &PathBuf| path.canonicalize().is_ok_and(|path| read.contains(&path));
    let mut outputs = outputs;
    match outputs.find(is_read) {
        Some(path) => Err(Error::usage(
            format!("{} is an input and would be overwritten", path.display()),
            "give another folder with --out",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_called_as_inputs_and_never_alike() {
        let inputs = ["a.jpg", "b/a.jpg", "A.png", "c", "a.gif", "a-2.png"].map(Path::new);
        let found = names(inputs.into_iter());
        let paths: Vec<_> = found
            .paths
            .iter()
            .map(|path| path.to_str().unwrap())
            .collect();
        let wanted = [
            "a.png",
            "b/a.png",
            "A-2.png",
            "c.png",
            "a-3.png",
            "a-2-2.png",
        ];
        assert_eq!(
            paths,
            wanted.map(|name| name.replace('/', std::path::MAIN_SEPARATOR_STR))
        );
        assert_eq!(found.renamed, [2, 4, 5]);
    }

    #[test]
    fn a_name_that_ends_like_a_picture_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_file(Path::new("x.png")) && is_file(Path::new("a/x.PNG")));
        assert!(!is_file(Path::new("out")) && !is_file(folder.path()));
    }
}
