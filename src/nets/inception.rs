//! Inception-v3 (Szegedy et al. 2016, 1512.00567) as the Fréchet Inception distance has
//! it (Heusel et al. 2017, 1706.08500): TensorFlow's network of 2015-12-05, which differs
//! from torchvision's in its weights, in means that leave out what is padded, and in a
//! maximum in the last block. In evaluation only.
//!
//! Layers are named as torchvision names them. Their batch normalisation is a part of
//! the convolution: `Mixed_5b.branch1x1.conv.weight` and `.conv.bias`.

use super::Classified;
use crate::error::{Error, Result};
use crate::graph::{ConvGeometry, Graph, NodeId, Window};
use crate::nn::{Init, Inits, Net, leaky_relu};

/// The network, which has no sizes to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inception;

/// A convolution that keeps the size of the image: its name, output channels and kernel.
type Same = (&'static str, usize, [usize; 2]);

/// What the pooled branch of a block takes of each 3x3 window.
#[derive(Clone, Copy)]
enum Pooled {
    Mean,
    Largest,
}

impl Inception {
    /// Rows and columns that images are resized to.
    pub const SIDE: usize = 299;

    /// Length of the feature vector, `pool3` in TensorFlow's network.
    pub const FEATURES: usize = 2048;

    /// Number of logits; the last 8 mean nothing.
    pub const CLASSES: usize = 1008;

    /// Added to the variance in the batch normalisation of every convolution.
    pub const EPS: f64 = 1e-3;

    /// Builds it on images `[N, 3, H, W]`, or grey `[N, 1, H, W]`, in [-1, 1]. They are
    /// resized bilinearly, as by PyTorch's `interpolate` with `align_corners=False`.
    /// The logits have no bias, as the Inception score takes them (Salimans et al. 2016).
    ///
    /// # Errors
    /// For images of other channels.
    pub fn build(self, graph: &mut Graph, net: &mut Net, images: NodeId) -> Result<Classified> {
        let resized = graph.resize_bilinear(images, [Self::SIDE; 2])?;
        let x = match graph.shape(images)[..] {
            [_, 3, _, _] => resized,
            [_, 1, _, _] => graph.concat(&[resized; 3], 1)?,
            _ => {
                let what = format!("{} is not [N, 3, H, W]", graph.shape(images));
                return Err(Error::shape("Inception", what));
            }
        };
        let features = self.features(graph, net, x)?;
        let inits = Inits::weight(Init::Constant(0.0));
        let logits = net.linear(graph, "fc", features, Self::CLASSES, inits)?;
        Ok(Classified { features, logits })
    }

    /// As [`Inception::build`] up to the features `[N, 2048]`, of `x [N, 3, H, W]` as it
    /// is; no side may be shorter than 75.
    ///
    /// # Errors
    /// Where one is.
    pub fn features(self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<NodeId> {
        let mut block = Block {
            graph,
            net,
            name: String::new(),
        };
        let x = block.valid(x, "Conv2d_1a_3x3", 32, 2)?;
        let x = block.valid(x, "Conv2d_2a_3x3", 32, 1)?;
        let x = block.chain(x, &[("Conv2d_2b_3x3", 64, [3, 3])])?;
        let x = block.halved(x)?;
        let x = block.chain(x, &[("Conv2d_3b_1x1", 80, [1, 1])])?;
        let x = block.valid(x, "Conv2d_4a_3x3", 192, 1)?;
        let x = block.halved(x)?;
        let x = block.at("Mixed_5b").a(x, 32)?;
        let x = block.at("Mixed_5c").a(x, 64)?;
        let x = block.at("Mixed_5d").a(x, 64)?;
        let x = block.at("Mixed_6a").b(x)?;
        let x = block.at("Mixed_6b").c(x, 128)?;
        let x = block.at("Mixed_6c").c(x, 160)?;
        let x = block.at("Mixed_6d").c(x, 160)?;
        let x = block.at("Mixed_6e").c(x, 192)?;
        let x = block.at("Mixed_7a").d(x)?;
        let x = block.at("Mixed_7b").e(x, Pooled::Mean)?;
        let x = block.at("Mixed_7c").e(x, Pooled::Largest)?;
        let mean = graph.mean(x, &[2, 3])?;
        graph.reshape(mean, [graph.shape(mean)[0], Self::FEATURES])
    }
}

/// A block while it is built. Blocks are those of the paper's figures 5 to 7 and 10, in
/// the order of torchvision's letters.
struct Block<'a> {
    graph: &'a mut Graph,
    net: &'a mut Net,
    /// In front of the names of its layers.
    name: String,
}

impl Block<'_> {
    fn at(&mut self, name: &str) -> &mut Self {
        self.name = format!("{name}.");
        self
    }

    fn a(&mut self, x: NodeId, pooled: usize) -> Result<NodeId> {
        let small = self.chain(x, &[("branch1x1", 64, [1, 1])])?;
        let large = self.chain(
            x,
            &[("branch5x5_1", 48, [1, 1]), ("branch5x5_2", 64, [5, 5])],
        )?;
        let double = self.chain(
            x,
            &[
                ("branch3x3dbl_1", 64, [1, 1]),
                ("branch3x3dbl_2", 96, [3, 3]),
                ("branch3x3dbl_3", 96, [3, 3]),
            ],
        )?;
        let pooled = self.pooled(x, Pooled::Mean, pooled)?;
        self.graph.concat(&[small, large, double, pooled], 1)
    }

    fn b(&mut self, x: NodeId) -> Result<NodeId> {
        let single = self.valid(x, "branch3x3", 384, 2)?;
        let double = self.chain(
            x,
            &[
                ("branch3x3dbl_1", 64, [1, 1]),
                ("branch3x3dbl_2", 96, [3, 3]),
            ],
        )?;
        let double = self.valid(double, "branch3x3dbl_3", 96, 2)?;
        let pooled = self.halved(x)?;
        self.graph.concat(&[single, double, pooled], 1)
    }

    fn c(&mut self, x: NodeId, within: usize) -> Result<NodeId> {
        let small = self.chain(x, &[("branch1x1", 192, [1, 1])])?;
        let single = self.chain(
            x,
            &[
                ("branch7x7_1", within, [1, 1]),
                ("branch7x7_2", within, [1, 7]),
                ("branch7x7_3", 192, [7, 1]),
            ],
        )?;
        let double = self.chain(
            x,
            &[
                ("branch7x7dbl_1", within, [1, 1]),
                ("branch7x7dbl_2", within, [7, 1]),
                ("branch7x7dbl_3", within, [1, 7]),
                ("branch7x7dbl_4", within, [7, 1]),
                ("branch7x7dbl_5", 192, [1, 7]),
            ],
        )?;
        let pooled = self.pooled(x, Pooled::Mean, 192)?;
        self.graph.concat(&[small, single, double, pooled], 1)
    }

    fn d(&mut self, x: NodeId) -> Result<NodeId> {
        let small = self.chain(x, &[("branch3x3_1", 192, [1, 1])])?;
        let small = self.valid(small, "branch3x3_2", 320, 2)?;
        let large = self.chain(
            x,
            &[
                ("branch7x7x3_1", 192, [1, 1]),
                ("branch7x7x3_2", 192, [1, 7]),
                ("branch7x7x3_3", 192, [7, 1]),
            ],
        )?;
        let large = self.valid(large, "branch7x7x3_4", 192, 2)?;
        let pooled = self.halved(x)?;
        self.graph.concat(&[small, large, pooled], 1)
    }

    fn e(&mut self, x: NodeId, kind: Pooled) -> Result<NodeId> {
        let small = self.chain(x, &[("branch1x1", 320, [1, 1])])?;
        let single = self.chain(x, &[("branch3x3_1", 384, [1, 1])])?;
        let double = self.chain(
            x,
            &[
                ("branch3x3dbl_1", 448, [1, 1]),
                ("branch3x3dbl_2", 384, [3, 3]),
            ],
        )?;
        let mut parts = vec![small];
        for (x, layer, kernel) in [
            (single, "branch3x3_2a", [1, 3]),
            (single, "branch3x3_2b", [3, 1]),
            (double, "branch3x3dbl_3a", [1, 3]),
            (double, "branch3x3dbl_3b", [3, 1]),
        ] {
            parts.push(self.chain(x, &[(layer, 384, kernel)])?);
        }
        parts.push(self.pooled(x, kind, 192)?);
        self.graph.concat(&parts, 1)
    }

    /// Pools each 3x3 window around a pixel and mixes channels.
    fn pooled(&mut self, x: NodeId, kind: Pooled, out: usize) -> Result<NodeId> {
        let [h, w] = self.sides(x)?;
        let window = Window {
            input: [h, w],
            output: [h, w],
            kernel: [3; 2],
            stride: [1; 2],
            pad: [1; 2],
        };
        let x = match kind {
            Pooled::Mean => self.graph.avg_pool_inside(x, window)?,
            Pooled::Largest => self.graph.max_pool(x, window)?,
        };
        self.chain(x, &[("branch_pool", out, [1, 1])])
    }

    /// The largest of each 3x3 window, every second one.
    fn halved(&mut self, x: NodeId) -> Result<NodeId> {
        let input = self.sides(x)?;
        let window = Window {
            input,
            output: input.map(|side| side.saturating_sub(1) / 2),
            kernel: [3; 2],
            stride: [2; 2],
            pad: [0; 2],
        };
        self.graph.max_pool(x, window)
    }

    /// Convolutions one after another.
    fn chain(&mut self, x: NodeId, layers: &[Same]) -> Result<NodeId> {
        layers.iter().try_fold(x, |x, &(layer, out, kernel)| {
            self.conv(x, layer, out, (kernel, 1), kernel.map(|side| side / 2))
        })
    }

    /// A 3x3 convolution where its window lies inside the image.
    fn valid(&mut self, x: NodeId, layer: &str, out: usize, stride: usize) -> Result<NodeId> {
        self.conv(x, layer, out, ([3; 2], stride), [0; 2])
    }

    /// A convolution with bias and ReLU.
    fn conv(
        &mut self,
        x: NodeId,
        layer: &str,
        out: usize,
        (kernel, stride): ([usize; 2], usize),
        pad: [usize; 2],
    ) -> Result<NodeId> {
        let input = self.sides(x)?;
        let [kh, kw] = kernel;
        let geometry = ConvGeometry::forward(input, kernel, [stride; 2], [1; 2], [pad; 2], 1)
            .ok_or_else(|| {
                let what = format!("a {kh}x{kw} window does not fit {}", self.graph.shape(x));
                Error::shape("Inception", what)
            })?;
        let shape = [out, self.graph.shape(x)[1], kh, kw];
        let name = format!("{}{layer}.conv", self.name);
        // All come from a file.
        let none = Init::Constant(0.0);
        let (graph, net) = (&mut *self.graph, &mut *self.net);
        let weight = net.parameter(graph, format!("{name}.weight"), shape, none.clone())?;
        let bias = net.parameter(graph, format!("{name}.bias"), [out], none)?;
        let y = graph.conv2d(x, weight, geometry)?;
        let bias = graph.per_channel(bias, y)?;
        let y = graph.add(y, bias)?;
        Ok(leaky_relu(graph, y, 0.0))
    }

    /// `[H, W]` of `[N, C, H, W]`.
    fn sides(&self, x: NodeId) -> Result<[usize; 2]> {
        let shape = self.graph.shape(x);
        match shape[..] {
            [_, _, h, w] => Ok([h, w]),
            _ => Err(Error::shape(
                "Inception",
                format!("{shape} is not [N, C, H, W]"),
            )),
        }
    }
}
