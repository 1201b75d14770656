//! Both directions, and what belongs to each by name.

/// The images of both sides.
pub(super) const REAL_A: &str = "real_a";
pub(super) const REAL_B: &str = "real_b";

/// One direction of two. What is named `a` here belongs to the direction from A to B.
pub(super) struct Direction {
    /// The network that translates.
    pub(super) generator: &'static str,
    /// The network that judges what it makes.
    pub(super) discriminator: &'static str,
    /// The images that it translates, and those that its own are to be like.
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    /// What it has made of the last batch, kept for the discriminator.
    pub(super) made: &'static str,
    /// The pool of what it has made, and how many images were put in.
    pub(super) pool: [&'static str; 2],
    /// Reports: losses of D and G, cycle, identity.
    pub(super) reports: [&'static str; 4],
    pub(super) labels: [&'static str; 4],
    /// The view.
    pub(super) view: &'static str,
}

pub(super) const DIRECTIONS: [Direction; 2] = [
    Direction {
        generator: "G_A",
        discriminator: "D_A",
        from: REAL_A,
        to: REAL_B,
        made: "made_b",
        pool: ["pool_b", "pool_b.count"],
        reports: ["loss_d_a", "loss_g_a", "cycle_a", "identity_a"],
        labels: ["loss D_A", "loss G_A", "cycle A", "identity A"],
        view: "a-to-b",
    },
    Direction {
        generator: "G_B",
        discriminator: "D_B",
        from: REAL_B,
        to: REAL_A,
        made: "made_a",
        pool: ["pool_a", "pool_a.count"],
        reports: ["loss_d_b", "loss_g_b", "cycle_b", "identity_b"],
        labels: ["loss D_B", "loss G_B", "cycle B", "identity B"],
        view: "b-to-a",
    },
];
