"""Writes golden.json: what PyTorch computes, in f64 on the CPU, for the cases
of golden.rs. Run with PyTorch 2.x; the file records the version."""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def make(salt, *shape):
    """Eighths from -14/8 to 14/8, with many ties."""
    count = 1
    for size in shape:
        count *= size
    place = torch.arange(count)
    return (((place * 37 + place // 7 * 5 + salt * 11) % 29 - 14) / 8).reshape(shape)


cases = {}


def record(name, inputs, output):
    tensor = lambda t: {"shape": list(t.shape), "data": t.double().flatten().tolist()}
    cases[name] = {"inputs": [tensor(t) for t in inputs], "output": tensor(output)}


# Convolutions: strides, dilation, groups, asymmetric pads, output padding.
x, w = make(1, 2, 4, 7, 11), make(2, 6, 2, 3, 2).requires_grad_()
y = F.conv2d(x, w, stride=(2, 3), padding=(1, 2), dilation=(2, 1), groups=2)
record("conv2d", [x, w.detach()], y.detach())
dy = make(3, *y.shape)
(dw,) = torch.autograd.grad(y, w, dy)
record("conv_weight_grad", [x, dy], dw)
x, w = make(4, 1, 2, 6, 5), make(5, 3, 2, 4, 3)
record("conv2d_asymmetric", [x, w], F.conv2d(F.pad(x, (2, 0, 1, 3)), w, stride=(2, 1)))
y, w = make(6, 2, 6, 4, 5), make(7, 6, 2, 3, 2)
x = F.conv_transpose2d(
    y, w, stride=(2, 3), padding=(1, 0), output_padding=(1, 2), dilation=(2, 1), groups=2
)
record("conv_transpose2d", [y, w], x)

# Windows.
x = make(8, 2, 3, 7, 5)
pooled, index = F.max_pool2d(x, (3, 2), stride=(2, 2), padding=(1, 1), return_indices=True)
record("max_pool", [x], pooled)
record("max_pool_index", [x], index)
total = F.avg_pool2d(x, (3, 2), stride=(2, 2), padding=(1, 1), divisor_override=1)
record("sum_pool", [x], total)
inside = F.avg_pool2d(x, (3, 2), stride=(2, 2), padding=(1, 1), count_include_pad=False)
record("avg_pool_inside", [x], inside)
for name, size in [("up", (7, 11)), ("down", (2, 3)), ("mixed", (5, 2))]:
    x = make(9, 1, 2, 3, 5).requires_grad_()
    y = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    record(f"resize_{name}", [x.detach()], y.detach())
    dy = make(10, *y.shape)
    (dx,) = torch.autograd.grad(y, x, dy)
    record(f"resize_{name}_adjoint", [dy], dx)

# Movement.
for mode in ["reflect", "replicate"]:
    x = make(11, 1, 2, 5, 4).requires_grad_()
    y = F.pad(x, (3, 1, 2, 4), mode=mode)
    record(f"pad_{mode}", [x.detach()], y.detach())
    dy = make(12, *y.shape)
    (dx,) = torch.autograd.grad(y, x, dy)
    record(f"pad_fold_{mode}", [dy], dx)
x, index = make(13, 3, 5, 2), torch.tensor([4, 0, 4, 2, 1, 1]).repeat(3).reshape(3, 3, 2)
record("gather", [x, index], x.gather(1, index))
updates = make(14, 3, 3, 2)
record("scatter_add", [updates, index], torch.zeros(3, 5, 2).scatter_add(1, index, updates))
x = make(15, 2, 3, 4)
record("permute", [x], x.permute(2, 0, 1))

# Contractions and norms.
a, b = make(16, 2, 5, 3), make(17, 2, 7, 5)
record("matmul_both_transposed", [a, b], a.transpose(1, 2) @ b.transpose(1, 2))
x, gain, offset = make(18, 3, 5, 7, 2), make(19, 5), make(20, 5)
record(
    "batch_norm",
    [x, gain, offset],
    F.batch_norm(x, None, None, gain, offset, training=True, eps=2.0**-10),
)
record(
    "channel_stats",
    [x],
    torch.stack([x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)]),
)

# Functions of one element.
x = torch.tensor([-40.0, -3.5, -2.5, -0.5, -0.25, 0.0, 0.25, 0.5, 1.5, 2.5, 40.0])
positive = x[x > 0]
inside = x[x.abs() < 1]
record("Neg", [x], -x)
record("Exp", [x], x.exp())
record("Log", [positive], positive.log())
record("Sqrt", [positive], positive.sqrt())
record("Rsqrt", [positive], positive.rsqrt())
record("Recip", [positive], positive.reciprocal())
record("Abs", [x], x.abs())
record("Sign", [x], x.sign())
record("Sigmoid", [x], x.sigmoid())
record("Tanh", [x], x.tanh())
record("Softplus", [x], F.softplus(x, threshold=100.0))
record("Atanh", [inside], inside.atanh())
record("Sin", [x], x.sin())
record("Cos", [x], x.cos())
record("Floor", [x], x.floor())
record("Round", [x], x.round())
record("LeakyRelu", [x], F.leaky_relu(x, 0.25))

path = pathlib.Path(__file__).with_name("golden.json")
lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items())
path.write_text(f'{{"torch": {json.dumps(torch.__version__)},\n"cases": {{\n{lines}\n}}}}\n')
