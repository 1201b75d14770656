"""What the scripts share that replay traces of other systems than the common GANs:
comparing a run with its replay, and making golden files of tests/program/replay.rs.

Each script has a `Played`: the networks of a trace in PyTorch.
"""

import argparse
import math
import sys

import torch

import regenerate
import replay

FIXTURES = regenerate.HERE / "fixtures"


class Played:
    """A trace that is replayed. A script says in `networks` which modules there are, by
    the prefixes of their tensors, in `reports` what a step reports, and takes the steps
    in `run`, which appends the reports of each to `steps`."""

    # Elements of a tensor that a golden file holds.
    elements = regenerate.ELEMENTS
    # How far weights are disturbed to see whether a replay is steady.
    disturbance = regenerate.DISTURBANCE
    # Traced steps of a golden file.
    length = regenerate.STEPS

    def __init__(self, trace, dtype):
        self.trace, self.dtype, self.steps = trace, dtype, []
        self.networks, self.reports = {}, []

    def load(self):
        """Takes the weights of before the first step. Strict: the names, layouts and
        number of tensors are PyTorch's."""
        for name, net in self.networks.items():
            net.load_state_dict(self.trace.state("before", name), strict=True)
            net.to(self.dtype)

    def memory(self):
        """What is saved beside the networks, by name."""
        return {}

    def free(self):
        """Names of tensors that no output depends on."""
        return []

    @torch.no_grad()
    def disturb(self, size, seed):
        """Multiplies every trained weight by 1 + N(0, size^2), as rounding might."""
        noise = torch.Generator().manual_seed(seed)
        for net in self.networks.values():
            for p in net.parameters():
                if p.requires_grad:
                    p.mul_(1 + size * torch.randn(p.shape, generator=noise, dtype=p.dtype))

    def update(self, optimizer, values):
        """A step of an optimiser with the learning rate that the trace has."""
        for group in optimizer.param_groups:
            group["lr"] = values["update"][0].item()
        optimizer.step()

    def state(self):
        """What is left at the end, by name."""
        tensors = {
            f"{network}.{name}": tensor.detach()
            for network, net in self.networks.items()
            for name, tensor in net.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        return tensors | self.memory()


def reports(trace):
    """Those of each step."""
    names = sorted(name for name in trace.tensors if name.startswith("step"))
    return [trace.tensors[name].tolist() for name in names]


def after(trace):
    names = (name.removeprefix("after.") for name in trace.tensors if name.startswith("after."))
    names = (name for name in names if not name.startswith("moment"))
    return {name: trace.tensors[f"after.{name}"] for name in names}


def compare(played, steps, state, rounding=replay.ROUNDING, say=print):
    """The worst errors (losses, weights) of a run against its replay."""
    names, losses, weights = played.reports, [], []
    for number, (ours, theirs) in enumerate(zip(steps, played.steps, strict=True)):
        errors = [abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True)]
        say(f"step {number:3d} " + "  ".join(f"{n} {e:.1e}" for n, e in zip(names, errors)))
        losses += errors
    theirs, free = played.state(), played.free()
    assert state.keys() == theirs.keys(), state.keys() ^ theirs.keys()
    for name, tensor in theirs.items():
        if name in free:
            continue
        largest = tensor.abs().max().item() or 1.0
        difference = (state[name].to(tensor.dtype) - tensor).abs().max().item()
        error = 0.0 if difference <= rounding else difference / largest
        moved = (tensor - played.trace.tensors[f"before.{name}"]).abs().max().item() / largest
        say(f"{name:40s} error {error:.1e}  largest {largest:.3g}  moved {moved:.1e}")
        weights.append(error)
    # NaN above all numbers, so that it is no success.
    return [max(errors, key=lambda x: (math.isnan(x), x)) for errors in (losses, weights)]


def check(kind, name, trace, say=print):
    """The replay of a trace; ends where they disagree."""
    played = kind(trace, torch.float64)
    played.run()
    loss, weight = compare(played, reports(trace), after(trace), say=say)
    print(f"{name}: PyTorch {torch.__version__}: worst loss {loss:.1e}, worst weight {weight:.1e}")
    if not (loss <= replay.TOLERANCE and weight <= replay.TOLERANCE):
        sys.exit(f"error: {name} disagrees with PyTorch by more than {replay.TOLERANCE:g}")
    return played


def is_steady(kind, played):
    """Whether a replay leads to the same result from disturbed weights."""
    for seed in range(3):
        other = kind(played.trace, torch.float64)
        other.disturb(played.disturbance, seed)
        other.run()
        errors = compare(played, other.steps, other.state(), 0, lambda line: None)
        if not max(errors) <= regenerate.TOLERANCE:
            return False
    return True


def fixture(arguments, played):
    short, free = regenerate.short, played.free()
    return {
        "arguments": arguments,
        "pytorch": torch.__version__.split("+")[0],
        "metrics": [[short(x) for x in step] for step in played.steps],
        **({"free": free} if free else {}),
        "tensors": {
            name: {
                "shape": list(tensor.shape),
                "largest": short(tensor.abs().max().item()),
                "elements": [
                    short(x) for x in regenerate.evenly_spaced(tensor, played.elements)
                ],
            }
            for name, tensor in sorted(played.state().items())
        },
    }


def make(kind, gpugan, name, case):
    """A golden file, of the first seed that is steady."""
    for seed in range(regenerate.SEEDS):
        arguments = [*case.split(), "--seed", str(seed)]
        trace = regenerate.traced(gpugan, arguments, kind.length)
        played = kind(trace, torch.float64)
        played.run()
        if is_steady(kind, played):
            check(kind, f"{name}, seed {seed}", trace, say=lambda line: None)
            text = regenerate.written(fixture(arguments, played)) + "\n"
            (FIXTURES / f"{name}.json").write_text(text)
            return
    sys.exit(f"error: {name} is not steady with any of {regenerate.SEEDS} seeds")


def main(kind, about, cases, prepare=lambda: None):
    """Compares the trace that is named, or makes the golden files of some cases."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("trace", nargs="?")
    parser.add_argument("--fixtures", nargs="*", metavar="NAME", default=[])
    arguments = parser.parse_args()
    if arguments.trace:
        check(kind, arguments.trace, replay.Trace(arguments.trace))
        return
    prepare()
    gpugan = regenerate.program()
    for name in arguments.fixtures or list(cases):
        make(kind, gpugan, name, cases[name])
