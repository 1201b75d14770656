"""A DCGAN training step in PyTorch on the CPU, for comparison with
`gpugan bench step`: one discriminator update on a real and a fake batch, one
generator update, both by Adam; the networks of the presets dcgan32 and
dcgan64.

    python benches/peers/torch_step.py --size 32 --width 64 --batch 64
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn


def generator(size: int, width: int, channels: int, latent: int) -> nn.Module:
    """[N, latent, 1, 1] to [N, channels, size, size]."""
    features = width * size // 8
    layers = [nn.ConvTranspose2d(latent, features, 4, 1, 0, bias=False)]
    while features > width:
        layers += [nn.BatchNorm2d(features), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(features, features // 2, 4, 2, 1, bias=False)]
        features //= 2
    layers += [nn.BatchNorm2d(features), nn.ReLU(True)]
    layers += [nn.ConvTranspose2d(features, channels, 4, 2, 1, bias=False), nn.Tanh()]
    return nn.Sequential(*layers)


def discriminator(size: int, width: int, channels: int) -> nn.Module:
    """[N, channels, size, size] to logits [N, 1, 1, 1]."""
    layers = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    while size > 8:
        layers += [nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2, True)]
        width, size = 2 * width, size // 2
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 0, bias=False))


def start(module: nn.Module) -> None:
    """DCGAN's initial weights."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--size", type=int, choices=(32, 64), default=32, help="image pixels")
    parser.add_argument("--width", type=int, default=64, help="model.width")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--channels", type=int, default=1, help="of an image")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10, help="timed steps, after 3 others")
    parser.add_argument("--channels-last", action="store_true", help="memory format of the images")
    parser.add_argument(
        "--share-fakes",
        action="store_true",
        help="update the generator on the discriminator's fakes instead of drawing others, "
        "which gpugan does as Goodfellow's algorithm 1",
    )
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    latent = 100
    g = generator(options.size, options.width, options.channels, latent).apply(start)
    d = discriminator(options.size, options.width, options.channels).apply(start)
    if options.channels_last:
        g, d = (net.to(memory_format=torch.channels_last) for net in (g, d))
    adam_g = torch.optim.Adam(g.parameters(), lr=2e-4, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    loss = nn.BCEWithLogitsLoss()
    real = torch.rand(options.batch, options.channels, options.size, options.size) * 2 - 1
    ones = torch.ones(options.batch)
    zeros = torch.zeros(options.batch)

    def step() -> None:
        fake = g(torch.randn(options.batch, latent, 1, 1))
        d.zero_grad()
        loss(d(real).flatten(), ones).backward()
        loss(d(fake.detach()).flatten(), zeros).backward()
        adam_d.step()
        g.zero_grad()
        if not options.share_fakes:
            fake = g(torch.randn(options.batch, latent, 1, 1))
        loss(d(fake).flatten(), ones).backward()
        adam_g.step()

    seconds = []
    for number in range(3 + options.steps):
        begin = time.perf_counter()
        step()
        if number >= 3:
            seconds.append(time.perf_counter() - begin)
    print(
        json.dumps(
            {
                "peer": f"torch {torch.__version__}",
                "threads": options.threads,
                "size": options.size,
                "width": options.width,
                "batch": options.batch,
                "ms_median": round(1e3 * statistics.median(seconds), 3),
                "ms_min": round(1e3 * min(seconds), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
