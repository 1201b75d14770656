"""Train PyTorch's DCGAN as gpugan trained its own, and score both alike:

    gpugan compare --data target/data/mnist --presets dcgan28
    python benches/peers/torch_dcgan.py --outdir runs/compare

For every finished dcgan28 run of the folder, this trains the same networks (they
are those of tests/torch/replay.py) from the same distribution of initial weights
on the same images with the same optimiser, batch and number of steps, seeded by
the run's seed, whose random numbers are not gpugan's. The averaged generator is
written in place of gpugan's into a copy of the run's checkpoint, under
`torch/seed<n>/`, and `gpugan eval` scores the samples of both. Printed are both
scores of each seed, and their means and standard deviations.

The program is taken from GPUGAN, or from target/release.
"""

import argparse
import copy
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "torch"))
import replay  # noqa: E402


def images(folder):
    """Training images of an IDX folder, [N, 1, H, W] bytes."""
    path = Path(folder) / "train-images-idx3-ubyte"
    if path.exists():
        data = path.read_bytes()
    else:
        data = gzip.decompress(path.with_name(path.name + ".gz").read_bytes())
    shape = np.frombuffer(data, ">u4", 3, 4).tolist()
    pixels = np.frombuffer(data, np.uint8, offset=16).copy()
    return torch.from_numpy(pixels).reshape(shape[0], 1, *shape[1:])


def start(net, config):
    """The initial weights: normal, scales of batch normalisation about 1."""
    std = config["model"]["init_std"]
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)
        elif isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def shuffled(data, batch):
    """Batches in [-1, 1], every image once before any a second time."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < batch:
            order = torch.cat([order, torch.randperm(len(data))])
        chosen, order = order[:batch], order[batch:]
        yield data[chosen].float() / 127.5 - 1


def train(config, data):
    """The averaged generator after the configuration's steps, and seconds a step."""
    torch.manual_seed(config["seed"])
    g, d = replay.networks(config, tuple(data.shape[1:]), None)
    for net in (g, d):
        start(net, config)
    average = copy.deepcopy(g)
    optimizers = {
        name: replay.optimizer(net, config["optimizer"][name])
        for name, net in (("g", g), ("d", d))
    }
    batches = shuffled(data, config["batch"])
    kind, latent = config["loss"]["kind"], config["model"]["latent"]
    begin = time.perf_counter()
    for step in range(1, config["steps"] + 1):
        for _ in range(config["train"]["d_steps"]):
            with torch.no_grad():
                fake = g(torch.randn(config["batch"], latent))
            loss = replay.discriminator_loss(config["loss"], d(next(batches)), d(fake))
            optimizers["d"].zero_grad()
            loss.backward()
            optimizers["d"].step()
        loss = replay.generator_loss(kind, None, (d(g(torch.randn(config["batch"], latent))), None))
        optimizers["g"].zero_grad()
        loss.backward()
        optimizers["g"].step()
        decay = min(config["train"]["ema_decay"], step / (step + 9))
        new = g.state_dict()
        for name, tensor in average.state_dict().items():
            if tensor.is_floating_point():
                tensor.mul_(decay).add_(new[name], alpha=1 - decay)
    return average, (time.perf_counter() - begin) / config["steps"]


def with_generator(checkpoint, generator, out):
    """A copy of a checkpoint with another averaged generator."""
    with safe_open(checkpoint, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        metadata = {k: v for k, v in file.metadata().items() if k != "crc32"}
    ours = {name for name in tensors if name.startswith("G_ema.")}
    theirs = {
        f"G_ema.{name}": tensor.detach().clone()
        for name, tensor in generator.state_dict().items()
        if tensor.is_floating_point()
    }
    assert ours == set(theirs), ours ^ set(theirs)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors | theirs, out, metadata)


def scores(program, checkpoint, metrics, samples):
    """Name to value, by `gpugan eval`."""
    command = [program, "eval", "--checkpoint", checkpoint, "--json"]
    command += ["--metrics", metrics, "--samples", str(samples)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return {score["name"]: score["value"] for score in json.loads(out)["scores"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--outdir", type=Path, default=Path("runs/compare"), help="of the runs")
    parser.add_argument("--preset", default="dcgan28", help="of the runs")
    parser.add_argument("--metrics", default="frechet,kernel")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    program = os.environ.get("GPUGAN", ROOT / "target" / "release" / "gpugan")
    figures = {"gpugan": [], "PyTorch": []}
    for folder in sorted(options.outdir.glob(f"*-{options.preset}-*")):
        config = tomllib.loads((folder / "config.toml").read_text())
        checkpoint = folder / f"checkpoint-{config['steps']:06}.safetensors"
        if config["preset"] != options.preset or not checkpoint.exists():
            continue
        average, seconds = train(config, images(config["data"]["source"]))
        copied = options.outdir / "torch" / f"seed{config['seed']}" / checkpoint.name
        with_generator(checkpoint, average, copied)
        for name, path in (("gpugan", checkpoint), ("PyTorch", copied)):
            found = scores(program, path, options.metrics, options.samples)
            figures[name].append(found)
            line = ", ".join(f"{score} {value:.4g}" for score, value in found.items())
            print(f"seed {config['seed']}, {name}: {line}", flush=True)
        print(f"seed {config['seed']}, PyTorch: {1e3 * seconds:.1f} ms a step", flush=True)
    if not figures["gpugan"]:
        sys.exit(f"error: no finished {options.preset} run in {options.outdir}")
    for name, runs in figures.items():
        for score in runs[0]:
            values = [run[score] for run in runs]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            print(f"{name}: {score} {statistics.mean(values):.4g} ± {spread:.2g}")


if __name__ == "__main__":
    main()
