//! Standard output.

use std::io::{ErrorKind, Write};

use crate::error::{Error, Result};

/// Writes to standard output. A reader that went away, as `head` does, is no
/// error: nobody is left to tell.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("write", "standard output")(e))
        }
        _ => Ok(()),
    }
}
