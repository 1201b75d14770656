//! What is fused behind a contraction.

/// Most extra inputs an epilogue may read: WebGPU promises 8 storage bindings
/// and a contraction has three of its own.
pub const MAX_EXTRAS: usize = 5;

/// A function that every output element of a contraction goes through before
/// it is stored.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Epilogue {
    /// Number of extra read-only bindings `e0`, `e1`, ..., at most
    /// [`MAX_EXTRAS`]; they follow the contraction's inputs.
    pub extras: usize,
    /// WGSL of `fn epilogue(acc: f32, i: vec4<u32>) -> f32`. `i` are the
    /// output element's logical coordinates: (n, c, h, w) of a convolution's
    /// output, (o, c, kh, kw) of a weight gradient, (0, batch, row, column) of
    /// a matrix product. The functions of `shaders/lib/math.wgsl` are in scope.
    pub code: String,
}

impl Epilogue {
    /// Stores the contraction as it is.
    pub fn none() -> Self {
        Self {
            extras: 0,
            code: "fn epilogue(acc: f32, i: vec4<u32>) -> f32 { return acc; }".to_owned(),
        }
    }

    /// Whether it is [`Epilogue::none`].
    pub fn is_none(&self) -> bool {
        *self == Self::none()
    }

    /// Snippets of a contraction's shader; `first` is the binding number of
    /// `e0`.
    pub(super) fn snippets(&self, first: usize) -> Vec<(&'static str, String)> {
        let extras = (0..self.extras)
            .map(|extra| {
                format!(
                    "@group(0) @binding({}) var<storage, read> e{extra}: array<f32>;\n",
                    first + extra
                )
            })
            .collect();
        vec![("extras", extras), ("epilogue", self.code.clone())]
    }
}
