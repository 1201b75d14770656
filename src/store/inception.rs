//! The file of the Inception network of the Fréchet Inception distance: what pytorch-fid
//! publishes, converted as `docs/measuring.md` says.

use std::path::Path;

use super::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::nets::Inception;
use crate::nn::{Mode, Net};

/// In front of the names of its tensors once it is read.
pub(crate) const PREFIX: &str = "inception";

/// The tensors of a batch normalisation: gain, offset, mean and variance.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// Whether a file has any tensor of it.
pub(crate) fn is_of(file: &Checkpoint) -> bool {
    let of = |name: &String| name.starts_with("Conv2d_") || name.starts_with("Mixed_");
    file.tensors.keys().any(of)
}

/// The tensors that [`Inception`] takes, with batch normalisation folded into its
/// convolutions, of a file that was read from `path`.
///
/// # Errors
/// [`Error::Usage`] for the first tensor that the file lacks or has in another shape.
pub(crate) fn folded(file: &Checkpoint, path: &Path) -> Result<Checkpoint> {
    let mut graph = Graph::new();
    let mut net = Net::new(PREFIX, Mode::EVAL);
    let image = graph.constant(0.0, [1, 3, Inception::SIDE, Inception::SIDE]);
    Inception.build(&mut graph, &mut net, image)?;
    let mut folded = Checkpoint::default();
    for parameter in net.parameters() {
        let name = &parameter.name[PREFIX.len() + 1..];
        let Some(layer) = name.strip_suffix(".conv.weight") else {
            // The bias of a convolution comes with its weight.
            if !name.ends_with(".conv.bias") {
                let values = tensor(file, path, name, &parameter.shape)?.to_vec();
                let tensor = (parameter.shape.to_vec(), values);
                folded.tensors.insert(parameter.name.clone(), tensor);
            }
            continue;
        };
        let weight = tensor(file, path, name, &parameter.shape)?;
        let out = parameter.shape[0];
        let of_norm = |part| tensor(file, path, &format!("{layer}.bn.{part}"), &[out]);
        let [gain, offset, mean, variance] = NORM.map(of_norm);
        let (gain, offset, mean, variance) = (gain?, offset?, mean?, variance?);
        let factor = |channel: usize| {
            f64::from(gain[channel]) / (f64::from(variance[channel]) + Inception::EPS).sqrt()
        };
        let rows = weight.chunks_exact(weight.len() / out).enumerate();
        let weight = rows.flat_map(|(channel, row)| {
            let factor = factor(channel);
            row.iter().map(move |&x| (f64::from(x) * factor) as f32)
        });
        let weight = (parameter.shape.to_vec(), weight.collect());
        let bias = (0..out).map(|channel| {
            (f64::from(offset[channel]) - f64::from(mean[channel]) * factor(channel)) as f32
        });
        let bias = (vec![out], bias.collect());
        let name = parameter.name.trim_end_matches("weight");
        folded.tensors.insert(format!("{name}weight"), weight);
        folded.tensors.insert(format!("{name}bias"), bias);
    }
    Ok(folded)
}

/// A tensor of the file in the shape that the network has.
fn tensor<'a>(file: &'a Checkpoint, path: &Path, name: &str, shape: &[usize]) -> Result<&'a [f32]> {
    let found = match file.tensors.get(name) {
        Some((found, values)) if found == shape => return Ok(values),
        Some((found, _)) => format!("has {name} of {found:?}, not {shape:?}"),
        None => format!("has no tensor {name} of {shape:?}"),
    };
    Err(Error::usage(
        format!(
            "{} {found}, as the Inception network of the FID has",
            path.display()
        ),
        "convert pt_inception-2015-12-05-6726825d.pth again as docs/measuring.md says; \
         torchvision's own weights are of another network",
    ))
}
