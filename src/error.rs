//! The one error type of the crate.

use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. Every message names the thing, the limit and the mend.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something the user asked for cannot be done as asked; the command line
    /// ends with exit code 2.
    #[error("{what}; {mend}")]
    Usage {
        /// The thing that is wrong, with its limit.
        what: String,
        /// What to do about it.
        mend: String,
    },

    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}; {}", path.display(), io_mend(source))]
    Io {
        /// `read`, `write`, `create`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// Shapes that do not fit together while a graph is built.
    #[error("{op}: {what}")]
    Shape {
        /// The operation's name.
        op: &'static str,
        /// The shapes and the rule they break.
        what: String,
    },

    /// A tensor with more elements than kernels can count.
    #[error("{what}; use a smaller batch or a smaller model")]
    Size {
        /// The tensor, its sizes and the limit.
        what: String,
    },

    /// A gradient was asked through an operation that has none.
    #[error(
        "no gradient rule for {op}; stop the gradient before it or give it a rule in graph/vjp"
    )]
    MissingGradient {
        /// The operation's name.
        op: String,
    },

    /// A training that is not healthy was ended; exit code 3.
    #[error("{what}; {mend}")]
    Unhealthy {
        /// The verdict, with its evidence.
        what: String,
        /// What is left and what to change.
        mend: String,
    },

    /// The user stopped something that leaves nothing behind; exit code 130, as
    /// of programs that Ctrl-C ends.
    #[error("{what}; start it again to get it")]
    Stopped {
        /// What was stopped, and how far it had come.
        what: String,
    },

    /// The GPU or its driver refused or failed.
    #[error("{what}; {mend}")]
    Gpu {
        /// What happened, on which adapter.
        what: String,
        /// What to try.
        mend: String,
    },
}

impl Error {
    /// A mistake in what the user asked for.
    pub fn usage(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Usage {
            what: what.into(),
            mend: mend.into(),
        }
    }

    /// A failure of the GPU, its driver or the way it is used.
    pub fn gpu(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Gpu {
            what: what.into(),
            mend: mend.into(),
        }
    }

    /// A rule about shapes that `op` needs and did not get.
    pub fn shape(op: &'static str, what: impl Into<String>) -> Self {
        Self::Shape {
            op,
            what: what.into(),
        }
    }

    /// Wraps an I/O error: `result.map_err(Error::io("read", path))`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// The exit code of the command line: 2 where the user can mend it by
    /// asking differently, 3 where a training was not healthy, 130 where the user
    /// stopped it, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Io { .. } | Self::Shape { .. } | Self::Size { .. } => 2,
            Self::Unhealthy { .. } => 3,
            Self::Stopped { .. } => 130,
            Self::MissingGradient { .. } | Self::Gpu { .. } => 1,
        }
    }
}

/// What to do about a failed read or write.
fn io_mend(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    match source.kind() {
        NotFound => "check the path",
        PermissionDenied | ReadOnlyFilesystem => "check its permissions",
        StorageFull => "free some space on that disk",
        _ => "check that path and its disk",
    }
}
