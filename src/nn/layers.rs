//! Linear and convolutional layers, dropout, activations.

use super::{Init, Inits, Net, Square, image};
use crate::error::{Error, Result};
use crate::graph::{Binary, ConvGeometry, Distribution, Graph, NodeId, Role, Scalar, Shape, Unary};

/// What the names of masks end with, behind their layer's.
pub(crate) const MASK: &str = ".mask";

impl Net {
    /// `x W^T + b` of `x [N, in]`, weight `[out, in]`, bias `[out]` if it has
    /// an initialiser.
    pub fn linear(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let inputs = *graph.shape(x).last().unwrap_or(&0);
        let weight = self.weight(graph, layer, [out, inputs], 0, weight)?;
        self.affine(graph, layer, x, weight, bias)
    }

    /// [`Net::linear`] of the flattened `x [N, C, H, W]`, pixel by pixel and not channel by
    /// channel: images lie in memory that way, and the weight is what is put in order.
    pub fn linear_of_image(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let [channels, h, w] = image(graph, "Linear", x)?;
        let weight = self.weight(graph, layer, [out, channels * h * w], 0, weight)?;
        let weight = graph.reshape(weight, [out, channels, h, w])?;
        let by_pixel = |graph: &mut Graph, image: NodeId| {
            let image = graph.permute(image, &[0, 2, 3, 1])?;
            flatten(graph, image)
        };
        let (x, weight) = (by_pixel(graph, x)?, by_pixel(graph, weight)?);
        self.affine(graph, layer, x, weight, bias)
    }

    /// [`Net::linear`] of `x [N, in]` whose features are an image `[N, C, H, W]`: the
    /// transposed convolution of one pixel, so that channels lie together.
    pub fn linear_to_image(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        [channels, h, w]: [usize; 3],
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let out = channels * h * w;
        let [batch, inputs] = graph.shape(x)[..] else {
            return Err(Error::shape("Linear", "features are [N, in]".to_owned()));
        };
        let weight = self.weight(graph, layer, [out, inputs], 0, weight)?;
        let weight = graph.reshape(weight, [channels, h, w, inputs])?;
        let weight = graph.permute(weight, &[3, 0, 1, 2])?;
        let point = graph.reshape(x, [batch, inputs, 1, 1])?;
        let one = ConvGeometry::transposed([1; 2], [h, w], [1; 2], [1; 2], [[0; 2]; 2], [0; 2], 1);
        let one = one.ok_or_else(|| Error::shape("Linear", format!("no image is {h}x{w}")))?;
        let y = graph.conv_transpose2d(point, weight, one)?;
        let Some(bias) = bias else { return Ok(y) };
        let bias = self.parameter(graph, format!("{layer}.bias"), [out], bias)?;
        let bias = graph.reshape(bias, [1, channels, h, w])?;
        graph.add(y, bias)
    }

    /// As [`Net::linear`] with the weight times a mask `[out, in]` of zeros and ones,
    /// which is kept as the buffer `<layer>.mask`: an output depends on the inputs
    /// that its row has ones for.
    pub fn masked_linear(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        mask: Vec<f32>,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let inputs = *graph.shape(x).last().unwrap_or(&0);
        let shape = Shape::from([mask.len() / inputs.max(1), inputs]);
        let weight = self.weight(graph, layer, shape.clone(), 0, weight)?;
        let name = format!("{layer}{MASK}");
        let mask = self.tensor(graph, name, shape, Init::Values(mask), Role::Buffer)?;
        let mask = graph.state(mask);
        let weight = graph.mul(weight, mask)?;
        self.affine(graph, layer, x, weight, bias)
    }

    /// `x W^T + b`.
    fn affine(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        weight: NodeId,
        bias: Option<Init>,
    ) -> Result<NodeId> {
        let y = graph.matmul(x, weight, false, true)?;
        let Some(bias) = bias else { return Ok(y) };
        let out = graph.shape(y)[1];
        let bias = self.parameter(graph, format!("{layer}.bias"), [out], bias)?;
        graph.add(y, bias)
    }

    /// Convolution of `x [N, C, H, W]` to `out` channels.
    pub fn conv(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        square: Square,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let [channels, h, w] = image(graph, "Conv2d", x)?;
        let Square {
            kernel,
            stride,
            pad,
        } = square;
        let geometry =
            ConvGeometry::forward([h, w], [kernel; 2], [stride; 2], [1; 2], [[pad; 2]; 2], 1)
                .ok_or_else(|| {
                    Error::shape(
                        "Conv2d",
                        format!(
                            "a {kernel}x{kernel} window does not fit a {h}x{w} image with pad {pad}"
                        ),
                    )
                })?;
        let weight = self.weight(graph, layer, [out, channels, kernel, kernel], 0, weight)?;
        let y = graph.conv2d(x, weight, geometry)?;
        self.channel_bias(graph, layer, y, out, bias)
    }

    /// Transposed convolution of `x [N, C, H, W]` to `out` channels of
    /// `stride (H - 1) + kernel - 2 pad` rows.
    pub fn conv_transpose(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        square: Square,
        inits: Inits,
    ) -> Result<NodeId> {
        self.conv_transpose_padded(graph, layer, x, out, (square, 0), inits)
    }

    /// [`Net::conv_transpose`] with so many more rows and columns at the end of the
    /// output (PyTorch's `output_padding`, below the stride): what a convolution
    /// of this geometry and an odd kernel halves, 2 and 1 double again.
    pub fn conv_transpose_padded(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        (square, output_pad): (Square, usize),
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let [channels, h, w] = image(graph, "ConvTranspose2d", x)?;
        let Square {
            kernel,
            stride,
            pad,
        } = square;
        let geometry = ConvGeometry::transposed(
            [h, w],
            [kernel; 2],
            [stride; 2],
            [1; 2],
            [[pad; 2]; 2],
            [output_pad; 2],
            1,
        )
        .ok_or_else(|| {
            Error::shape(
                "ConvTranspose2d",
                format!("pad {pad} takes away all of a {h}x{w} image"),
            )
        })?;
        let weight = self.weight(graph, layer, [channels, out, kernel, kernel], 1, weight)?;
        let y = graph.conv_transpose2d(x, weight, geometry)?;
        self.channel_bias(graph, layer, y, out, bias)
    }

    pub(super) fn channel_bias(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        y: NodeId,
        out: usize,
        bias: Option<Init>,
    ) -> Result<NodeId> {
        let Some(bias) = bias else { return Ok(y) };
        let bias = self.parameter(graph, format!("{layer}.bias"), [out], bias)?;
        let bias = graph.per_channel(bias, y)?;
        graph.add(y, bias)
    }

    /// `x` where positive, else the slope times `x`, with one slope for all channels
    /// that is trained from 0.25, `<layer>.weight [1]`: `nn.PReLU()` (He et al. 2015,
    /// 1502.01852).
    ///
    /// # Errors
    /// Where the layer's name is taken by another tensor.
    pub fn prelu(&mut self, graph: &mut Graph, layer: &str, x: NodeId) -> Result<NodeId> {
        let start = Init::Constant(0.25);
        let slope = self.parameter(graph, format!("{layer}.weight"), [1], start)?;
        let zero = graph.constant(0.0, graph.shape(x).clone());
        let positive = graph.binary(Binary::Greater, x, zero)?;
        // A product, so that the gradient for x takes one kernel: a product by the factor.
        let one = graph.constant(1.0, graph.shape(x).clone());
        let factor = graph.select(positive, one, slope)?;
        graph.mul(x, factor)
    }

    /// Drops elements with probability `p` and divides the others by `1 - p`,
    /// where the mode says so.
    pub fn dropout(&self, graph: &mut Graph, x: NodeId, p: f32) -> Result<NodeId> {
        if !self.mode.dropout || p == 0.0 {
            return Ok(x);
        }
        let mask = graph.random(
            Distribution::Bernoulli(Scalar(1.0 - p)),
            graph.shape(x).clone(),
        );
        let scaled = graph.scale(x, 1.0 / (1.0 - p));
        graph.mul(scaled, mask)
    }
}

/// ReLU with a slope for negative values; 0 is the plain one.
pub fn leaky_relu(graph: &mut Graph, x: NodeId, slope: f32) -> NodeId {
    graph.unary(Unary::LeakyRelu(Scalar(slope)), x)
}

/// The largest of `pieces` neighbouring features, `[N, units * pieces]` to
/// `[N, units]` (Goodfellow et al. 2013, equation 1).
pub fn maxout(graph: &mut Graph, x: NodeId, pieces: usize) -> Result<NodeId> {
    let shape = graph.shape(x).clone();
    let [batch, features] = shape[..] else {
        return Err(Error::shape(
            "Maxout",
            format!("{shape} is not [N, features]"),
        ));
    };
    if pieces == 0 || features % pieces != 0 {
        return Err(Error::shape(
            "Maxout",
            format!("{features} features do not divide into units of {pieces} pieces"),
        ));
    }
    let pairs = graph.reshape(x, [batch, features / pieces, pieces])?;
    let largest = graph.max(pairs, &[2])?;
    graph.reshape(largest, [batch, features / pieces])
}

/// `[N, ...]` to `[N, features]`.
pub fn flatten(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let shape = graph.shape(x).clone();
    let batch = shape.first().copied().unwrap_or(1);
    graph.reshape(x, [batch, shape.numel() / batch.max(1)])
}
