//! Files that do not say what they are: which preset they fit, and what is said where
//! they fit none.

use std::path::Path;

use gpugan::apply::Trained;
use gpugan::config::Config;

use crate::preset::changed;
use crate::state_dicts::{Tensors, saved, state_dict};

const RESIDUAL: [&str; 2] = ["model.width=4", "model.blocks=2"];
const UNET: [&str; 2] = ["model.width=4", "data.size=32"];

fn refusal(path: &Path, config: Option<&Config>, direction: Option<&str>) -> String {
    match Trained::open(path, config, direction, false) {
        Ok(_) => panic!("{} is taken", path.display()),
        Err(error) => error.to_string(),
    }
}

fn with(base: &[&'static str], more: &[&'static str]) -> Vec<&'static str> {
    [base, more].concat()
}

/// What is said of a file of one configuration that is given as another's.
fn mismatch(preset: &str, network: &str, of: &[&str], given: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let tensors = state_dict(&changed(preset, of), network);
    let path = saved(folder.path(), "weights", tensors);
    refusal(&path, Some(&changed(preset, given)), None)
}

#[test]
fn what_was_to_be_set_is_said() {
    let residual = |of: &[&'static str], given: &[&'static str]| {
        mismatch(
            "cyclegan",
            "G_A",
            &with(&RESIDUAL, of),
            &with(&RESIDUAL, given),
        )
    };
    let unet = |of: &[&'static str], given: &[&'static str]| {
        mismatch("pix2pix", "G", &with(&UNET, of), &with(&UNET, given))
    };
    let cases = [
        (
            residual(&["model.dropout=true"], &[]),
            "give --set model.dropout=true",
        ),
        (
            residual(&[], &["model.dropout=true"]),
            "give --set model.dropout=false",
        ),
        (
            residual(&["model.norm=batch"], &[]),
            "give --set model.norm=batch",
        ),
        (
            residual(&[], &["model.norm=none"]),
            "give --set model.norm=instance",
        ),
        (
            residual(&["model.blocks=3"], &[]),
            "give --set model.blocks=3",
        ),
        (
            residual(&["model.width=6"], &["model.dropout=true"]),
            "give --set model.width=6 --set model.dropout=false",
        ),
        (
            unet(&["model.norm=instance"], &[]),
            "give --set model.norm=instance",
        ),
        (unet(&["data.size=64"], &[]), "give --set data.size=64"),
    ];
    for (said, mend) in cases {
        assert!(said.ends_with(mend), "{said}");
    }
}

#[test]
fn the_first_tensor_that_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = changed("cyclegan", &RESIDUAL);
    let said = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = state_dict(&config, "G_B");
        change(&mut tensors);
        let path = saved(folder.path(), "weights", tensors);
        refusal(&path, Some(&config), Some("b-to-a"))
    };
    let missing = said(&|tensors| {
        tensors.remove("model.4.weight");
    });
    assert!(
        missing.contains("no tensor model.4.weight of [8, 4, 3, 3]"),
        "{missing}"
    );
    assert!(missing.contains("docs/apply.md"), "{missing}");
    let extra = said(&|tensors| {
        tensors.insert("model.99.weight".to_owned(), (vec![1], vec![0.0]));
    });
    assert!(
        extra.contains("tensor model.99.weight of [1] that is not used"),
        "{extra}"
    );
    let shaped = said(&|tensors| {
        tensors.insert("model.1.bias".to_owned(), (vec![1], vec![0.0]));
    });
    assert!(
        shaped.contains("its model.1.bias is [1], not [4]"),
        "{shaped}"
    );
}

#[test]
fn what_a_file_is_and_which_way_is_to_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let config = changed("cyclegan", &RESIDUAL);
    let path = saved(folder.path(), "weights", state_dict(&config, "G_A"));
    let untold = refusal(&path, None, None);
    assert!(
        untold.contains("--preset") && untold.contains("docs/apply.md"),
        "{untold}"
    );
    let direction = refusal(&path, Some(&config), Some("a-to-c"));
    assert!(
        direction.ends_with("use --direction a-to-b or b-to-a"),
        "{direction}"
    );
    let other = changed("dcgan28", &[]);
    let other = refusal(&path, Some(&other), None);
    assert!(
        other.contains("does not turn images into images"),
        "{other}"
    );

    // Both ways take it, at any size of multiples of 4.
    for direction in [None, Some("a-to-b"), Some("b-to-a")] {
        let trained = Trained::open(&path, Some(&config), direction, false).unwrap();
        assert_eq!(trained.any_size().unwrap().fitting([9, 4]), [12, 8]);
        assert_eq!(trained.any_size().unwrap().reach, None);
    }
    let batch = changed("cyclegan", &with(&RESIDUAL, &["model.norm=batch"]));
    let path = saved(folder.path(), "batch", state_dict(&batch, "G_A"));
    let trained = Trained::open(&path, Some(&batch), None, false).unwrap();
    assert_eq!(trained.any_size().unwrap().reach, Some(15 + 16));
}

#[test]
fn a_unet_down_to_a_pixel_takes_one_size() {
    let folder = tempfile::tempdir().unwrap();
    let opened = |changes: &[&'static str]| {
        let config = changed("pix2pix", &with(&UNET, changes));
        let path = saved(folder.path(), "weights", state_dict(&config, "G"));
        Trained::open(&path, Some(&config), None, false).unwrap()
    };
    assert_eq!(opened(&[]).any_size(), None);
    let shallow = opened(&["model.levels=3"]).any_size().unwrap();
    assert_eq!((shallow.multiple, shallow.reach), (8, None));
    let fixed = opened(&["model.levels=3", "model.at_test=fixed"]);
    assert_eq!(fixed.any_size().unwrap().reach, Some(21));
    let instance = opened(&[
        "model.levels=3",
        "model.at_test=fixed",
        "model.norm=instance",
    ]);
    assert_eq!(instance.any_size().unwrap().reach, None);
}
