//! Names with `*` and `?`, as shells that do not expand them, or quotes, leave them.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::folder::is_hidden;

/// Whether a name may stand for several.
pub(super) fn is_one(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    bytes.contains(&b'*') || bytes.contains(&b'?')
}

/// What is there of a name, sorted: of each part, `*` is any letters and `?` is one.
/// Hidden files are only those whose pattern begins with a dot.
pub(super) fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        found = match part {
            Component::Normal(name) if is_one(name) => found
                .iter()
                .flat_map(|folder| within(folder, name))
                .collect(),
            part => found.into_iter().map(|folder| folder.join(part)).collect(),
        };
    }
    found.retain(|path| path.exists());
    found
}

/// The entries of a folder that a pattern fits.
fn within(folder: &Path, pattern: &OsStr) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = std::fs::read_dir(here).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let (pattern_bytes, hidden) = (pattern.as_encoded_bytes(), is_hidden(pattern));
    let fitting = names.filter(|name| {
        (hidden || !is_hidden(name)) && fits(name.as_encoded_bytes(), pattern_bytes)
    });
    let mut found: Vec<PathBuf> = fitting.map(|name| folder.join(name)).collect();
    found.sort();
    found
}

/// Whether a pattern fits a whole name.
fn fits(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    // Behind the last `*`, and how far the name was then.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(of) {
            Some(b'*') => {
                of += 1;
                star = Some((of, at));
            }
            Some(&byte) if byte == b'?' || byte == name[at] => {
                (at, of) = (at + 1, of + 1);
            }
            _ => {
                // The last `*` takes one more.
                let Some((behind, from)) = star else {
                    return false;
                };
                (at, of) = (from + 1, behind);
                star = Some((behind, at));
            }
        }
    }
    pattern[of..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_are_any_letters_and_question_marks_one() {
        for (pattern, name, wanted) in [
            ("*.png", "a.png", true),
            ("*.png", "a.jpg", false),
            ("*.png", ".png", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("?.png", "a.png", true),
            ("?.png", "ab.png", false),
            ("*", "", true),
            ("a**", "a", true),
        ] {
            let found = fits(name.as_bytes(), pattern.as_bytes());
            assert_eq!(found, wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn every_part_of_a_path_may_stand_for_several() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["x1/a.png", "x1/b.jpg", "x2/c.png", "y/d.png", "x1/.e.png"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let paths = expand(&folder.path().join(pattern));
            let below = paths
                .iter()
                .map(|path| path.strip_prefix(folder.path()).unwrap());
            below
                .map(|path| path.to_str().unwrap().replace('\\', "/"))
                .collect()
        };
        assert_eq!(found("x*/*.png"), ["x1/a.png", "x2/c.png"]);
        assert_eq!(found("?/d.png"), ["y/d.png"]);
        assert_eq!(found("x1/.*"), ["x1/.e.png"]);
        assert!(found("z*/a.png").is_empty());
    }
}
