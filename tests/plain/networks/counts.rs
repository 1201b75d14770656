//! Parameters, names and places of what drops.

use std::collections::{BTreeMap, BTreeSet};

use gpugan::graph::Op;
use gpugan::nets::ImageNorm::{self, Batch, Instance, None};
use gpugan::nets::{Patches, Translator, Unet};
use gpugan::nn::Mode;

use super::fixture;
use crate::small::{
    Build, built, drawer, patches, sr_discriminator, srresnet, ternary, translator, unet,
};

/// Trained elements, and tensors as PyTorch counts them: with the number of batches
/// that each batch normalisation has seen.
fn counts(build: &Build, shape: [usize; 4]) -> (usize, usize) {
    let net = built(build, shape, Mode::TRAIN).unwrap().net;
    let seen = net.parameters().filter(|p| p.name.ends_with("running_var"));
    (net.count(), net.parameters().count() + seen.count())
}

fn reference_unet(downs: usize, norm: ImageNorm) -> Build {
    unet(Unet::new(3, 64, downs, norm, true))
}

fn reference_translator(blocks: usize, norm: ImageNorm) -> Build {
    translator(Translator {
        channels: 3,
        width: 64,
        blocks,
        norm,
        dropout: false,
    })
}

/// Counted with PyTorch from the classes of junyanz/pytorch-CycleGAN-and-pix2pix.
#[test]
fn generators_of_images_have_the_sources_parameters() {
    let image = [1, 3, 256, 256];
    for (norm, of_8, of_7) in [
        (Batch, (54_413_955, 82), (41_828_995, 70)),
        (Instance, (54_409_603, 32), (41_825_667, 28)),
        (None, (54_404_099, 17), (41_821_187, 15)),
    ] {
        assert_eq!(counts(&reference_unet(8, norm), image), of_8, "{norm:?}");
        assert_eq!(counts(&reference_unet(7, norm), image), of_7, "{norm:?}");
    }
    for (norm, of_9, of_6) in [
        (Batch, (11_383_427, 140), (7_841_411, 104)),
        (Instance, (11_378_179, 48), (7_837_699, 36)),
        (None, (11_372_931, 25), (7_833_987, 19)),
    ] {
        let nine = reference_translator(9, norm);
        assert_eq!(counts(&nine, image), of_9, "{norm:?}");
        let six = reference_translator(6, norm);
        assert_eq!(counts(&six, image), of_6, "{norm:?}");
    }
}

#[test]
fn discriminators_of_patches_have_the_sources_parameters() {
    let count = |channels, layers, norm| {
        let build = patches(64, layers, norm);
        counts(&build, [1, channels, 256, 256])
    };
    assert_eq!(count(3, 3, Batch), (2_765_633, 22));
    assert_eq!(count(3, 3, Instance), (2_764_737, 10));
    assert_eq!(count(3, 3, None), (2_763_841, 7));
    assert_eq!(count(6, 3, Batch), (2_768_705, 22));
    assert_eq!(count(6, 3, Instance), (2_767_809, 10));
    assert_eq!(count(6, 3, None), (2_766_913, 7));
    assert_eq!(count(3, 0, Batch), (8_832, 9));
    assert_eq!(count(3, 0, Instance), (8_705, 6));
    assert_eq!(count(3, 0, None), (8_576, 4));
    assert_eq!(count(6, 0, Batch), (9_024, 9));
    assert_eq!(count(6, 0, Instance), (8_897, 6));
    assert_eq!(count(6, 0, None), (8_768, 4));
    for (layers, batch, instance) in [
        (1, 139_585, 139_457),
        (2, 666_433, 666_049),
        (4, 6_964_033, 6_962_625),
        (5, 11_159_361, 11_157_441),
        (6, 15_354_689, 15_352_257),
    ] {
        assert_eq!(count(6, layers, Batch).0, batch, "{layers}");
        assert_eq!(count(6, layers, Instance).0, instance, "{layers}");
    }
}

/// The U-Net of 16, 32, 64, 64, 64 channels, with the biases that the source has: none
/// beside batch normalisation. With biases at both unnormalised convolutions, of 16 and
/// 64 channels, there would be 80 more.
fn small_unet() -> Unet {
    Unet {
        most: 4,
        dropped: 0..2,
        ..Unet::new(3, 16, 5, Batch, true)
    }
}

#[test]
fn small_networks_have_the_sums_of_their_layers() {
    let image = [2, 3, 32, 32];
    assert_eq!(counts(&unet(small_unet()), image).0, 453_539);
    let whole = unet(Unet::new(3, 16, 5, Batch, true));
    assert_eq!(counts(&whole, image).0, 1_043_619);
    let small = translator(Translator {
        channels: 3,
        width: 16,
        blocks: 3,
        norm: Instance,
        dropout: false,
    });
    assert_eq!(counts(&small, image).0, 272_515);
    assert_eq!(counts(&patches(16, 2, Instance), image).0, 42_865);
    let pairs = [2, 6, 32, 32];
    assert_eq!(counts(&patches(16, 2, Batch), pairs).0, 43_729);
}

#[test]
fn networks_that_enlarge_have_the_papers_parameters() {
    assert_eq!(counts(&srresnet(64, 16, 4), [1, 3, 24, 24]).0, 1_547_350);
    let d = sr_discriminator(64, 4, 1024);
    assert_eq!(counts(&d, [1, 3, 96, 96]).0, 23_563_649);
    // 7 of them are slopes, as 19 of the paper's are.
    assert_eq!(counts(&srresnet(24, 4, 4), [1, 3, 8, 8]).0, 100_450);
    let d = sr_discriminator(16, 3, 128);
    assert_eq!(counts(&d, [1, 3, 32, 32]).0, 203_617);
}

/// Sums by hand.
#[test]
fn networks_of_domain_transfer_have_the_sums_of_their_layers() {
    let g = drawer(1, 32, 128);
    let weights = 128 * 512 * 16 + 512 * 256 * 9 + 256 * 128 * 9 + 128 * 9;
    let tensors = built(&g, [1, 128], Mode::TRAIN).unwrap().net;
    assert_eq!(tensors.count(), weights + 2 * (512 + 256 + 128) + 1);
    let weights = 128 * 9 + 128 * 256 * 9 + 256 * 512 * 9 + 512 * 3 * 16;
    let d = counts(&ternary(128), [1, 1, 32, 32]).0;
    assert_eq!(d, weights + 2 * (256 + 512) + 128 + 3);
}

#[test]
fn tensors_have_the_names_and_shapes_of_pytorch_modules() {
    let large: [(&str, Build, [usize; 4]); 8] = [
        (
            "unet of 8, batch",
            reference_unet(8, Batch),
            [1, 3, 256, 256],
        ),
        (
            "unet of 7, instance",
            reference_unet(7, Instance),
            [1, 3, 128, 128],
        ),
        (
            "translator of 9, instance",
            reference_translator(9, Instance),
            [1, 3, 256, 256],
        ),
        (
            "translator of 6, batch, dropout",
            translator(Translator {
                channels: 3,
                width: 64,
                blocks: 6,
                norm: Batch,
                dropout: true,
            }),
            [1, 3, 128, 128],
        ),
        (
            "patches of 3, batch",
            patches(64, 3, Batch),
            [1, 6, 256, 256],
        ),
        (
            "pixels, instance",
            patches(64, 0, Instance),
            [1, 6, 256, 256],
        ),
        ("srresnet", srresnet(64, 16, 4), [1, 3, 24, 24]),
        (
            "srresnet's discriminator",
            sr_discriminator(64, 4, 1024),
            [1, 3, 96, 96],
        ),
    ];
    let mut names = fixture().names;
    for (name, build, shape) in large {
        let mut wanted = names.remove(name).unwrap();
        // How many batches were seen matters to no result.
        wanted.retain(|key, _| !key.ends_with("num_batches_tracked"));
        let net = built(&build, shape, Mode::TRAIN).unwrap().net;
        let found: BTreeMap<String, Vec<usize>> = net
            .parameters()
            .map(|p| (p.name["net.".len()..].to_owned(), p.shape.to_vec()))
            .collect();
        assert_eq!(found, wanted, "{name}");
    }
    assert!(names.is_empty(), "{:?}", names.keys());
}

/// Names written out from the source's rules, apart from the modules of the fixture.
#[test]
fn nested_levels_have_the_names_of_the_source() {
    let net = built(&reference_unet(8, Batch), [1, 3, 256, 256], Mode::TRAIN);
    let net = net.unwrap().net;
    let names: BTreeSet<&str> = net.parameters().map(|p| &p.name["net.".len()..]).collect();
    let inner = "model.model.1.model.3.model.3.model.3.model.3.model.3.model.3";
    for name in [
        "model.model.0.weight".to_owned(),
        "model.model.3.bias".to_owned(),
        "model.model.1.model.2.running_mean".to_owned(),
        "model.model.1.model.6.bias".to_owned(),
        "model.model.1.model.3.model.5.weight".to_owned(),
        format!("{inner}.model.1.weight"),
        format!("{inner}.model.3.weight"),
        format!("{inner}.model.4.running_var"),
    ] {
        assert!(names.contains(&*name), "{name}");
    }
    let none = [
        "model.model.0.bias".to_owned(),
        format!("{inner}.model.2.weight"),
    ];
    assert!(none.iter().all(|name| !names.contains(&**name)));
}

/// Sides of what is dropped, in the order of the layers.
fn dropped(build: &Build, side: usize, mode: Mode) -> Vec<usize> {
    let built = built(build, [1, 3, side, side], mode).unwrap();
    let nodes = built.graph.nodes().iter();
    let masks = nodes.filter(|node| matches!(node.op, Op::Random { .. }));
    masks.map(|node| node.shape[3]).collect()
}

#[test]
fn dropout_is_where_the_source_has_it() {
    let dropping = |downs| unet(Unet::new(3, 4, downs, Batch, true));
    assert_eq!(dropped(&dropping(8), 256, Mode::TRAIN), [4, 8, 16]);
    assert_eq!(dropped(&dropping(7), 128, Mode::TRAIN), [4, 8]);
    assert_eq!(dropped(&dropping(6), 64, Mode::TRAIN), [4]);
    for downs in [2, 4, 5] {
        let none = dropped(&dropping(downs), 1 << downs, Mode::TRAIN);
        assert!(none.is_empty(), "{downs}");
    }
    assert_eq!(dropped(&unet(small_unet()), 32, Mode::TRAIN), [2, 4]);
    assert!(dropped(&dropping(8), 256, Mode::EVAL).is_empty());
    let without = unet(Unet::new(3, 4, 8, Batch, false));
    assert!(dropped(&without, 256, Mode::TRAIN).is_empty());
    let blocks = translator(Translator {
        channels: 3,
        width: 4,
        blocks: 2,
        norm: Instance,
        dropout: true,
    });
    assert_eq!(dropped(&blocks, 16, Mode::TRAIN), [4, 4]);
}

/// A whole batch normalisation at inference needs no tensor that training has not.
#[test]
fn use_and_training_have_the_same_tensors() {
    for build in [
        unet(small_unet()),
        srresnet(4, 2, 4),
        translator(Translator {
            channels: 3,
            width: 4,
            blocks: 1,
            norm: Batch,
            dropout: true,
        }),
    ] {
        let [trained, used] = [Mode::TRAIN, Mode::EVAL].map(|mode| {
            let net = built(&build, [1, 3, 32, 32], mode).unwrap().net;
            net.parameters().cloned().collect::<Vec<_>>()
        });
        assert_eq!(trained, used);
    }
}

#[test]
fn patches_are_as_many_and_as_wide_as_in_the_paper() {
    let of = |layers| Patches {
        width: 1,
        layers,
        norm: None,
    };
    let fields: Vec<usize> = (0..=6).map(|layers| of(layers).field()).collect();
    assert_eq!(fields, [1, 16, 34, 70, 142, 286, 574]);
    for (layers, side, logits) in [
        (3, 256, Some(30)),
        (3, 128, Some(14)),
        (3, 64, Some(6)),
        (3, 32, Some(2)),
        (2, 32, Some(6)),
        (1, 32, Some(14)),
        (4, 32, Option::None),
        (6, 256, Some(2)),
        (0, 32, Some(32)),
    ] {
        let found = of(layers).logits([side, side]);
        assert_eq!(found, logits.map(|side| [side, side]), "{layers} {side}");
        let built = built(&patches(1, layers, None), [1, 3, side, side], Mode::TRAIN);
        match logits {
            Some(side) => {
                let built = built.unwrap();
                assert_eq!(built.graph.shape(built.y)[..], [1, 1, side, side]);
            }
            Option::None => assert!(built.is_err()),
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let fails = |build: Build, shape: &[usize]| {
        assert!(built(&build, shape.to_vec(), Mode::TRAIN).is_err());
    };
    fails(unet(small_unet()), &[1, 3, 48, 32]);
    fails(unet(Unet::new(3, 4, 1, Batch, false)), &[1, 3, 32, 32]);
    fails(reference_translator(1, Batch), &[1, 3, 32, 30]);
    fails(reference_translator(1, Batch), &[1, 3, 4, 32]);
    fails(srresnet(4, 1, 3), &[1, 3, 8, 8]);
    fails(drawer(1, 33, 4), &[1, 8]);
    fails(drawer(1, 32, 4), &[1, 8, 2, 2]);
    fails(ternary(4), &[1, 3, 32, 28]);
}
