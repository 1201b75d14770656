"""Replay a trace of a system with frozen features in PyTorch: super-resolution (srgan)
and domain transfer (dtn).

`replay_features.py TRACE.safetensors FEATURES.safetensors` compares one
(`gpugan train --trace N --set loss.features=FEATURES.safetensors`) as replay.py does,
with the same tolerances. Without a trace it makes the golden files of
tests/program/replay.rs again as regenerate.py does, all or those of the names given:
`replay_features.py --fixtures srgan dtn`; and the two small files of features that
they use, a classifier and convolutions under the names of torchvision's VGG, with
weights that PyTorch drew.
"""

import argparse
import json
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

import regenerate
import replay
import replay_likelihood

FIXTURES = regenerate.HERE / "fixtures"
# ReLUs of frozen features go either way as those of the trained networks do, so that
# few runs are steady for longer.
STEPS = 5
# As arguments name them from the root of the project.
CLASSIFIER = "tests/torch/fixtures/features.safetensors"
CONVOLUTIONS = "tests/torch/fixtures/convolutions.safetensors"

SMALL = "--set model.width=4 --set model.d_width=2"
CASES = {
    "srgan": f"""--preset srgan32 --batch 8 {SMALL} --set model.blocks=1
        --set model.d_stages=2 --set model.d_units=8 --set loss.pretrain=0
        --set loss.pixel=0.5 --set loss.adversarial=0.1 --set loss.variation=0.1
        --set loss.features={CLASSIFIER} --set loss.layer=2""",
    "srgan-convolutions": f"""--preset srgan32 --batch 4 {SMALL} --set model.blocks=1
        --set model.d_stages=1 --set model.d_units=8 --set loss.pretrain=0
        --set loss.features={CONVOLUTIONS} --set data.source=emoji --set data.channels=3""",
    "dtn": f"""--preset dtn --batch 8 {SMALL} --set data.channels=1
        --set loss.variation=0.1 --set loss.features={CLASSIFIER}""",
}


# --- The networks ------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.rcb = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x):
        return x + self.rcb(x)


class Doubling(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.upsample_block = nn.Sequential(
            nn.Conv2d(width, 4 * width, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU()
        )

    def forward(self, x):
        return self.upsample_block(x)


class Enlarger(nn.Module):
    """Ledig et al. 2017, figure 4."""

    def __init__(self, model, channels):
        super().__init__()
        width = model["width"]
        self.conv_block1 = nn.Sequential(nn.Conv2d(channels, width, 9, 1, 4), nn.PReLU())
        self.trunk = nn.Sequential(*(Residual(width) for _ in range(model["blocks"])))
        self.conv_block2 = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )
        self.upsampling = nn.Sequential(Doubling(width), Doubling(width))
        self.conv_block3 = nn.Conv2d(width, channels, 9, 1, 4)

    def forward(self, x):
        first = self.conv_block1(x)
        return self.conv_block3(self.upsampling(first + self.conv_block2(self.trunk(first))))


class EnlargedDiscriminator(nn.Module):
    def __init__(self, model, image):
        super().__init__()
        channels, side, _ = image
        layers = []
        for stage in range(model["d_stages"]):
            width = model["d_width"] << stage
            for stride in (1, 2):
                layers.append(nn.Conv2d(channels, width, 3, stride, 1, bias=not layers))
                if len(layers) > 1:
                    layers.append(nn.BatchNorm2d(width))
                layers.append(nn.LeakyReLU(0.2))
                channels = width
            side //= 2
        self.features = nn.Sequential(*layers)
        units = model["d_units"]
        self.classifier = nn.Sequential(
            nn.Linear(channels * side * side, units), nn.LeakyReLU(0.2), nn.Linear(units, 1)
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Drawer(nn.Module):
    """For 32 pixels."""

    def __init__(self, width, features, channels):
        super().__init__()
        layers = [nn.ConvTranspose2d(features, 4 * width, 4, 1, 0, bias=False)]
        for out in (2 * width, width):
            layers += [nn.BatchNorm2d(2 * out), nn.ReLU()]
            layers.append(nn.ConvTranspose2d(2 * out, out, 3, 2, 1, 1, bias=False))
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.ConvTranspose2d(width, channels, 3, 2, 1, 1), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, features):
        return self.main(features[:, :, None, None])


class Ternary(nn.Module):
    """For 32 pixels."""

    def __init__(self, width, channels):
        super().__init__()
        layers = [nn.Conv2d(channels, width, 3, 2, 1), nn.LeakyReLU(0.2)]
        for out in (2 * width, 4 * width):
            layers.append(nn.Conv2d(out // 2, out, 3, 2, 1, bias=False))
            layers += [nn.BatchNorm2d(out), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(4 * width, 3, 4, 1, 0))
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return self.main(x).flatten(1)


class Classifier(nn.Module):
    """What `gpugan classify` trains for 32 pixels, without its last layer."""

    def __init__(self, width, features, channels):
        super().__init__()
        layers = []
        for out in (width, 2 * width):
            layers += [nn.Conv2d(channels, out, 5, 2, 2, bias=False), nn.BatchNorm2d(out)]
            layers.append(nn.ReLU())
            channels = out
        layers += [nn.Flatten(), nn.Linear(2 * width * 64, features, bias=False)]
        layers += [nn.BatchNorm1d(features), nn.ReLU()]
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return self.main(x)


class Convolutions(nn.Module):
    """The front of torchvision's VGG, narrower."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3, 1, 1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, 1, 1),
            nn.ReLU(),
        )

    def forward(self, x):
        mean, std = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        mean, std = (x.new_tensor(v)[:, None, None] for v in (mean, std))
        return self.features(((x + 1) / 2 - mean) / std)


def variation(x):
    down = x[:, :, 1:, :-1] - x[:, :, :-1, :-1]
    right = x[:, :, :-1, 1:] - x[:, :, :-1, :-1]
    return torch.sqrt(down**2 + right**2 + 1e-8).mean()


# --- The steps ---------------------------------------------------------------


class Enlarge:
    reports = ["mse", "content", "variation", "loss_d", "loss_g", "d_real", "d_fake"]

    def __init__(self, config, first):
        model, self.weights = config["model"], config["loss"]
        image = tuple(first["real"].shape[1:])
        self.nets = {"G": Enlarger(model, image[0]), "D": EnlargedDiscriminator(model, image)}
        if self.weights["variation"] == 0:
            self.reports = [name for name in self.reports if name != "variation"]

    def frozen(self, state):
        if "features.0.weight" in state:
            return Convolutions()
        width, channels = state["main.0.weight"].shape[:2]
        # Only the first layers, of which the last is compared.
        net = Classifier(width, 1, channels)
        net.main = net.main[: 3 * sum(name.endswith("running_var") for name in state)]
        return net

    def generate(self, nets, batch):
        weights, real = self.weights, batch["real"]
        made = nets["G"]((batch["input"] + 1) / 2)
        terms = {"mse": functional.mse_loss(made, real)}
        terms["content"] = functional.mse_loss(nets["F"](made), nets["F"](real))
        terms["loss_g"] = replay.bce(nets["D"](made), 1.0)
        terms["variation"] = variation(made)
        self.made = made.detach()
        loss = weights["pixel"] * terms["mse"] + weights["content"] * terms["content"]
        loss = loss + weights["adversarial"] * terms["loss_g"]
        return loss + weights["variation"] * terms["variation"], terms

    def discriminate(self, nets, batch):
        real = nets["D"](batch["real"])
        fake = nets["D"](self.made)
        loss = replay.bce(real, 1.0) + replay.bce(fake, 0.0)
        terms = {"loss_d": loss, "d_real": real.sigmoid().mean(), "d_fake": fake.sigmoid().mean()}
        return loss, terms


class Transfer:
    reports = ["loss_d", "loss_g", "constancy", "identity", "variation", "d_real", "d_fake"]

    def __init__(self, config, first):
        model, self.weights = config["model"], config["loss"]
        channels = first["target"].shape[1]
        features = json.loads(CLASSIFIER_METADATA["network"])["features"]
        self.nets = {
            "G": Drawer(model["width"], features, channels),
            "D": Ternary(model["d_width"], channels),
        }

    def frozen(self, state):
        width, channels = state["main.0.weight"].shape[:2]
        return Classifier(width, state["main.7.weight"].shape[0], channels)

    @staticmethod
    def answer(logits, wanted):
        return functional.cross_entropy(logits, torch.full((len(logits),), wanted))

    def generate(self, nets, batch):
        weights = self.weights
        source, target = batch["source"], batch["target"]
        seen = nets["F"](source)
        drawn = nets["G"](torch.cat([seen, nets["F"](target)]))
        transferred, redrawn = drawn.chunk(2)
        terms = {"loss_g": sum(self.answer(nets["D"](x), 2) for x in (transferred, redrawn))}
        terms["constancy"] = functional.mse_loss(nets["F"](transferred), seen)
        terms["identity"] = functional.mse_loss(redrawn, target)
        terms["variation"] = variation(drawn)
        self.made = drawn.detach()
        loss = weights["adversarial"] * terms["loss_g"]
        for name in ("constancy", "identity", "variation"):
            loss = loss + weights[name] * terms[name]
        return loss, terms

    def discriminate(self, nets, batch):
        images = [*self.made.chunk(2), batch["target"]]
        answers = [nets["D"](x) for x in images]
        loss = sum(self.answer(logits, wanted) for wanted, logits in enumerate(answers))
        share = [logits.softmax(1)[:, 2].mean() for logits in answers]
        return loss, {"loss_d": loss, "d_fake": share[0], "d_real": share[2]}


class Replay:
    """The networks of a trace in PyTorch, with the interface of replay.Replay."""

    def __init__(self, trace, dtype):
        self.trace, self.dtype = trace, dtype
        system = {"srgan": Enlarge, "dtn": Transfer}[trace.config["system"]]
        self.played = system(trace.config, trace.updates[0])
        self.nets = dict(self.played.nets)
        self.nets["F"] = self.played.frozen(trace.state("before", "F"))
        for name, net in self.nets.items():
            # Strict: the names, layouts and number of tensors are PyTorch's.
            net.load_state_dict(trace.state("before", name), strict=True)
            net.to(dtype)
        self.nets["F"].eval().requires_grad_(False)
        self.optimizers = {
            name: replay.optimizer(self.nets[name], trace.config["optimizer"][name.lower()])
            for name in "GD"
        }
        self.steps = []

    @torch.no_grad()
    def disturb(self, size, seed):
        """Multiplies every weight by 1 + N(0, size^2), as rounding might."""
        noise = torch.Generator().manual_seed(seed)
        for name in "GD":
            for p in self.nets[name].parameters():
                p.mul_(1 + size * torch.randn(p.shape, generator=noise, dtype=p.dtype))

    def run(self):
        """Takes all updates; returns the reports of each step."""
        updates = iter(self.trace.updates)
        for of_g, of_d in zip(updates, updates, strict=True):
            assert [of_g["network"], of_d["network"]] == ["G", "D"]
            batch = {name: of_g[name].to(self.dtype) for name in of_g if name != "network"}
            terms = self.update("G", of_g, *self.played.generate(self.nets, batch))
            terms |= self.update("D", of_d, *self.played.discriminate(self.nets, batch))
            self.steps.append([terms[name].item() for name in self.played.reports])
        return self.steps

    def update(self, name, update, loss, terms):
        optimizer = self.optimizers[name]
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = update["update"][0].item()
        optimizer.step()
        return terms

    def state(self):
        return {
            f"{prefix}.{name}": tensor.detach()
            for prefix, net in self.nets.items()
            for name, tensor in net.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }


def after(trace):
    return {
        f"{prefix}.{name}": tensor
        for prefix in "GDF"
        for name, tensor in trace.state("after", prefix).items()
    }


def compare(played, steps, state, rounding=replay.ROUNDING, say=print):
    """The worst errors (losses, weights) of a run against its replay."""
    names, losses, weights = played.played.reports, [], []
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
        say(f"{name:40s} error {error:.1e}  largest {largest:.3g}  moved {moved:.1e}")
        weights.append(error)
    # NaN above all numbers, so that it is no success.
    return [max(errors, key=lambda x: (x != x, x)) for errors in (losses, weights)]


def check(name, trace, say=print):
    """The replay of a trace; ends where they disagree."""
    played = Replay(trace, torch.float64)
    played.run()
    reports = replay_likelihood.reports(trace)
    loss, weight = compare(played, reports, after(trace), say=say)
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


CLASSIFIER_METADATA = {
    "format": "gpugan classifier 1",
    "features": "test-classifier",
    "data": "none",
    "classes": json.dumps(["0", "1"]),
    "accuracy": "0.5",
    "tested_on": "nothing",
    "network": json.dumps({"image": [1, 32, 32], "classes": 2, "width": 4, "features": 8}),
}


@torch.no_grad()
def make_features():
    """Networks whose activations are neither dead nor all alike."""
    torch.manual_seed(0)
    net = Classifier(4, 8, 1)
    net.train()
    for _ in range(50):
        net(2 * torch.rand(16, 1, 1, 1) - 1 + 0.3 * torch.randn(16, 1, 32, 32))
    state = {f"C.{name}": value.float() for name, value in net.state_dict().items()}
    last = nn.Linear(8, 2).state_dict()
    state |= {f"C.main.11.{name}": value for name, value in last.items()}
    save_file(state, FIXTURES / "features.safetensors", CLASSIFIER_METADATA)
    save_file(Convolutions().state_dict(), FIXTURES / "convolutions.safetensors")


def make_fixture(gpugan, name):
    for seed in range(regenerate.SEEDS):
        arguments = [*CASES[name].split(), "--seed", str(seed)]
        trace = regenerate.traced(gpugan, arguments, STEPS)
        played = Replay(trace, torch.float64)
        played.run()
        if is_steady(played):
            check(f"{name}, seed {seed}", trace, say=lambda line: None)
            text = regenerate.written(replay_likelihood.fixture(arguments, played)) + "\n"
            (FIXTURES / f"{name}.json").write_text(text)
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
    make_features()
    gpugan = regenerate.program()
    for name in arguments.fixtures or list(CASES):
        make_fixture(gpugan, name)


if __name__ == "__main__":
    main()
