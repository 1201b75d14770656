//! Values that do not go together, and what to use instead.

use crate::error::{Error, Result};

/// A combination without meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, with the keys and their values.
    pub what: String,
    /// What to use instead.
    pub mend: String,
}

/// A refusal where it is `asked` for.
pub fn refuse(asked: bool, what: impl Into<String>, mend: impl Into<String>) -> Option<Refusal> {
    asked.then(|| Refusal {
        what: what.into(),
        mend: mend.into(),
    })
}

/// The first of some refusals as an error.
///
/// # Errors
/// [`Error::Usage`] with the reason and what to use instead.
pub(super) fn first(refusals: impl IntoIterator<Item = Option<Refusal>>) -> Result<()> {
    match refusals.into_iter().flatten().next() {
        Some(Refusal { what, mend }) => Err(Error::usage(what, mend)),
        None => Ok(()),
    }
}
