"""Replay a trace of a restricted Boltzmann machine in NumPy, in float64, with the random
numbers that gpugan drew: `replay_rbm.py TRACE.safetensors`. Exit code 1 where a report or
a weight is off by more than 1e-3, as in replay.py.

Without a trace it makes the fixtures of tests/program/replay_rbm.rs again: it runs the
program, the release build or what GPUGAN names, replays the traces and writes what NumPy
computed.

A unit whose probability is within rounding of its random number is drawn differently in
float32, and the chain goes another way from there. Small machines draw few units; the
preset draws 400,000 in a step, of which one in some steps is such a unit.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
from safetensors import safe_open

from pcg4d import words

TOLERANCE = 1e-3
STEPS = 20
ELEMENTS = 64
HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "fixtures"
PROGRAM = HERE.parent.parent / "target/release/gpugan"
SMALL = "--preset rbm --batch 8 --set data.size=8 --set model.hidden=24 --set model.k=3"
CASES = {
    "rbm": f"{SMALL} --set optimizer.r.lr=0.02 --set optimizer.r.momentum=0.5",
    "rbm-cd": f"""{SMALL} --set model.persistent=false --set optimizer.r.lr=0.02
        --set optimizer.r.weight_decay=1e-2 --set optimizer.r.lr_decay=1.02""",
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0, x)


class Machine:
    """The machine of a trace."""

    def __init__(self, path):
        with safe_open(path, "np") as file:
            self.trace = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata()
        self.config = tomllib.loads(metadata["config"])
        self.seed = int(metadata["seed"])
        self.draws = [int(draw) for draw in metadata["draws"].split()]
        names = ["R.weight", "R.bias_visible", "R.bias_hidden"]
        self.tensors = {name: self.before(name) for name in names}
        self.velocity = {name: np.zeros_like(value) for name, value in self.tensors.items()}
        self.persistent = self.config["model"]["persistent"]
        self.chains = self.before("chains.hidden") if self.persistent else None

    def before(self, name):
        return self.trace[f"before.{name}"].astype(np.float64)

    def logits_hidden(self, v):
        return v @ self.tensors["R.weight"].T + self.tensors["R.bias_hidden"]

    def logits_visible(self, h):
        return h @ self.tensors["R.weight"] + self.tensors["R.bias_visible"]

    def free_energy(self, v):
        return -v @ self.tensors["R.bias_visible"] - softplus(self.logits_hidden(v)).sum(1)

    def draw(self, logits):
        first, _ = words(logits.size, self.stream, self.counter, self.seed)
        self.stream += 1
        return (sigmoid(logits) > first.reshape(logits.shape) * 2.0**-24).astype(np.float64)

    def step(self, number):
        """One update; returns its reports."""
        data = (self.trace[f"u{number:05}.R.images"].astype(np.float64) + 1) / 2
        data = data.reshape(len(data), -1)
        self.counter, self.stream = self.draws[number], 0
        h = self.chains if self.persistent else self.draw(self.logits_hidden(data))
        for _ in range(self.config["model"]["k"]):
            logits = self.logits_visible(h)
            v = self.draw(logits)
            h = self.draw(self.logits_hidden(v))
        if self.persistent:
            self.chains = h
            pixels = data.shape[1]
            rounded = data.round()
            flipped = rounded.copy()
            flipped[:, number % pixels] = 1 - flipped[:, number % pixels]
            odds = self.free_energy(flipped) - self.free_energy(rounded)
            loss = -(pixels * np.log(sigmoid(odds))).mean()
        else:
            losses = data * np.log(sigmoid(logits)) + (1 - data) * np.log(1 - sigmoid(logits))
            loss = -losses.sum(1).mean()
        reports = [loss, self.free_energy(data).mean(), self.free_energy(v).mean()]
        of_data, of_chains = self.gradients(data), self.gradients(v)
        lr, momentum = self.trace[f"u{number:05}.R.update"].astype(np.float64)[:2]
        decay = self.config["optimizer"]["r"]["weight_decay"]
        for name, tensor in self.tensors.items():
            gradient = of_data[name] - of_chains[name] + decay * tensor
            self.velocity[name] = momentum * self.velocity[name] + gradient
            self.tensors[name] = tensor - lr * self.velocity[name]
        return reports

    def gradients(self, v):
        """Of the mean free energy of rows."""
        h = sigmoid(self.logits_hidden(v))
        return {
            "R.weight": -h.T @ v / len(v),
            "R.bias_visible": -v.mean(0),
            "R.bias_hidden": -h.mean(0),
        }

    def run(self):
        """Takes all updates; returns the reports of each."""
        return [self.step(number) for number in range(len(self.draws))]

    def state(self):
        memory = {"chains.hidden": self.chains} if self.persistent else {}
        return self.tensors | memory


def compare(machine, reports, say=print):
    """The worst errors (reports, tensors) of a run against its replay."""
    losses, weights = [], []
    for number, theirs in enumerate(reports):
        ours = machine.trace[f"step{number:05}.metrics"].astype(np.float64)
        errors = np.abs(ours - theirs) / np.abs(theirs)
        say(f"step {number:3d} " + "  ".join(f"{error:.1e}" for error in errors))
        losses += list(errors)
    for name, value in machine.state().items():
        largest = np.abs(value).max()
        error = np.abs(machine.trace[f"after.{name}"] - value).max() / largest
        moved = np.abs(value - machine.trace[f"before.{name}"]).max() / largest
        say(f"{name:16s} error {error:.1e}  largest {largest:.3g}  moved {moved:.1e}")
        weights.append(error)
    return max(losses), max(weights)


def short(number):
    """Enough digits for a comparison to 1e-3."""
    return float(f"{number:.7g}")


def digest(value):
    """Shape, largest magnitude and up to 64 evenly spaced elements of a tensor."""
    flat = value.flatten()
    count = min(ELEMENTS, flat.size)
    return {
        "shape": list(value.shape),
        "largest": short(np.abs(flat).max()),
        "elements": [short(flat[i * flat.size // count]) for i in range(count)],
    }


def written(arguments, reports, state):
    """A fixture, with a line for each step and tensor."""
    steps = ",\n  ".join(json.dumps([short(x) for x in step]) for step in reports)
    tensors = ",\n  ".join(
        f"{json.dumps(name)}: {json.dumps(digest(value))}" for name, value in sorted(state.items())
    )
    return (
        f'{{\n "arguments": {json.dumps(arguments)},\n "numpy": "{np.__version__}",\n'
        f' "metrics": [\n  {steps}\n ],\n "tensors": {{\n  {tensors}\n }}\n}}\n'
    )


def regenerate(gpugan):
    for name, arguments in CASES.items():
        arguments = arguments.split()
        with tempfile.TemporaryDirectory() as folder:
            length = ["--steps", str(STEPS), "--trace", str(STEPS)]
            command = [gpugan, "train", "--quiet", "--outdir", folder, *arguments, *length]
            subprocess.run(command, check=True)
            (path,) = Path(folder).glob("*/trace.safetensors")
            machine = Machine(path)
            reports = machine.run()
            loss, weight = compare(machine, reports, lambda line: None)
        print(f"{name}: worst report {loss:.1e}, worst tensor {weight:.1e}")
        if not max(loss, weight) <= TOLERANCE / 2:
            sys.exit(f"error: {name} disagrees with NumPy")
        (FIXTURES / f"{name}.json").write_text(written(arguments, reports, machine.state()))


def main():
    if len(sys.argv) == 1:
        return regenerate(os.environ.get("GPUGAN", PROGRAM))
    machine = Machine(sys.argv[1])
    loss, weight = compare(machine, machine.run())
    print(f"NumPy {np.__version__}: worst report {loss:.1e}, worst tensor {weight:.1e}")
    sys.exit(0 if loss <= TOLERANCE and weight <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
