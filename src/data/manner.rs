//! How pictures are brought to one shape: [`Fit`] and the background.

use serde::{Deserialize, Serialize};

use super::source::Fault;
use crate::error::{Error, Result};

/// How a picture of other proportions becomes an image of the wanted size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The largest part around its centre with the wanted proportions; the rest
    /// is lost.
    #[default]
    Crop,
    /// All of it, between margins of the background.
    Pad,
    /// All of it, its proportions changed.
    Stretch,
}

/// The part of a picture that an image is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Half {
    #[default]
    Whole,
    Left,
    Right,
}

impl Half {
    /// The width of this part of a picture.
    ///
    /// # Errors
    /// [`Fault::Bad`] for a picture that has no two sides.
    pub(super) fn width(self, whole: u32) -> Result<u32, Fault> {
        match self {
            Self::Whole => Ok(whole),
            Self::Left | Self::Right if whole < 2 => {
                let reason = "it is too narrow for two sides";
                Err(Fault::Bad(reason.to_string()))
            }
            Self::Left | Self::Right => Ok(whole / 2),
        }
    }
}

/// Fit, colours and part of the pictures of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) fit: Fit,
    /// Red, green and blue behind transparent pixels and in margins; `None` is
    /// white, and black around drawings.
    pub(super) background: Option<[u8; 3]>,
    pub(super) half: Half,
}

impl Manner {
    /// The colour behind transparent pixels.
    pub(super) fn paper(self) -> [u8; 3] {
        self.background.unwrap_or([255; 3])
    }

    /// As messages call the colour behind transparent pixels.
    pub(super) fn paper_name(self) -> String {
        match self.paper() {
            [255, 255, 255] => "white".to_string(),
            [0, 0, 0] => "black".to_string(),
            [r, g, b] => format!("#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

/// Reads a colour as `data.background` takes it: `auto`, `white`, `black`,
/// `grey` or `#rrggbb`.
///
/// # Errors
/// [`Error::Usage`] for other words.
pub(super) fn colour(text: &str) -> Result<Option<[u8; 3]>> {
    let hex = || {
        let hex =
            |digits: &&str| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let digits = text.strip_prefix('#').filter(hex)?;
        let [_, rgb @ ..] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(rgb)
    };
    match text {
        "auto" => Ok(None),
        "white" => Ok(Some([255; 3])),
        "black" => Ok(Some([0; 3])),
        "grey" | "gray" => Ok(Some([128; 3])),
        _ => hex().map(Some).ok_or_else(|| {
            Error::usage(
                format!("data.background = {text:?} is not a colour"),
                "use auto, white, black, grey or #rrggbb",
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_words_or_six_digits() {
        assert_eq!(colour("auto").unwrap(), None);
        assert_eq!(colour("#ff8000").unwrap(), Some([255, 128, 0]));
        for text in ["#ff80", "ff8000", "#gg0000", "#+f8000", "pink", ""] {
            assert!(colour(text).is_err(), "{text}");
        }
    }
}
