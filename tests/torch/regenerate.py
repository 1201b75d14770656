"""Make the golden files of tests/program/replay.rs again: `make fixtures`, or only some
of them: `make fixtures ARGS="wgan sngan"`.

Trains small runs on real images with gpugan, replays their traces in PyTorch in
float64, and writes what PyTorch computed to fixtures/<name>.json: each step's
losses and, of every tensor at the end, its shape, its largest magnitude and up
to 64 evenly spaced elements. Nothing in these files was computed by gpugan but
what the replay starts from: initial weights, latents, batches, dropout.

The program is built first, or taken from GPUGAN where that is set. Ends with
code 1, and leaves the old files, where gpugan and PyTorch disagree.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

import replay

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ELEMENTS = 64
STEPS = 20
# Room between what is accepted here and by the test, for other adapters.
TOLERANCE = replay.TOLERANCE / 2
# A case takes the first seed with which weights disturbed by this, more than
# rounding does in the end, lead to the same result (see replay.py).
DISTURBANCE = 1e-6
SEEDS = 32

# Narrow layers need large weights for signals to be as strong as in wide ones.
MLP = """--preset mlp --batch 20 --set model.hidden_g=[64,64] --set model.maxout_units=24
    --set model.irange_g=0.2 --set model.irange_d=0.05"""
CASES = {
    # The presets, narrower, with schedules that show in 20 steps. Few ReLUs are
    # few that may go either way.
    "mlp": f"""{MLP} --set optimizer.d.lr_decay=1.05 --set optimizer.d.momentum_steps=20
        --set optimizer.g.lr_decay=1.05 --set optimizer.g.momentum_steps=20""",
    "dcgan32": "--preset dcgan32 --batch 8 --set model.width=4",
    # What the presets leave out.
    "mlp-alternating": f"""{MLP} --set train.update=alternating --set train.d_steps=2
        --set train.ema_decay=0.9 --set model.output=tanh
        --set optimizer.g.kind=rmsprop --set optimizer.g.lr=1e-4 --set optimizer.g.lr_decay=1.01
        --set optimizer.d.kind=adam --set optimizer.d.lr=1e-4 --set optimizer.d.beta1=0.9""",
    "dcgan28": """--preset dcgan28 --set optimizer.g.lr=2e-4 --set train.ema_decay=0.99 --batch 8
        --set model.width=4 --set train.d_steps=2
        --set train.d_pretrain=3 --set loss.kind=minimax --set loss.real_label=0.9
        --set optimizer.g.weight_decay=1e-2
        --set optimizer.d.kind=sgd --set optimizer.d.lr=0.02 --set optimizer.d.lr_decay=1.02
        --set optimizer.d.momentum=0.5 --set optimizer.d.momentum_final=0.9
        --set optimizer.d.momentum_steps=20 --set optimizer.d.weight_decay=1e-2""",
    # Losses, penalties and stabilisers, all of them in as few runs as may be.
    "wgan": "--preset wgan --batch 8 --set model.width=4 --set loss.weight_clip=0.03",
    # Adam without a mean of gradients follows the sign of the least of them.
    "wgan-gp": """--preset wgan-gp --batch 4 --set model.width=2 --set train.d_steps=3
        --set model.init_std=0.1""",
    "sngan": "--preset sngan --batch 8 --set model.width=4",
    "relativistic": """--preset dcgan28 --batch 8 --set model.width=4 --set loss.kind=relativistic
        --set model.stem=conv --set data.size=16 --set model.norm_d=layer
        --set loss.penalty=r1 --set loss.penalty_every=4 --set loss.pack=2
        --set model.minibatch_std=2""",
    "feature-matching": """--preset dcgan28 --batch 8 --set model.width=4
        --set loss.kind=feature-matching --set loss.augment=all --set loss.instance_noise=0.1
        --set loss.instance_noise_steps=10 --set model.norm_d=group --set model.norm_groups=2""",
    "dragan": """--preset dcgan28 --batch 8 --set model.width=4 --set loss.penalty=dragan
        --set loss.kind=hinge --set train.update=simultaneous --set model.norm_d=instance""",
    "r2": """--preset dcgan28 --batch 8 --set model.width=4 --set loss.penalty=r2
        --set loss.kind=least-squares --set model.norm_d=none --set loss.real_label=0.9""",
    # Minibatch discrimination, a fixed probability of augmentation, and more
    # critic steps at first.
    "resnet": """--preset lsgan --batch 8 --set model.architecture=resnet --set data.size=16
        --set model.width=4 --set model.norm_d=layer --set model.minibatch_features=3
        --set model.minibatch_dims=2 --set loss.augment=cutout --set loss.augment_p=0.5
        --set train.d_steps_first=2 --set train.d_steps_every=8 --set train.d_steps_boost=3""",
    # A probability that follows the discriminator.
    "resnet-adaptive": """--preset sngan --batch 8 --set model.architecture=resnet
        --set data.size=16 --set model.width=4 --set model.minibatch_std=4
        --set loss.augment=color --set loss.augment_target=0.6 --set loss.augment_every=2
        --set loss.augment_images=160 --set optimizer.d.lr=2e-3""",
    # Classes beside every layer, labels of the generator's own, output padding.
    "cdcgan28": """--preset cdcgan28 --batch 8 --set model.width=4 --set model.units=16
        --set model.latent=16 --set model.init_std=0.1""",
    # Gains and offsets of classes, a projection, an auxiliary classifier.
    "resnet-classes": """--preset sngan --batch 8 --set model.architecture=resnet
        --set data.size=16 --set model.width=4 --set model.condition=batch-norm
        --set loss.class_weight_d=1 --set loss.class_weight_g=0.5""",
    "unrolled": """--preset dcgan28 --batch 8 --set model.width=4 --set train.unroll=3
        --set train.unroll_lr=0.02 --set model.norm_d=layer --set loss.kind=minimax""",
}


def program():
    """The path of gpugan."""
    if "GPUGAN" in os.environ:
        return os.environ["GPUGAN"]
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return str(Path(target) / "release" / "gpugan")


def traced(gpugan, arguments, steps):
    """The trace of a run of `steps` steps."""
    with tempfile.TemporaryDirectory() as folder:
        length = ["--steps", str(steps), "--trace", str(steps)]
        command = [gpugan, "train", "--quiet", "--outdir", folder, *arguments, *length]
        subprocess.run(command, check=True)
        (path,) = Path(folder).glob("*/trace.safetensors")
        return replay.Trace(path)


def evenly_spaced(tensor, most=ELEMENTS):
    """Up to `most` elements; element i of n is i * numel // n, as the test
    takes them."""
    flat = tensor.flatten()
    count = min(most, flat.numel())
    return [flat[i * flat.numel() // count].item() for i in range(count)]


def short(number):
    """Enough digits for a comparison to 1e-3, few enough for a small file."""
    return float(f"{number:.7g}")


def fixture(arguments, played):
    return {
        "arguments": arguments,
        "pytorch": torch.__version__.split("+")[0],
        "metrics": [[short(step[name]) for name in replay.METRICS] for step in played.steps],
        "tensors": {
            name: {
                "shape": list(tensor.shape),
                "largest": short(tensor.abs().max().item()),
                "elements": [short(x) for x in evenly_spaced(tensor)],
            }
            for name, tensor in sorted(played.state().items())
        },
    }


def written(value, depth=0):
    """JSON with a line for each tensor and step."""
    if isinstance(value, dict) and depth < 2:
        opening, closing = "{", "}"
        parts = [f"{json.dumps(key)}: {written(inner, depth + 1)}" for key, inner in value.items()]
    elif isinstance(value, list) and value and isinstance(value[0], list):
        opening, closing = "[", "]"
        parts = [json.dumps(inner) for inner in value]
    else:
        return json.dumps(value)
    indent = "\n" + " " * (depth + 1)
    return opening + indent + ("," + indent).join(parts) + "\n" + " " * depth + closing


def is_steady(played):
    """Whether a replay leads to the same result from disturbed weights."""
    for seed in range(3):
        other = replay.Replay(played.trace, torch.float64)
        other.disturb(DISTURBANCE, seed)
        other.run()
        errors = replay.compare(played, other.steps, other.state(), 0, lambda line: None)
        if not max(errors) <= TOLERANCE:
            return False
    return True


def check(name, played):
    """Ends where a run disagrees with its replay."""
    trace = played.trace
    loss, weight = replay.compare(played, trace.metrics, replay.after(trace), 0, lambda line: None)
    print(f"{name}: worst loss {loss:.1e}, worst weight {weight:.1e}", flush=True)
    if not (loss <= TOLERANCE and weight <= TOLERANCE):
        sys.exit(f"error: {name} disagrees with PyTorch by more than {TOLERANCE:g}")


def case(gpugan, name, arguments):
    """The fixture of a case."""
    for seed in range(SEEDS):
        seeded = [*arguments, "--seed", str(seed)]
        played = replay.Replay(traced(gpugan, seeded, STEPS), torch.float64)
        played.run()
        if is_steady(played):
            check(f"{name}, seed {seed}", played)
            return fixture(seeded, played)
    sys.exit(f"error: {name} is not steady with any of {SEEDS} seeds; use a smaller network")


def check_init(gpugan, name, arguments):
    """`--init` takes a state_dict that PyTorch made and trains from it."""
    trace = traced(gpugan, arguments, 1)
    torch.manual_seed(1)
    # PyTorch's own initial weights, with the batch counters of its BatchNorm.
    nets = replay.networks(trace.config, trace.image(), replay.Draws(0))
    state = {
        f"{prefix}.{tensor}": value
        for prefix, net in zip("GD", nets)
        for tensor, value in net.state_dict().items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "weights.safetensors")
        save_file(state, path)
        trace = traced(gpugan, [*arguments, "--init", path], 1)
    for tensor, value in state.items():
        if value.is_floating_point() and not torch.equal(value, trace.tensors[f"before.{tensor}"]):
            sys.exit(f"error: --init {name} changed {tensor}")
    played = replay.Replay(trace, torch.float64)
    played.run()
    check(f"{name} from weights that PyTorch made", played)


def main():
    chosen = sys.argv[1:] or list(CASES)
    gpugan = program()
    made = {name: case(gpugan, name, CASES[name].split()) for name in chosen}
    for name in {"mlp", "dcgan32"}.intersection(chosen):
        check_init(gpugan, name, CASES[name].split())
    for name, value in made.items():
        (HERE / "fixtures" / f"{name}.json").write_text(written(value) + "\n")


if __name__ == "__main__":
    main()
