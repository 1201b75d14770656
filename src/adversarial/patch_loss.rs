//! The losses of translators, as `pytorch-CycleGAN-and-pix2pix` has them (its
//! `GANLoss`): means over all patches, where least squares are whole squares, not the
//! halves of Mao et al. 2017.

use super::{Loss, LossKind, loss};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nets::Judgement;

/// A loss on logits `[N, 1, h, w]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchLoss {
    /// One that needs no more than the logits of generated images for the generator.
    pub kind: LossKind,
    /// Factor of the discriminator's loss.
    pub d_weight: f64,
}

impl PatchLoss {
    /// Half squares in a whole one.
    fn whole(self) -> f64 {
        match self.kind {
            LossKind::LeastSquares => 2.0,
            _ => 1.0,
        }
    }

    /// The same loss with all other keys as they are by default.
    pub fn loss(self) -> Loss {
        Loss {
            kind: self.kind,
            d_weight: self.d_weight * self.whole(),
            ..Loss::default()
        }
    }

    /// The discriminator's, a scalar.
    ///
    /// # Errors
    /// As of [`loss::discriminator`].
    pub fn discriminator(self, graph: &mut Graph, real: NodeId, fake: NodeId) -> Result<NodeId> {
        loss::discriminator(graph, &self.loss(), real, fake)
    }

    /// The generator's, a scalar.
    ///
    /// # Errors
    /// As of [`loss::generator`].
    pub fn generator(self, graph: &mut Graph, fake: NodeId) -> Result<NodeId> {
        let loss = loss::generator(graph, self.kind, Judgement::from(fake), None)?;
        Ok(graph.scale(loss, self.whole() as f32))
    }
}
