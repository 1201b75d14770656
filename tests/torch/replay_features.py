"""Replay a trace of a system with frozen features in PyTorch: super-resolution (srgan)
and domain transfer (dtn).

`replay_features.py TRACE.safetensors` compares one
(`gpugan train --trace N --set loss.features=FEATURES.safetensors`) as replay.py does,
with the same tolerances. Without a trace it makes the golden files of
tests/program/replay.rs again as regenerate.py does, all or those of the names given:
`replay_features.py --fixtures srgan dtn`; and the two small files of features that
they use, a classifier and convolutions under the names of torchvision's VGG, with
weights that PyTorch drew.
"""

import json

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

import golden
import networks
import replay
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
        --set model.bicubic=false --set loss.features={CONVOLUTIONS}
        --set data.source=emoji --set data.channels=3""",
    "dtn": f"""--preset dtn --batch 8 {SMALL} --set data.channels=1
        --set loss.variation=0.1 --set loss.features={CLASSIFIER}""",
}


# --- The networks ------------------------------------------------------------


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
        self.bicubic = model["bicubic"]
        image = tuple(first["real"].shape[1:])
        sizes = [model[name] for name in ("d_width", "d_stages", "d_units")]
        self.nets = {
            "G": networks.SrResnet(image[0], model["width"], model["blocks"], 2),
            "D": networks.SrDiscriminator(image, *sizes),
        }
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
        small = (batch["input"] + 1) / 2
        made = nets["G"](small)
        if self.bicubic:
            made = made + 2 * networks.Bicubic(made.shape[2:])(small) - 1
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
            # For 32 pixels: 4, doubled three times.
            "G": networks.Drawer(features, channels, 4, 3, model["width"]),
            "D": networks.Ternary(channels, 4, 3, model["d_width"]),
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


class Replay(golden.Played):
    """The networks of a trace in PyTorch."""

    length = STEPS

    def __init__(self, trace, dtype):
        super().__init__(trace, dtype)
        system = {"srgan": Enlarge, "dtn": Transfer}[trace.config["system"]]
        self.system = system(trace.config, trace.updates[0])
        self.reports = self.system.reports
        frozen = self.system.frozen(trace.state("before", "F"))
        self.networks = self.system.nets | {"F": frozen}
        self.load()
        frozen.eval().requires_grad_(False)
        self.optimizers = {
            name: replay.optimizer(net, trace.config["optimizer"][name.lower()])
            for name, net in self.system.nets.items()
        }

    def run(self):
        """Takes all updates."""
        updates, nets = iter(self.trace.updates), self.networks
        for of_g, of_d in zip(updates, updates, strict=True):
            assert [of_g["network"], of_d["network"]] == ["G", "D"]
            batch = {name: of_g[name].to(self.dtype) for name in of_g if name != "network"}
            terms = self.take("G", of_g, *self.system.generate(nets, batch))
            terms |= self.take("D", of_d, *self.system.discriminate(nets, batch))
            self.steps.append([terms[name].item() for name in self.reports])

    def take(self, name, update, loss, terms):
        self.optimizers[name].zero_grad()
        loss.backward()
        self.update(self.optimizers[name], update)
        return terms

    def memory(self):
        return {"made": self.system.made}


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
    save_file(state, golden.FIXTURES / "features.safetensors", CLASSIFIER_METADATA)
    save_file(Convolutions().state_dict(), golden.FIXTURES / "convolutions.safetensors")


if __name__ == "__main__":
    golden.main(Replay, __doc__, CASES, make_features)
