//! Which losses, penalties, stabilisers and networks go together. Those that only
//! add up are allowed: spectral normalisation with a penalty, packing with
//! minibatch discrimination, R1 with any loss.

use super::settings::{Play, Settings, Update};
use crate::adversarial::{Augment, Level, Loss, LossKind, Penalty};
use crate::config::{Config, Refusal, refuse};
use crate::error::Result;
use crate::nets::{Norm, Pair};

/// What does not go together in a configuration.
///
/// # Errors
/// Where it is another system's.
pub(super) fn refusals(config: &Config) -> Result<Vec<Option<Refusal>>> {
    let settings = Settings::of(config)?;
    // Channels and classes are not known yet, and nothing here depends on them.
    let image = [1, settings.size.height, settings.size.width];
    let pair = settings.pair(config, image, 0)?;
    let mut all = pair.family().refusals(settings.size);
    all.extend(updates(&settings));
    all.extend(groups(&settings, &pair));
    all.extend(bounds(&settings, &pair));
    all.extend(unused_keys(&settings));
    all.extend(augmentation(&settings, &pair));
    all.extend(minibatches(&settings, &pair));
    all.extend(unrolling(&settings));
    all.extend(conditions(&settings, &pair));
    Ok(all)
}

/// The order and the rates of updates.
fn updates(settings: &Settings) -> Vec<Option<Refusal>> {
    let play = &settings.play;
    let simultaneous = play.update == Update::Simultaneous;
    let alone = [
        ("train.unroll", play.unroll > 0, "0"),
        ("loss.penalty_every", settings.loss.penalty_every > 1, "1"),
        ("train.d_steps_first", play.d_steps_first > 0, "0"),
        ("train.d_steps_every", play.d_steps_every > 0, "0"),
    ];
    let mut all = vec![refuse(
        simultaneous && play.d_steps != 1,
        format!(
            "train.d_steps = {} does not fit train.update = simultaneous, which steps both networks once from one batch",
            play.d_steps
        ),
        "use train.d_steps = 1 or train.update = alternating",
    )];
    for (name, optimizer) in [("g", &settings.g), ("d", &settings.d)] {
        all.push(optimizer.floor_above(name));
    }
    all.extend(alone.map(|(key, set, value)| {
        refuse(
            simultaneous && set,
            format!("{key} does not fit train.update = simultaneous, which takes both gradients from one pass"),
            format!("use {key} = {value} or train.update = alternating"),
        )
    }));
    all
}

/// What looks at several images together.
fn groups(settings: &Settings, pair: &Pair) -> Vec<Option<Refusal>> {
    let (batch, pack) = (settings.batch, settings.loss.pack);
    let judged = batch / pack;
    let std = pair
        .family()
        .compared()
        .map_or(0, |compared| compared.minibatch_std);
    vec![
        refuse(
            !batch.is_multiple_of(pack),
            format!("loss.pack = {pack} does not divide batch = {batch}"),
            format!(
                "use a multiple, such as batch = {}",
                batch.next_multiple_of(pack)
            ),
        ),
        refuse(
            std > 0 && !judged.is_multiple_of(std),
            format!(
                "model.minibatch_std = {std} does not divide the {judged} inputs of the discriminator"
            ),
            format!(
                "use a batch of {}",
                pack * judged.next_multiple_of(std.max(1))
            ),
        ),
    ]
}

/// What bounds the slope of the discriminator: one way, and one that works.
fn bounds(settings: &Settings, pair: &Pair) -> Vec<Option<Refusal>> {
    let Loss {
        kind,
        penalty,
        real_label,
        weight_clip,
        ..
    } = settings.loss;
    let norm = pair
        .family()
        .normalised()
        .map(|normalised| normalised.norm_d);
    let clipped = weight_clip > 0.0;
    let spectral = settings.model.spectral_norm;
    let other = if spectral {
        "model.spectral_norm"
    } else {
        "loss.penalty"
    };
    vec![
        refuse(
            penalty != Penalty::None && norm == Some(Norm::Batch),
            "loss.penalty does not fit model.norm_d = batch: batch normalisation makes an image's score depend on all others, so there is no gradient of a single image to bound",
            "use model.norm_d = layer, instance, group or none",
        ),
        refuse(
            spectral && norm.is_some_and(|norm| norm != Norm::None),
            format!(
                "model.spectral_norm does not fit model.norm_d = {}: a division by the deviation undoes the bound on the weights",
                norm.map(Norm::word).unwrap_or_default()
            ),
            "use model.norm_d = none",
        ),
        refuse(
            clipped && (settings.loss.bounds_slope() || spectral),
            format!(
                "loss.weight_clip and {other} both bound the discriminator's slope, each in its own way"
            ),
            "use one of them; the penalty and spectral normalisation train better than clipping",
        ),
        refuse(
            kind == LossKind::Wasserstein && !clipped && !spectral && penalty == Penalty::None,
            "loss.kind = wasserstein has no optimum for a critic with an unbounded slope",
            "use loss.penalty = gradient, model.spectral_norm = true or loss.weight_clip = 0.01",
        ),
        refuse(
            clipped && kind != LossKind::Wasserstein,
            format!(
                "loss.weight_clip = {weight_clip:?} does not fit loss.kind = {}: clipped weights bound the scores of a critic, and cannot reach the targets or margins of other losses",
                kind.word()
            ),
            "use loss.kind = wasserstein, or model.spectral_norm = true, which bounds the slope for every loss",
        ),
        refuse(
            real_label != 1.0 && !kind.facts().form.has_target(),
            format!(
                "loss.real_label = {real_label:?} is a target, and loss.kind = {} has none",
                kind.word()
            ),
            "use loss.real_label = 1.0, or a loss with targets, such as non-saturating or least-squares",
        ),
    ]
}

/// Keys that another key leaves without effect.
fn unused_keys(settings: &Settings) -> Vec<Option<Refusal>> {
    let Loss {
        penalty,
        penalty_weight,
        penalty_every,
        instance_noise,
        instance_noise_steps,
        ..
    } = settings.loss;
    let Play {
        update,
        d_steps,
        d_steps_boost,
        d_steps_first,
        d_steps_every,
        ..
    } = settings.play;
    let boosts = d_steps_first > 0 || d_steps_every > 0;
    vec![
        refuse(
            penalty == Penalty::None && penalty_every > 1,
            format!("loss.penalty_every = {penalty_every} has no loss.penalty to apply less often"),
            "use loss.penalty_every = 1, or a penalty, such as loss.penalty = r1",
        ),
        refuse(
            penalty != Penalty::None && penalty_weight == 0.0,
            format!(
                "loss.penalty = {} costs a pass, but loss.penalty_weight = 0.0 ignores it",
                penalty.word()
            ),
            "use loss.penalty = none, or a weight, such as loss.penalty_weight = 10.0",
        ),
        refuse(
            instance_noise == 0.0 && instance_noise_steps > 0,
            format!("loss.instance_noise_steps = {instance_noise_steps} has no noise to lower"),
            "use loss.instance_noise_steps = 0, or some noise, such as loss.instance_noise = 0.1",
        ),
        refuse(
            boosts && update == Update::Alternating && d_steps_boost < d_steps,
            format!(
                "train.d_steps_boost = {d_steps_boost} is fewer than train.d_steps = {d_steps}"
            ),
            "use a boost above train.d_steps, or train.d_steps_first = 0 and train.d_steps_every = 0",
        ),
    ]
}

fn augmentation(settings: &Settings, pair: &Pair) -> Vec<Option<Refusal>> {
    let Loss {
        kind,
        augment,
        augment_p,
        augment_target,
        ..
    } = settings.loss;
    let size = settings.size;
    let adaptive = augment_target > 0.0;
    let moves = matches!(augment, Augment::Translation | Augment::All);
    vec![
        refuse(
            augment == Augment::None && augment_p < 1.0,
            format!("loss.augment_p = {augment_p:?} has no effect with loss.augment = none"),
            "use loss.augment = all, or leave loss.augment_p out",
        ),
        refuse(
            augment == Augment::None && adaptive,
            format!(
                "loss.augment_target = {augment_target:?} has no augmentation to adapt: loss.augment = none"
            ),
            "use loss.augment = all, or leave loss.augment_target out",
        ),
        refuse(
            adaptive && matches!(kind.facts().level, Level::Middle | Level::OtherMean),
            format!(
                "loss.augment_target uses the sign of D, but loss.kind = {} only uses differences of scores, so their sign means nothing",
                kind.word()
            ),
            "use a fixed probability, such as loss.augment_p = 0.3, or loss.kind = hinge or non-saturating",
        ),
        refuse(
            augment != Augment::None && pair.family().of_points(),
            format!(
                "loss.augment = {} is for images, but model.architecture = {} is for points",
                augment.word(),
                settings.model.architecture
            ),
            "use loss.augment = none; loss.instance_noise works on points",
        ),
        refuse(
            moves && size.height.min(size.width) < 8,
            format!(
                "loss.augment = {} shifts by up to an eighth of the image, which is less than a pixel of data.size = {size}",
                augment.word()
            ),
            "use loss.augment = color or cutout, or images of at least 8 pixels",
        ),
    ]
}

/// What compares the images of a batch.
fn minibatches(settings: &Settings, pair: &Pair) -> Vec<Option<Refusal>> {
    let compared = pair.family().compared();
    let std = compared.map_or(0, |compared| compared.minibatch_std);
    let features = compared.map_or(0, |compared| compared.minibatch_features);
    let judged = settings.batch / settings.loss.pack;
    let kind = settings.loss.kind;
    let slope = settings.loss.bounds_slope();
    vec![
        refuse(
            std == 1,
            "model.minibatch_std = 1 is the deviation of one image from itself",
            "use groups of 2 or more, such as model.minibatch_std = 4, or 0 for none",
        ),
        refuse(
            features > 0 && judged < 2,
            format!(
                "model.minibatch_features = {features} compares the discriminator's inputs, of which batch = {} and loss.pack = {} leave one",
                settings.batch, settings.loss.pack
            ),
            "use a batch of at least 2 packs, or model.minibatch_features = 0",
        ),
        refuse(
            features > 0 && slope,
            format!(
                "model.minibatch_features does not fit loss.penalty = {}: every image's score depends on how near all others are, so there is no gradient of a single image whose norm could be held at 1",
                settings.loss.penalty.word()
            ),
            "use model.minibatch_std, on which the others have little effect, or loss.penalty = r1",
        ),
        refuse(
            kind == LossKind::FeatureMatching && (std > 0 || features > 0),
            "loss.kind = feature-matching teaches the generator by features of single images; what model.minibatch_std and model.minibatch_features add after them does not reach it",
            "use loss.kind = non-saturating, or leave the two out",
        ),
    ]
}

/// The updates that the generator looks through are those of the plain loss.
fn unrolling(settings: &Settings) -> Vec<Option<Refusal>> {
    let unroll = settings.play.unroll;
    let Loss {
        kind,
        penalty,
        weight_clip,
        ..
    } = settings.loss;
    vec![
        refuse(
            unroll > 0 && kind != LossKind::Minimax,
            format!(
                "train.unroll = {unroll} needs the value of the minimax game, but loss.kind = {} is another",
                kind.word()
            ),
            "use loss.kind = minimax, or train.unroll = 0",
        ),
        refuse(
            unroll > 0 && penalty != Penalty::None,
            format!(
                "train.unroll = {unroll} only looks ahead along the loss, without loss.penalty = {}",
                penalty.word()
            ),
            "use train.unroll = 0, or bound the slope with model.spectral_norm = true and no penalty",
        ),
        refuse(
            unroll > 0 && weight_clip > 0.0,
            format!(
                "train.unroll = {unroll} looks ahead through gradient descent, which loss.weight_clip = {weight_clip:?} would interrupt"
            ),
            "use train.unroll = 0, or model.spectral_norm = true instead of clipping",
        ),
    ]
}

/// What classes go together with.
fn conditions(settings: &Settings, pair: &Pair) -> Vec<Option<Refusal>> {
    let condition = pair.family().condition();
    let architecture = &settings.model.architecture;
    let loss = &settings.loss;
    let normalised = condition.is_some_and(|known| known.batch_normalised);
    let other = if settings.model.spectral_norm {
        "model.spectral_norm"
    } else {
        "loss.penalty"
    };
    vec![
        refuse(
            condition.is_some() && loss.pack > 1,
            format!(
                "loss.pack = {} combines images of several classes into one input",
                loss.pack
            ),
            "use loss.pack = 1",
        ),
        refuse(
            normalised && (settings.model.spectral_norm || loss.penalty != Penalty::None),
            format!(
                "{other} does not fit the batch normalisation of model.architecture = {architecture}"
            ),
            "use model.architecture = resnet with model.condition = batch-norm and model.norm_d = none",
        ),
        refuse(
            loss.classifies() && !condition.is_some_and(|known| known.classifies),
            format!(
                "loss.class_weight_d and loss.class_weight_g need a discriminator that tells classes apart, which model.architecture = {architecture} does not have here"
            ),
            "use model.architecture = resnet with model.condition = batch-norm, or weights of 0.0",
        ),
        refuse(
            loss.class_weight_g > 0.0 && loss.class_weight_d == 0.0,
            "loss.class_weight_g teaches classes that loss.class_weight_d = 0.0 never learns",
            "use loss.class_weight_d = 1.0, or loss.class_weight_g = 0.0",
        ),
        refuse(
            condition.is_some_and(|known| !known.judges)
                && (loss.class_weight_d == 0.0 || loss.class_weight_g == 0.0),
            "nothing teaches the generator what its classes are",
            "use model.projection = true, or loss.class_weight_d = 1.0 and loss.class_weight_g = 1.0",
        ),
        refuse(
            loss.classifies() && settings.play.unroll > 0,
            "train.unroll only looks ahead along the loss, without loss.class_weight_d",
            "use train.unroll = 0, or class weights of 0.0",
        ),
    ]
}
