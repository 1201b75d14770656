//! What outputs are called.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::data::is_named_like_a_picture;
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
    let as_taken = |path: &Path| path.to_string_lossy().to_lowercase();
    let mut taken = HashSet::new();
    // The number that is tried next for each name.
    let mut next: HashMap<String, usize> = HashMap::new();
    for (index, input) in inputs.enumerate() {
        let mut path = input.with_extension("png");
        let wanted = as_taken(&path);
        if !taken.insert(wanted.clone()) {
            let stem = path.file_stem().unwrap_or_default();
            let stem = stem.to_string_lossy().into_owned();
            let number = next.entry(wanted).or_insert(2);
            loop {
                path.set_file_name(format!("{stem}-{number}.png"));
                *number += 1;
                if taken.insert(as_taken(&path)) {
                    break;
                }
            }
            names.renamed.push(index);
        }
        names.paths.push(path);
    }
    names
}

/// Whether `--out` names a file and not a folder.
pub(super) fn is_file(out: &Path) -> bool {
    let ending = out.extension();
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("png")) && !is_folder(out)
}

fn is_folder(out: &Path) -> bool {
    out.is_dir() || out.to_string_lossy().ends_with(['/', '\\'])
}

/// That `--out` can be what its name says.
///
/// # Errors
/// [`Error::Usage`] for a picture that is no PNG.
pub(super) fn check(out: &Path) -> Result<()> {
    if is_named_like_a_picture(out) && !is_file(out) && !is_folder(out) {
        return Err(Error::usage(
            format!("--out {} is not a known kind of file", out.display()),
            "use a name that ends in .png, or / for a folder",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

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

    /// Each number is tried once, however many inputs have one name.
    #[test]
    fn many_inputs_of_one_name_are_numbered_at_once() {
        let start = Instant::now();
        let count = 50_000;
        let found = names(std::iter::repeat_n(Path::new("a/b.jpg"), count));
        assert_eq!(found.paths[count - 1], Path::new("a/b-50000.png"));
        assert_eq!(found.renamed.len(), count - 1);
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_name_that_ends_like_a_picture_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_file(Path::new("x.png")) && is_file(Path::new("a/x.PNG")));
        assert!(!is_file(Path::new("out")) && !is_file(folder.path()));
        assert!(!is_file(Path::new("x.png/")));
        for name in ["out", "out.v2", "x.png", "x.png/", "x.jpg/"] {
            assert!(check(Path::new(name)).is_ok(), "{name}");
        }
        for name in ["x.jpg", "a/x.JPEG", "x.gif"] {
            let said = check(Path::new(name)).unwrap_err().to_string();
            assert!(said.contains(name) && said.contains(".png"), "{said}");
        }
    }
}
