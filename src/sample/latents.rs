//! Latent vectors: from seeds or a file, added and subtracted, walked between.

use std::path::Path;

use crate::config::options::{SampleOptions, Start};
use crate::error::{Error, Result};
use crate::run::viewer::Viewer;
use crate::store::checkpoint::Checkpoint;

/// The latents asked for, of `seeds` where these are asked for.
///
/// # Errors
/// [`Error::Usage`] where the model makes nothing from noise, and for a file that is not
/// of its latents.
pub(super) fn asked(
    options: &SampleOptions,
    sampler: &Viewer,
    seeds: &[u64],
) -> Result<Vec<Vec<f32>>> {
    let of = |seeds: &[u64]| -> Result<Vec<Vec<f32>>> {
        let all = sampler.latents(seeds)?;
        let length = all.len() / seeds.len().max(1);
        Ok(all.chunks(length.max(1)).map(<[f32]>::to_vec).collect())
    };
    let mut latents = match &options.start {
        Start::Seeds(_) => of(seeds)?,
        Start::Mean(seeds) => vec![mean(&of(seeds)?)],
        Start::File(path) => read(path, sampler.first_input(), of(&[0])?[0].len())?,
    };
    for (seeds, sign) in [(&options.add, 1.0), (&options.subtract, -1.0)] {
        if seeds.is_empty() {
            continue;
        }
        let change = mean(&of(seeds)?);
        for latent in &mut latents {
            for (value, change) in latent.iter_mut().zip(&change) {
                *value += sign * change;
            }
        }
    }
    Ok(latents)
}

/// The mean of vectors of one length.
fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        for (sum, value) in sum.iter_mut().zip(vector) {
            *sum += value / vectors.len() as f32;
        }
    }
    sum
}

/// The latents of a file, its tensor of this name.
///
/// # Errors
/// [`Error::Usage`] where it has none of this length.
fn read(path: &Path, name: &str, length: usize) -> Result<Vec<Vec<f32>>> {
    let file = Checkpoint::load(path)?;
    let wrong = |what: String| {
        Error::usage(
            format!("--z {}: {what}", path.display()),
            format!(
                "give a file with a tensor {name} of [count, {length}], such as --out z.safetensors writes"
            ),
        )
    };
    let Some((shape, values)) = file.tensors.get(name) else {
        return Err(wrong(format!("there is no tensor {name}")));
    };
    if values.is_empty() || shape.len() != 2 || shape[1] != length {
        return Err(wrong(format!("{name} is {shape:?}")));
    }
    if let Some((_, value)) = file.not_finite(|known| known == name) {
        return Err(wrong(format!("{name} holds {value}")));
    }
    Ok(values.chunks(length).map(<[f32]>::to_vec).collect())
}

/// Writes latents into a file that [`read`] reads.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub(super) fn write(latents: &[Vec<f32>], name: &str, path: &Path) -> Result<()> {
    let mut file = Checkpoint::default();
    let shape = vec![latents.len(), latents.first().map_or(0, Vec::len)];
    file.tensors.insert(name.into(), (shape, latents.concat()));
    file.save(path)
}

/// Latents from each of `ends` to the next and back to the first, `frames`
/// from one to the next, on great circles: straight lines would pass through
/// vectors far shorter than the generator has seen (White 2016, section 2). From
/// and to a vector of zeros they are straight.
pub(super) fn walk(ends: &[Vec<f32>], frames: usize) -> Vec<Vec<f32>> {
    let mut path = Vec::with_capacity(ends.len() * frames);
    for (index, from) in ends.iter().enumerate() {
        let to = &ends[(index + 1) % ends.len()];
        let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
        let dot: f32 = from.iter().zip(to).map(|(a, b)| a * b).sum();
        let angle = (dot / (length(from) * length(to))).clamp(-1.0, 1.0).acos();
        for frame in 0..frames {
            let t = frame as f32 / frames as f32;
            // A vector of zeros has no angle to others.
            let (a, b) = if angle.is_nan() || angle.sin() < 1e-4 {
                (1.0 - t, t)
            } else {
                (
                    ((1.0 - t) * angle).sin() / angle.sin(),
                    (t * angle).sin() / angle.sin(),
                )
            };
            path.push(from.iter().zip(to).map(|(x, y)| a * x + b * y).collect());
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latents_come_back_from_a_file_of_their_length_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("z.safetensors");
        let latents = vec![vec![1.0, -2.5, 3.0], vec![0.5, 0.25, -1.0]];
        write(&latents, "noise", &path).expect("written");
        assert_eq!(read(&path, "noise", 3).expect("read"), latents);
        let said = read(&path, "noise", 4).expect_err("too short").to_string();
        assert!(
            said.contains("noise is [2, 3]") && said.contains("[count, 4]"),
            "{said}"
        );
        write(&[vec![f32::NAN; 3]], "noise", &path).expect("written");
        let said = read(&path, "noise", 3).expect_err("not finite").to_string();
        assert!(said.contains("holds NaN"), "{said}");
    }

    #[test]
    fn a_mean_is_a_vector_and_a_walk_keeps_its_length() {
        assert_eq!(mean(&[vec![1.0, 4.0], vec![3.0, 0.0]]), [2.0, 2.0]);
        let path = walk(&[vec![3.0, 0.0], vec![0.0, 3.0]], 4);
        assert_eq!(path.len(), 8);
        for vector in &path {
            assert!(
                (vector[0].hypot(vector[1]) - 3.0).abs() < 1e-5,
                "{vector:?}"
            );
        }
        // No direction leads to the middle.
        let path = walk(&[vec![0.0, 0.0], vec![0.0, 2.0]], 2);
        assert_eq!(path, [[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [0.0, 1.0]]);
    }
}
