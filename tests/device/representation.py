"""Writes representation.safetensors: what PyTorch's discriminator has in its
hidden layers, and scikit-learn's linear support vector machine.

Run with torch, scikit-learn and safetensors; the file's metadata has the versions.
"""

import pathlib

import sklearn
import torch
from safetensors.torch import save_file
from sklearn.svm import LinearSVC
from torch import nn
from torch.nn.functional import max_pool2d

HERE = pathlib.Path(__file__).resolve().parent
torch.manual_seed(22)

# A DCGAN's of width 4 for images of 24x12: 12x6, then 6x3 pixels.
body = nn.Sequential(
    nn.Conv2d(1, 4, 4, 2, 1),
    nn.LeakyReLU(0.2),
    nn.Conv2d(4, 8, 4, 2, 1, bias=False),
    nn.BatchNorm2d(8),
    nn.LeakyReLU(0.2),
    nn.Flatten(),
    nn.Linear(8 * 6 * 3, 1),
)
# Statistics and weights that do not look like fresh ones.
with torch.no_grad():
    for tensor in body.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) - 0.4)
    body[3].running_var.add_(0.5)
body.eval()
images = torch.rand(5, 1, 24, 12) * 2 - 1
with torch.no_grad():
    first = body[:2](images)
    second = body[2:5](first)
    parts = [max_pool2d(first, (3, 3), (3, 1)), max_pool2d(second, (3, 1), (1, 1))]
    features = torch.cat([part.flatten(1) for part in parts], 1)
assert parts[0].shape == (5, 4, 4, 4) and parts[1].shape == (5, 8, 4, 3)

# Three classes that overlap.
labels = torch.arange(60) % 3
rows = torch.randn(60, 7) + nn.functional.one_hot(labels, 7) * 1.5
machine = LinearSVC(loss="squared_hinge", dual=True, C=0.7, tol=1e-9, max_iter=10**6, random_state=0)
machine.fit(rows.double().numpy(), labels.numpy())

tensors = {f"D.main.{name}": tensor for name, tensor in body.state_dict().items()}
tensors |= {"images": images, "features": features, "rows": rows, "labels": labels}
tensors["weights"] = torch.from_numpy(machine.coef_)
tensors["bias"] = torch.from_numpy(machine.intercept_)
small = {name: x.float().contiguous() for name, x in tensors.items() if x.dim() > 0}
versions = {"torch": torch.__version__, "sklearn": sklearn.__version__}
save_file(small, HERE / "representation.safetensors", versions)
print(versions, features.shape, machine.coef_)
