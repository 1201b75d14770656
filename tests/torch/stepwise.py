"""Check every step of a long or wide run by itself: `stepwise.py ARGUMENTS...`.

After some steps a full-size GAN is far from where a rounding error would have
led it (see replay.py), so that the end of a run says little of its steps. This
trains with the given arguments of `gpugan train`, resuming after each step for a
trace of the next, and takes every step in PyTorch from the weights, averages and
moments that gpugan had before it. Printed are the worst loss and, over all
tensors, the worst distance from PyTorch's new weights, as part of their length
and of the step's. Exit code 1 where the first two are above 1e-3 or the last is
above 1e-2: Adam's first updates move a weight as far for a gradient that is
nothing but rounding as for any other, and their signs are anybody's.

    stepwise.py --steps 20 --preset dcgan32
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import regenerate
import replay


def resume(played, done):
    """Gives the optimisers the moments after `done` updates of each network."""
    tensors = played.trace.tensors
    for prefix, net in played.nets.items():
        optimizer = played.optimizers[prefix]
        for name, parameter in net.named_parameters():
            moments = [
                tensors[f"before.{moment}.{prefix}.{name}"].to(played.dtype)
                for moment in ("moment1", "moment2")
            ]
            optimizer.state[parameter] = {
                "step": torch.tensor(float(done)),
                "exp_avg": moments[0],
                "exp_avg_sq": moments[1],
            }
    played.g_updates = played.d_updates = done


# Largest part of a step that rounding may turn.
TURNED = 1e-2


def errors(played):
    """The worst loss of one step, and the worst distances of a tensor, of its
    length and of its change."""
    trace = played.trace
    losses = [
        abs(trace.metrics[0][name] - theirs) / abs(theirs)
        for name, theirs in played.steps[0].items()
    ]
    ours, weights, changes = replay.after(trace), [], []
    for name, theirs in played.state().items():
        before = trace.tensors[f"before.{name}"].to(theirs.dtype)
        moved = (theirs - before).norm().item()
        if moved > 0:
            distance = (ours[name].to(theirs.dtype) - theirs).norm().item()
            weights.append(distance / theirs.norm().item())
            changes.append(distance / moved)
    return max(losses), max(weights), max(changes)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    arguments, rest = parser.parse_known_args()
    gpugan = regenerate.program()
    worst = [0.0, 0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        for done in range(arguments.steps):
            length = ["--steps", str(done + 1), "--trace", "1", "--outdir", folder]
            which = ["--resume"] if done else rest
            subprocess.run([gpugan, "train", "--quiet", *length, *which], check=True)
            (path,) = Path(folder).glob("*/trace.safetensors")
            played = replay.Replay(replay.Trace(path), torch.float64)
            if not all(o["kind"] == "adam" for o in played.config["optimizer"].values()):
                sys.exit("error: only runs whose two optimisers are adam")
            if done:
                resume(played, done)
            played.run()
            found = errors(played)
            say(f"step {done:3d}", found)
            worst = [max(pair) for pair in zip(worst, found)]
    say(f"PyTorch {torch.__version__}", worst)
    sys.exit(0 if max(worst[:2]) <= replay.TOLERANCE and worst[2] <= TURNED else 1)


def say(what, found):
    loss, weight, change = found
    print(f"{what}: worst loss {loss:.1e}, weight {weight:.1e}, change {change:.1e}", flush=True)


if __name__ == "__main__":
    main()
