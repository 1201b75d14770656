//! Real data that is fetched, not committed.

use std::path::{Path, PathBuf};

/// The folder of a set that `.ci/fetch-data` fetches.
pub(crate) fn fetched(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/data")
        .join(name);
    assert!(
        path.is_dir(),
        "{} is missing; run `make data`, of what long tests read `.ci/fetch-data --long`",
        path.display()
    );
    path
}
