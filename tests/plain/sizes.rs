//! Sizes that no kernel can count.

use gpugan::graph::{Graph, MAX_ELEMENTS, Role};
use gpugan::ops::Facts;
use gpugan::run::blueprint::Blueprint;
use gpugan::systems::{self, Given};
use gpugan::{Error, Result};

use crate::preset::changed;

/// The blueprint of a preset with changes, as far as it comes.
fn planned(preset: &str, changes: &[&str], facts: &Facts) -> Result<Blueprint> {
    let config = changed(preset, changes);
    let system = systems::open(&config, &Given::presumed(&config, 3))?;
    Blueprint::new(&config, &*system, facts)
}

#[test]
fn tensors_of_more_elements_than_kernels_count_are_refused() {
    for (preset, changes) in [
        ("dcgan64", &["batch=65536"][..]),
        ("mlp", &["model.hidden_g=[65536,65536]"]),
        (
            "mlp",
            &["model.maxout_units=65536", "model.maxout_pieces=64"],
        ),
        ("dcgan64", &["model.width=1024", "data.size=1024"]),
        ("vae", &["model.hidden=65536", "batch=65536"]),
        ("rbm", &["model.hidden=65536", "batch=65536"]),
        ("made", &["model.hidden=[65536,65536]"]),
    ] {
        for facts in [Facts::CARD, Facts::SOFTWARE] {
            match planned(preset, changes, &facts) {
                Err(error @ Error::Size { .. }) => {
                    assert_eq!(error.exit_code(), 2);
                    let text = error.to_string();
                    assert!(text.contains("2147483648 elements"), "{text}");
                    assert_eq!(text.lines().count(), 1, "{text}");
                }
                Err(other) => panic!("{preset} {changes:?}: {other}"),
                Ok(_) => panic!("{preset} {changes:?} is planned"),
            }
        }
    }
}

#[test]
fn the_largest_first_size_is_named_and_fits() {
    let mut graph = Graph::new();
    let refused = graph.declare("w", [1 << 20, 3, 1000], Role::Parameter);
    let text = refused.unwrap_err().to_string();
    let largest = MAX_ELEMENTS / 3000;
    assert!(
        text.contains(&format!("may be at most {largest}")),
        "{text}"
    );
    graph
        .declare("w", [largest, 3, 1000], Role::Parameter)
        .unwrap();
    // Products beyond 64 bits are as good as any that are too large.
    let huge = [1 << 16; 6];
    assert!(graph.declare("h", huge, Role::Parameter).is_err());
    assert!(graph.declare("none", [0, 4], Role::Parameter).is_err());
}
