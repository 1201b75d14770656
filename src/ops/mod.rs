//! From a primitive with known sizes to a kernel launch: one file a kernel
//! family, each with its parameters, its typed variants and its dispatch
//! geometry. Nothing here names wgpu.

pub mod conv;
mod epilogue;
pub mod fold;
pub mod index;
pub mod load;
pub mod map;
pub mod matmul;
pub mod norm;
pub mod optimizer;
pub mod random;
pub mod reduce;
pub mod scalar;
mod tile;
pub mod together;
pub mod tuned;
#[cfg(test)]
mod validate;
mod weight_grad;
pub mod window;
mod winograd;

pub use epilogue::{Epilogue, MAX_EXTRAS};
pub use load::Load;
pub use tile::Variant;
pub use tuned::{Contraction, Tuned};

use crate::recording::Kernel;

/// A kernel with its dispatch geometry; bindings are added when it is lowered.
#[derive(Clone, PartialEq, Debug)]
pub struct Launch {
    /// The specialised shader.
    pub kernel: Kernel,
    /// Workgroups along x, y, z.
    pub workgroups: [u32; 3],
}

/// The launches of a contraction.
#[derive(Clone, PartialEq, Debug)]
pub struct Launches {
    /// What turns an operand, in the primitive's order, into what is multiplied in its
    /// place, with the length of that. Bindings: what comes of it, the operand. The
    /// same launch makes the same of the same operand for other contractions, too.
    pub operands: [Option<(Launch, usize)>; 2],
    /// What is made of the operands, contiguous, which `last` reads in their place.
    pub between: Option<Between>,
    /// Writes the result. Bindings: the output, what it reads of operands, the
    /// epilogue's extras.
    pub last: Launch,
}

/// What a contraction makes of its operands before its last launch.
#[derive(Clone, PartialEq, Debug)]
pub enum Between {
    /// A product of them, by whatever variant suits it.
    Product(matmul::MatMul),
    /// What this launch writes, and the length of that.
    Parts(Launch, usize),
}

impl Between {
    /// The launch, whose product `choose` finds a variant for, and the length of
    /// what it writes. A product `adds` to another of its kind, which it reads last.
    pub(crate) fn launch(
        &self,
        adds: bool,
        choose: impl FnOnce(Contraction) -> Variant,
    ) -> (Launch, usize) {
        match self {
            Self::Product(product) => {
                let variant = choose(Contraction::MatMul(*product));
                let epilogue = match adds {
                    true => product.adding(),
                    false => Epilogue::none(),
                };
                (product.launch(variant, &epilogue), product.result_len())
            }
            Self::Parts(launch, len) => (launch.clone(), *len),
        }
    }
}

impl Launches {
    fn one(last: Launch) -> Self {
        Self {
            operands: [None, None],
            between: None,
            last,
        }
    }
}

/// What the choice of a variant may depend on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Facts {
    /// The adapter computes on the CPU.
    pub software: bool,
    /// Invocations of a subgroup, a power of 2 from 4 to 128; none where
    /// shaders cannot use subgroups or their size may differ between kernels.
    pub subgroup: Option<u32>,
    /// Which variant contractions take.
    pub rung: Rung,
    /// What won by measurement on this adapter, before what its facts suggest.
    pub tuned: Option<&'static Tuned>,
}

impl Facts {
    /// What won for a contraction on this adapter, if it was measured.
    fn winner(&self, contraction: impl FnOnce() -> Contraction) -> Option<Variant> {
        let tuned = self.tuned.filter(|_| self.rung == Rung::Best)?;
        tuned.winner(&contraction(), self)
    }

    /// A graphics card whose subgroups have 32 invocations; for plans and tests
    /// without one.
    pub const CARD: Self = Self {
        software: false,
        subgroup: Some(32),
        rung: Rung::Best,
        tuned: None,
    };
    /// A software driver with vectors of 8 numbers, as lavapipe.
    pub const SOFTWARE: Self = Self {
        software: true,
        subgroup: Some(8),
        rung: Rung::Best,
        tuned: None,
    };
}

/// A rung of the contractions' ladder. All but [`Rung::Best`] are there to
/// check every variant on every shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Rung {
    /// The variant that suits sizes and adapter.
    #[default]
    Best,
    /// The plain kernel.
    Plain,
    /// The n-th of the tiled kernels that the sizes allow, counted round; the
    /// plain one where they allow none.
    Tiled(usize),
    /// F(m, r) for this m where there is a filtering, for as few images at a time as can
    /// be bound; else as [`Rung::Best`].
    Winograd(u32),
}

/// Most workgroups along one dimension of a dispatch, by WebGPU's defaults.
const MAX_WORKGROUPS: usize = 65_535;

/// Workgroups for at least `threads` invocations, x first, then y; shaders
/// number them by `lib/grid.wgsl` and skip those past the end.
pub fn workgroups_of(threads: usize, workgroup_size: u32) -> [u32; 3] {
    let groups = threads.div_ceil(workgroup_size as usize).max(1);
    let rows = groups.div_ceil(MAX_WORKGROUPS);
    [groups.div_ceil(rows) as u32, rows as u32, 1]
}

/// A size or stride as a kernel constant.
fn word(size: usize) -> u32 {
    // Cannot fail: `graph::MAX_ELEMENTS` bounds every tensor, and what lowering
    // makes beside is checked where it is chosen.
    u32::try_from(size).expect("sizes and strides of a tensor are below 2^32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_covers_all_threads_within_the_limit() {
        assert_eq!(workgroups_of(0, 64), [1, 1, 1]);
        assert_eq!(workgroups_of(65, 64), [2, 1, 1]);
        for threads in [65_535 * 64, 65_535 * 64 + 1, 1 << 27] {
            let [x, y, z] = workgroups_of(threads, 64);
            assert!(x <= 65_535 && y <= 65_535 && z == 1);
            assert!(x as usize * y as usize * 64 >= threads);
        }
    }
}
