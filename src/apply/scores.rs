//! How near outputs are to what they should be.

use std::path::Path;

use super::inputs::Planes;
use crate::data::bicubic;
use crate::error::{Error, Result};
use crate::metrics::quality::{self, Of, Quality};
use crate::store::replace::replace;

/// The file of the scores of single images.
pub(super) const FILE: &str = "scores.csv";

/// Scores of outputs, and of bicubic interpolation where outputs are larger than inputs.
pub(super) struct Scores {
    /// How many times larger they are.
    scale: usize,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    /// Of the output, then of bicubic interpolation.
    scores: Vec<Quality>,
}

impl Scores {
    pub(super) fn new(scale: usize) -> Self {
        Self {
            scale,
            rows: Vec::new(),
        }
    }

    /// Compares images with the one that they should be, the output first. Where they
    /// are enlarged, as literature does: luma, without as many pixels at each edge as
    /// one of the input becomes.
    ///
    /// # Errors
    /// That their shapes differ, as a reason.
    pub(super) fn add(
        &mut self,
        name: &Path,
        truth: &Planes,
        made: &[&Planes],
    ) -> Result<(), String> {
        let (of, border) = self.manner();
        let mut scores = Vec::new();
        for image in made {
            let equal = image.shape == truth.shape;
            let score = equal
                .then(|| quality::compare(&image.values, &truth.values, truth.shape, of, border));
            scores.push(score.flatten().ok_or_else(|| {
                format!(
                    "is not compared: its output is {}, the expected picture {}",
                    sized(image.shape),
                    sized(truth.shape)
                )
            })?);
        }
        let name = name.display().to_string();
        self.rows.push(Row { name, scores });
        Ok(())
    }

    fn manner(&self) -> (Of, usize) {
        match self.scale {
            1 => (Of::Channels, 0),
            scale => (Of::Luma, scale),
        }
    }

    /// Means over the images, where there are any.
    pub(super) fn line(&self) -> Option<String> {
        let count = self.rows.len();
        let mean = |which: usize| {
            let of = |value: fn(&Quality) -> f64| {
                let values = self.rows.iter().filter_map(|row| row.scores.get(which));
                values.map(value).sum::<f64>() / count as f64
            };
            let (psnr, ssim) = (of(|score| score.psnr), of(|score| score.ssim));
            format!("PSNR {psnr:.2} dB, SSIM {ssim:.4}")
        };
        let first = self.rows.first()?;
        let bicubic = match first.scores.len() {
            1 => String::new(),
            _ => format!("; bicubic: {}", mean(1)),
        };
        let how = match self.manner() {
            (Of::Channels, _) => "all channels".to_owned(),
            (Of::Luma, border) => format!("luma without {border} pixels at each edge"),
        };
        let images = if count == 1 {
            "1 image".to_owned()
        } else {
            format!("mean of {count} images")
        };
        Some(format!("{}{bicubic} ({how}, {images})", mean(0)))
    }

    /// Writes a line for each image.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let columns = ["psnr", "ssim", "bicubic_psnr", "bicubic_ssim"];
        let width = self.rows.first().map_or(0, |row| 2 * row.scores.len());
        let head = ["file"].into_iter().chain(columns.into_iter().take(width));
        let failed = |error: csv::Error| Error::io("write", path)(error.into());
        table.write_record(head).map_err(failed)?;
        for Row { name, scores } in &self.rows {
            let numbers = scores.iter().flat_map(|score| [score.psnr, score.ssim]);
            let row = [name.clone()]
                .into_iter()
                .chain(numbers.map(|x| format!("{x:.6}")));
            table.write_record(row).map_err(failed)?;
        }
        let bytes = table
            .into_inner()
            .map_err(|error| Error::io("write", path)(std::io::Error::other(error.to_string())))?;
        replace(path, |out| std::io::Write::write_all(out, &bytes))
    }
}

/// An image of another size, as bicubic interpolation makes it.
pub(super) fn enlarged(image: &Planes, scale: usize) -> Planes {
    let [channels, height, width] = image.shape;
    let to = [height * scale, width * scale];
    let planes = image.values.chunks_exact((height * width).max(1));
    Planes {
        values: planes
            .flat_map(|plane| bicubic(plane, [height, width], to))
            .collect(),
        shape: [channels, to[0], to[1]],
    }
}

/// `640x480 with 3 channels`.
fn sized([channels, height, width]: [usize; 3]) -> String {
    format!("{width}x{height} with {channels} channels")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(values: Vec<u8>, side: usize) -> Planes {
        Planes {
            values,
            shape: [1, side, side],
        }
    }

    #[test]
    fn enlarged_images_are_compared_beside_bicubic_ones() {
        let input = grey((0..36).map(|i| i * 7).collect(), 6);
        let bicubic = enlarged(&input, 4);
        assert_eq!(bicubic.shape, [1, 24, 24]);
        let truth = grey(bicubic.values.iter().map(|x| x ^ 1).collect(), 24);
        let mut scores = Scores::new(4);
        assert_eq!(scores.line(), None);
        let name = Path::new("a.png");
        scores.add(name, &truth, &[&truth, &bicubic]).unwrap();
        let line = scores.line().unwrap();
        assert!(
            line.starts_with("PSNR inf dB, SSIM 1.0000; bicubic: PSNR 48.13 dB"),
            "{line}"
        );
        assert!(
            line.ends_with("(luma without 4 pixels at each edge, 1 image)"),
            "{line}"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        scores.save(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("file,psnr,ssim,bicubic_psnr,bicubic_ssim")
        );
        assert!(
            lines
                .next()
                .unwrap()
                .starts_with("a.png,inf,1.000000,48.13"),
            "{text}"
        );
        let reason = scores.add(name, &input, &[&truth]).unwrap_err();
        assert!(
            reason.contains("24x24") && reason.contains("6x6"),
            "{reason}"
        );
    }
}
