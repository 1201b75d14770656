"""Make tests/torch/fixtures/apply.json again: `apply.py`; or write large networks and
what they make into a folder: `apply.py --large FOLDER`.

What gpugan's `apply` is compared with: networks in the form of
pytorch-CycleGAN-and-pix2pix, in PyTorch and float64, on one image each.

- Of small networks the file holds the output's shape, its largest magnitude and 64
  evenly spaced elements. Weights and images come from gpugan's generator of random
  numbers, in the order of their names, the image first.
- Of large ones the folder gets `<name>.safetensors` with the state dict alone, as
  published files have it, and `<name>.images.safetensors` with input and output.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

import replay
from networks import Translator, Unet
from regenerate import evenly_spaced, short, written
from second_order import start

FIXTURE = Path(__file__).resolve().parent / "fixtures" / "apply.json"
ELEMENTS = 64

# A network, its image, and whether it takes its running statistics.
# tests/device/applied.rs has the same by name.
SMALL = {
    "residual, instance": lambda: (Translator(3, 3, 2, 2, "instance"), (3, 20, 12), True),
    "residual, batch, dropout": lambda: (Translator(3, 3, 2, 1, "batch", True), (3, 12, 20), True),
    "unet, own statistics": lambda: (Unet(3, 3, 2, 5, "batch"), (3, 32, 32), False),
    "unet, running statistics": lambda: (Unet(3, 3, 2, 5, "batch"), (3, 32, 32), True),
}
LARGE = {
    "unet_256-batch": lambda: (Unet(3, 3, 64, 8, "batch"), (3, 256, 256), True),
    "unet_128-batch": lambda: (Unet(3, 3, 64, 7, "batch"), (3, 128, 128), True),
    "resnet_9-instance": lambda: (Translator(3, 3, 64, 9, "instance"), (3, 128, 128), True),
    "resnet_6-instance": lambda: (Translator(3, 3, 64, 6, "instance"), (3, 100, 132), True),
    "resnet_6-dropout": lambda: (
        Translator(3, 3, 64, 6, "instance", dropout=True),
        (3, 64, 64),
        True,
    ),
}


def used(net, running):
    """In use, with running statistics or those of the image, without dropout."""
    net.eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(not running)
    return net


def small(net, shape, running):
    draws = replay.Draws(0)
    draws.restart(1)
    image = start(draws, "image", (1, *shape))
    state = net.double().state_dict()
    for name in sorted(name for name, tensor in state.items() if tensor.ndim > 0):
        value = start(draws, name, tuple(state[name].shape))
        state[name].copy_(value.abs() + 0.5 if name.endswith("running_var") else value)
    with torch.no_grad():
        output = used(net, running)(image)
    return {
        "shape": list(output.shape),
        "largest": short(output.abs().max().item()),
        "elements": [short(x) for x in evenly_spaced(output, ELEMENTS)],
    }


def large(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, make) in enumerate(LARGE.items()):
        torch.manual_seed(seed)
        net, shape, running = make()
        with torch.no_grad():
            for key, tensor in net.state_dict().items():
                if key.endswith("running_var"):
                    tensor.uniform_(0.5, 2)
                elif key.endswith("running_mean"):
                    tensor.normal_(0, 0.2)
            state = {key: tensor.clone() for key, tensor in net.state_dict().items()}
            if "instance" in name:
                # As files of 2017 have them, which nothing uses.
                state["model.2.running_mean"] = torch.zeros(64)
                state["model.2.running_var"] = torch.ones(64)
            image = torch.rand(1, *shape) * 2 - 1
            output = used(net.double(), running)(image.double()).float()
        save_file(state, folder / f"{name}.safetensors")
        images = {"input": image, "output": output.contiguous()}
        save_file(images, folder / f"{name}.images.safetensors")


def main():
    if sys.argv[1:2] == ["--large"]:
        large(Path(sys.argv[2]))
        return
    cases = {name: small(*make()) for name, make in SMALL.items()}
    FIXTURE.write_text(written(cases) + "\n")
    for name, case in cases.items():
        print(f"{name}: {case['largest']:.4g}")


if __name__ == "__main__":
    main()
