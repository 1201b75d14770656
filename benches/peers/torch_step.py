"""Training steps in PyTorch, for comparison with `gpugan bench step` of

    dcgan   --preset dcgan32
    sngan   --preset sngan --set model.architecture=resnet --set data.size=32
            --set model.width=64
    srgan   --preset srgan32 --batch 16: least squares alone, its first stage
    srgan --game   the same with --set loss.pretrain=0: its second stage

The networks are those of gpugan (`torch_models.py`), and a step does what gpugan's
does: as many passes forwards and backwards, gradients of the network that is updated
alone, an update by Adam, and of a generator made of latents the moving average. The
line that is printed has the parameters of each network and the multiply-adds of a
step, as they would be without Winograd's filtering, to hold against gpugan's.

    python benches/peers/torch_step.py --model dcgan --size 32 --width 64 --batch 64
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

import torch_models as models

# Width, batch, length of the latents and decay of the moving average of each model.
DEFAULTS = {
    "dcgan": (64, 64, 100, 0.999),
    "sngan": (64, 64, 64, 0.995),
    "srgan": (24, 16, None, None),
}
# Losses of logits on real and on generated images, the generator's last.
LOSSES: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "dcgan": (
        lambda real: F.softplus(-real).mean(),
        lambda fake: F.softplus(fake).mean(),
        lambda fake: F.softplus(-fake).mean(),
    ),
    "sngan": (
        lambda real: F.relu(1 - real).mean(),
        lambda fake: F.relu(1 + fake).mean(),
        lambda fake: -fake.mean(),
    ),
}


def adam(net: nn.Module, lr: float, beta1: float) -> torch.optim.Adam:
    """Adam with one kernel for all tensors."""
    return torch.optim.Adam(net.parameters(), lr, (beta1, 0.999), fused=True)


def gan(options: argparse.Namespace) -> tuple[list[nn.Module], Callable[[], None]]:
    """Generator and discriminator, and a step: the discriminator's update on a real
    and a fake batch, then the generator's."""
    _, _, latent, decay = DEFAULTS[options.model]
    build = models.dcgan if options.model == "dcgan" else models.resnet
    pair = build(options.size, options.width, options.channels, latent)
    g, d = (placed(net, options) for net in pair)
    average = AveragedModel(g, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    adam_g, adam_d = adam(g, 2e-4, 0.5), adam(d, 2e-4, 0.5)
    on_real, on_fake, of_generator = LOSSES[options.model]
    real = torch.rand(options.batch, options.channels, options.size, options.size) * 2 - 1

    def step() -> None:
        with torch.set_grad_enabled(options.share_fakes):
            fake = g(torch.randn(options.batch, latent))
        adam_d.zero_grad()
        on_real(d(real)).backward()
        on_fake(d(fake.detach())).backward()
        adam_d.step()
        d.requires_grad_(False)
        if not options.share_fakes:
            fake = g(torch.randn(options.batch, latent))
        adam_g.zero_grad()
        of_generator(d(fake)).backward()
        adam_g.step()
        average.update_parameters(g)
        d.requires_grad_(True)

    return [g, d], step


def srgan(options: argparse.Namespace) -> tuple[list[nn.Module], Callable[[], None]]:
    """The generator, in the game the discriminator too, and a step. In the game, it
    compares features, and the generator's update comes first."""
    size, channels = options.size, options.channels
    g = placed(models.srresnet(options.width, channels), options)
    small = torch.rand(options.batch, channels, size // 4, size // 4)
    real = torch.rand(options.batch, channels, size, size) * 2 - 1
    if not options.game:
        adam_g = adam(g, 1e-3, 0.9)

        def pretrain() -> None:
            adam_g.zero_grad()
            F.mse_loss(g(small), real).backward()
            adam_g.step()

        return [g], pretrain

    d = placed(models.srgan_discriminator(size, channels), options)
    features = placed(models.srgan_features(size, channels), options)
    adam_g, adam_d = adam(g, 2e-4, 0.9), adam(d, 2e-4, 0.9)
    on_real, on_fake, of_generator = LOSSES["dcgan"]

    def step() -> None:
        d.requires_grad_(False)
        made = g(small)
        adam_g.zero_grad()
        content = F.mse_loss(features(made), features(real))
        (content + 1e-3 * of_generator(d(made))).backward()
        adam_g.step()
        d.requires_grad_(True)
        adam_d.zero_grad()
        on_real(d(real)).backward()
        on_fake(d(made.detach())).backward()
        adam_d.step()

    return [g, d], step


def placed(net: nn.Module, options: argparse.Namespace) -> nn.Module:
    """The network in the memory format of the options."""
    return net.to(memory_format=torch.channels_last) if options.channels_last else net


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=DEFAULTS, default="dcgan")
    parser.add_argument("--game", action="store_true", help="the second stage of srgan")
    parser.add_argument("--size", type=int, choices=(32, 64), default=32, help="image pixels")
    parser.add_argument("--width", type=int, help="model.width, by default 64, of srgan 24")
    parser.add_argument("--batch", type=int, help="by default 64, of srgan 16")
    parser.add_argument("--channels", type=int, default=1, help="of an image")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--tf32", action="store_true", help="let a card round operands to 10 bits")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10, help="timed steps, after 3 others")
    parser.add_argument("--channels-last", action="store_true", help="memory format of the images")
    parser.add_argument(
        "--share-fakes",
        action="store_true",
        help="update the generator of dcgan or sngan on the discriminator's fakes instead "
        "of drawing others, which gpugan does as Goodfellow's algorithm 1",
    )
    options = parser.parse_args()
    options.width = options.width or DEFAULTS[options.model][0]
    options.batch = options.batch or DEFAULTS[options.model][1]

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    torch.set_default_device(options.device)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = options.tf32
    torch.backends.cuda.matmul.allow_tf32 = options.tf32
    networks, step = (srgan if options.model == "srgan" else gan)(options)

    def finished() -> None:
        if options.device != "cpu":
            getattr(torch, options.device).synchronize()

    with FlopCounterMode(display=False) as counter:
        step()
    seconds = []
    for number in range(2 + options.steps):
        finished()
        begin = time.perf_counter()
        step()
        finished()
        if number >= 2:
            seconds.append(time.perf_counter() - begin)
    print(
        json.dumps(
            {
                "peer": f"torch {torch.__version__}",
                "device": options.device,
                "tf32": options.tf32,
                "threads": options.threads,
                "model": options.model + " game" * options.game,
                "size": options.size,
                "width": options.width,
                "batch": options.batch,
                "parameters": [sum(p.numel() for p in net.parameters()) for net in networks],
                "multiply_adds": counter.get_total_flops() // 2,
                "ms_median": round(1e3 * statistics.median(seconds), 3),
                "ms_min": round(1e3 * min(seconds), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
