//! Every form learns.

use super::{Told, digits, trained};
use crate::adapter::open;
use crate::preset::changed;

/// The ways to take classes, narrow, with a generator that stays as it is, so that the
/// discriminator's loss can only fall.
fn forms() -> Vec<(&'static str, Vec<&'static str>)> {
    let residual = [
        "model.architecture=resnet",
        "model.condition=batch-norm",
        "model.width=8",
        "data.size=16",
    ];
    let with = |more: &[&'static str]| [&residual[..], more].concat();
    vec![
        (
            "cdcgan28",
            vec![
                "model.width=4",
                "model.units=16",
                "model.init_std=0.1",
                "optimizer.d.lr=2e-3",
                "data.size=8",
            ],
        ),
        ("sngan", with(&["optimizer.d.lr=2e-3"])),
        (
            "lsgan",
            with(&[
                "model.norm_d=none",
                "model.projection=false",
                "loss.class_weight_d=1",
                "loss.class_weight_g=1",
            ]),
        ),
        ("wgan-gp", with(&["train.d_steps=1"])),
    ]
}

#[test]
fn every_form_learns() {
    let gpu = open();
    for (preset, changes) in forms() {
        let more = ["batch=16", "train.health=false", "optimizer.g.lr=0"];
        let config = changed(preset, &[&changes[..], &more].concat());
        let [data, _] = digits(config.data.size.height);
        let (session, reports) = trained(&gpu, &config, &data, 24, Told::True);
        let names = session.system().reports();
        let place = names.iter().position(|r| r.name == "loss_d").unwrap();
        let mean = |steps: &[Vec<f32>]| {
            let sum: f32 = steps.iter().map(|values| values[place]).sum();
            sum / steps.len() as f32
        };
        let (first, last) = (mean(&reports[..4]), mean(&reports[20..]));
        println!("{preset} {changes:?}: loss of D {first} to {last}");
        assert!(reports.iter().flatten().all(|x| x.is_finite()), "{preset}");
        assert!(last < first, "{preset}: {first} to {last}");
    }
}
