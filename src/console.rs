//! Standard output and standard error.

use std::borrow::Cow;
use std::io::{ErrorKind, Write};

use crate::error::{Error, Result};

/// Text without characters that steer a terminal or turn the direction of
/// writing: names of files and what stands in them come from anywhere. Ends of
/// lines and tabs stay.
pub fn plain(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(steers, "\u{fffd}"))
}

/// A count with its noun, which is given as that of several: `1 image`, `2 images`.
pub(crate) fn counted(count: usize, nouns: &str) -> String {
    match (count, nouns.strip_suffix('s')) {
        (1, Some(noun)) => format!("1 {noun}"),
        _ => format!("{count} {nouns}"),
    }
}

/// Writes a line to standard error, where that can be written.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {}", plain(text));
}

/// Writes to standard output. A reader that went away, as `head` does, or a terminal whose
/// window was closed, is no error: nobody is left to tell.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out
        .write_all(plain(text).as_bytes())
        .and_then(|()| out.flush())
    {
        Err(e) if e.kind() != ErrorKind::BrokenPipe && !is_closed_terminal(&e) => {
            Err(Error::io("write", "standard output")(e))
        }
        _ => Ok(()),
    }
}

/// Whether a write failed as one to a terminal that has gone does.
fn is_closed_terminal(error: &std::io::Error) -> bool {
    cfg!(unix) && error.raw_os_error() == Some(EIO)
}

/// The number of Unix systems for an error of the device.
const EIO: i32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(plain("two\nlines\tof \u{fc}"), "two\nlines\tof \u{fc}");
        let steering = "\x1b]0;owned\x07 \r\x08 \u{9b}2J \u{202e}gnp.exe \x7f";
        let plain = plain(steering);
        assert_eq!(
            plain,
            "\u{fffd}]0;owned\u{fffd} \u{fffd}\u{fffd} \u{fffd}2J \u{fffd}gnp.exe \u{fffd}"
        );
    }
}
