"""Replay a trace of a system with a likelihood in PyTorch: the variational
autoencoder, MADE, the fully visible belief network.

`replay_likelihood.py TRACE.safetensors` compares one (`gpugan train --trace N`) as
replay.py does, with the same tolerances. Without a trace it makes the golden files of
tests/program/replay.rs again as regenerate.py does, all or those of the names given:
`replay_likelihood.py --fixtures vae made`.
"""

import math

import torch
from torch import nn
from torch.nn import functional

import golden
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


class Replay(golden.Played):
    """The network of a trace in PyTorch."""

    def __init__(self, trace, dtype):
        super().__init__(trace, dtype)
        self.system = trace.config["system"]
        self.reports = REPORTS[self.system]
        pixels = math.prod(trace.updates[0]["images"].shape[1:])
        self.net = (Vae if self.system == "vae" else Made)(trace.config, pixels)
        self.networks = {NETWORKS[self.system]: self.net}
        self.load()
        if self.system != "vae":
            assert self.net.is_autoregressive()
        self.optimizer = replay.optimizer(self.net, trace.config["optimizer"][self.system])

    def run(self):
        """Takes all updates."""
        for update in self.trace.updates:
            images = (update["images"].to(self.dtype).flatten(1) + 1) / 2
            rest = [update["eps"].to(self.dtype)] if self.system == "vae" else []
            loss, reports = self.net.losses(images, *rest)
            self.optimizer.zero_grad()
            loss.backward()
            self.update(self.optimizer, update)
            self.steps.append([report.item() for report in reports])


if __name__ == "__main__":
    golden.main(Replay, __doc__, CASES)
