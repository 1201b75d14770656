"""Replay a trace of a system with a likelihood in PyTorch: the variational
autoencoder, MADE, the fully visible belief network.

`replay_likelihood.py TRACE.safetensors` compares one (`gpugan train --trace N`) as
replay.py does, with the same tolerances. Without a trace it makes the golden files of
tests/program/replay.rs again as regenerate.py does, all or those of the names given:
`replay_likelihood.py --fixtures vae made`.
"""

import argparse
import math
import sys

import torch
from torch import nn
from torch.nn import functional

import regenerate
import replay

REPORTS = {"vae": ["loss", "reconstruction", "kl"], "made": ["loss"], "fvbn": ["loss"]}
NETWORKS = {"vae": "VAE", "made": "MADE", "fvbn": "FVBN"}
# Steps on few pixels, but with all that the keys change.
CASES = {
    "vae": "--preset vae --batch 16 --set data.size=8 --set model.hidden=24 --set model.latent=4",
    "vae-binary": """--preset vae --batch 16 --set data.size=8 --set model.hidden=24
        --set model.latent=4 --set model.binary=threshold --set optimizer.vae.kind=rmsprop""",
    "made": "--preset made --batch 16 --set data.size=8 --set model.hidden=[24,16]",
    "fvbn": "--preset fvbn --batch 16 --set data.size=8 --set optimizer.fvbn.weight_decay=1e-2",
}


class Vae(nn.Module):
    """pytorch/examples, vae/main.py, with the noise given."""

    def __init__(self, config, pixels):
        super().__init__()
        hidden, latent = config["model"]["hidden"], config["model"]["latent"]
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc21, self.fc22 = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.fc3, self.fc4 = nn.Linear(latent, hidden), nn.Linear(hidden, pixels)
        self.binary = config["model"]["binary"] == "threshold"

    def losses(self, x, eps):
        """What is minimised, and the reports."""
        x = (x > 0.5).to(x.dtype) if self.binary else x
        h = self.fc1(x).relu()
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.exp(0.5 * logvar) * eps
        made = torch.sigmoid(self.fc4(self.fc3(z).relu()))
        bce = functional.binary_cross_entropy(made, x, reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return bce + kld, [term / len(x) for term in (bce + kld, bce, kld)]


class MaskedLinear(nn.Linear):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.register_buffer("mask", torch.ones(outputs, inputs))

    def forward(self, x):
        return functional.linear(x, self.mask * self.weight, self.bias)


class Made(nn.Module):
    """karpathy/pytorch-made, made.py, with the masks of the trace."""

    def __init__(self, config, pixels):
        super().__init__()
        sizes = [pixels, *config["model"].get("hidden", []), pixels]
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            layers += [MaskedLinear(inputs, outputs), nn.ReLU()]
        self.net = nn.Sequential(*layers[:-1])

    def losses(self, x):
        x = (x > 0.5).to(x.dtype)
        loss = functional.binary_cross_entropy_with_logits(self.net(x), x, reduction="sum")
        return loss / len(x), [loss / len(x)]

    def is_autoregressive(self):
        """Whether no pixel can depend on itself through the masks, in whatever order."""
        through = torch.eye(self.net[0].in_features, dtype=torch.float64)
        for layer in self.net[::2]:
            through = (layer.mask.double() @ through > 0).double()
        # Paths from pixel to pixel, of twice as many steps each time, come to an end.
        for _ in range(len(through).bit_length()):
            through = (through @ through > 0).double()
        return not through.any()


class Replay:
    """The network of a trace in PyTorch, with the interface of replay.Replay."""

    def __init__(self, trace, dtype):
        self.trace, self.dtype = trace, dtype
        self.system = trace.config["system"]
        self.network = NETWORKS[self.system]
        pixels = math.prod(trace.updates[0]["images"].shape[1:])
        self.net = (Vae if self.system == "vae" else Made)(trace.config, pixels)
        # Strict: the names, layouts and number of tensors are PyTorch's.
        self.net.load_state_dict(trace.state("before", self.network), strict=True)
        self.net.to(dtype)
        if self.system != "vae":
            assert self.net.is_autoregressive()
        self.optimizer = replay.optimizer(self.net, trace.config["optimizer"][self.system])
        self.steps = []

    @torch.no_grad()
    def disturb(self, size, seed):
        """Multiplies every weight by 1 + N(0, size^2), as rounding might."""
        noise = torch.Generator().manual_seed(seed)
        for p in self.net.parameters():
            p.mul_(1 + size * torch.randn(p.shape, generator=noise, dtype=p.dtype))

    def run(self):
        """Takes all updates; returns the reports of each step."""
        for update in self.trace.updates:
            images = (update["images"].to(self.dtype).flatten(1) + 1) / 2
            rest = [update["eps"].to(self.dtype)] if self.system == "vae" else []
            loss, reports = self.net.losses(images, *rest)
            self.optimizer.zero_grad()
            loss.backward()
            for group in self.optimizer.param_groups:
                group["lr"] = update["update"][0].item()
            self.optimizer.step()
            self.steps.append([report.item() for report in reports])
        return self.steps

    def state(self):
        return {
            f"{self.network}.{name}": tensor.detach()
            for name, tensor in self.net.state_dict().items()
        }


def reports(trace):
    """Those of each step."""
    names = sorted(name for name in trace.tensors if name.startswith("step"))
    return [trace.tensors[name].tolist() for name in names]


def after(trace):
    network = NETWORKS[trace.config["system"]]
    return {f"{network}.{name}": t for name, t in trace.state("after", network).items()}


def compare(played, steps, state, rounding=replay.ROUNDING, say=print):
    """The worst errors (losses, weights) of a run against its replay."""
    names, losses, weights = REPORTS[played.system], [], []
    for number, (ours, theirs) in enumerate(zip(steps, played.steps, strict=True)):
        errors = [abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True)]
        say(f"step {number:3d} " + "  ".join(f"{n} {e:.1e}" for n, e in zip(names, errors)))
        losses += errors
    theirs = played.state()
    assert state.keys() == theirs.keys(), state.keys() ^ theirs.keys()
    for name, tensor in theirs.items():
        largest = tensor.abs().max().item() or 1.0
        difference = (state[name].to(tensor.dtype) - tensor).abs().max().item()
        error = 0.0 if difference <= rounding else difference / largest
        moved = (tensor - played.trace.tensors[f"before.{name}"]).abs().max().item() / largest
        say(f"{name:20s} error {error:.1e}  largest {largest:.3g}  moved {moved:.1e}")
        weights.append(error)
    # NaN above all numbers, so that it is no success.
    return [max(errors, key=lambda x: (math.isnan(x), x)) for errors in (losses, weights)]


def check(name, trace, say=print):
    """The replay of a trace; ends where they disagree."""
    played = Replay(trace, torch.float64)
    played.run()
    loss, weight = compare(played, reports(trace), after(trace), say=say)
    print(f"{name}: PyTorch {torch.__version__}: worst loss {loss:.1e}, worst weight {weight:.1e}")
    if not (loss <= replay.TOLERANCE and weight <= replay.TOLERANCE):
        sys.exit(f"error: {name} disagrees with PyTorch by more than {replay.TOLERANCE:g}")
    return played


def is_steady(played):
    """Whether a replay leads to the same result from disturbed weights."""
    for seed in range(3):
        other = Replay(played.trace, torch.float64)
        other.disturb(regenerate.DISTURBANCE, seed)
        other.run()
        errors = compare(played, other.steps, other.state(), 0, lambda line: None)
        if not max(errors) <= regenerate.TOLERANCE:
            return False
    return True


def fixture(arguments, played):
    short = regenerate.short
    return {
        "arguments": arguments,
        "pytorch": torch.__version__.split("+")[0],
        "metrics": [[short(x) for x in step] for step in played.steps],
        "tensors": {
            name: {
                "shape": list(tensor.shape),
                "largest": short(tensor.abs().max().item()),
                "elements": [short(x) for x in regenerate.evenly_spaced(tensor)],
            }
            for name, tensor in sorted(played.state().items())
        },
    }


def make_fixture(gpugan, name):
    for seed in range(regenerate.SEEDS):
        arguments = [*CASES[name].split(), "--seed", str(seed)]
        trace = regenerate.traced(gpugan, arguments, regenerate.STEPS)
        played = check(f"{name}, seed {seed}", trace, say=lambda line: None)
        if is_steady(played):
            text = regenerate.written(fixture(arguments, played)) + "\n"
            (regenerate.HERE / "fixtures" / f"{name}.json").write_text(text)
            return
    sys.exit(f"error: {name} is not steady with any of {regenerate.SEEDS} seeds")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", nargs="?")
    parser.add_argument("--fixtures", nargs="*", metavar="NAME", default=[])
    arguments = parser.parse_args()
    if arguments.trace:
        check(arguments.trace, replay.Trace(arguments.trace))
        return
    gpugan = regenerate.program()
    for name in arguments.fixtures or list(CASES):
        make_fixture(gpugan, name)


if __name__ == "__main__":
    main()
