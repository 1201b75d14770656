//! Where paths lead, those of files that are not there yet included.

use std::path::{Component, Path, PathBuf};

/// The absolute path without links and dots that a path leads to. What is not there yet
/// lies where its folder is.
pub(crate) fn place(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let mut parts = path.components();
    let last = parts.next_back();
    let folder = match parts.as_path() {
        empty if empty.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    match last {
        Some(Component::Normal(name)) => place(folder).join(name),
        Some(Component::ParentDir) => {
            let mut folder = place(folder);
            folder.pop();
            folder
        }
        // A root or a working directory that is gone.
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_there_lie_where_their_folders_are() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let at = |name: &str| place(&folder.path().join(name));
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/x"), "").unwrap();
        assert_eq!(at("a/../a/./x"), root.join("a/x"));
        assert_eq!(at("a/../new.png"), root.join("new.png"));
        assert_eq!(at("b/c/../new.png"), root.join("b/new.png"));
        let here = Path::new(".").canonicalize().unwrap();
        assert_eq!(place(Path::new("not-there")), here.join("not-there"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a", root.join("link")).unwrap();
            assert_eq!(at("link/new.png"), root.join("a/new.png"));
        }
    }
}
