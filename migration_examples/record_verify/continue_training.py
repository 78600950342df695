"""Train the converted network on in plain PyTorch: python continue_training.py FOLDER-WITH-NET.PY"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, sys.argv[1])
import net  # noqa: E402  what mxcompat convert wrote

DATA = Path(__file__).parents[1] / "digits" / "digits.npz"

with np.load(DATA) as data:
    order = np.random.RandomState(0).permutation(len(data["labels"]))
    images = torch.from_numpy(data["images"][order].reshape(-1, 1, 8, 8).astype(np.float32) / 16)
    labels = torch.from_numpy(data["labels"][order].astype(np.int64))
split = int(0.8 * len(order))
torch.manual_seed(1)
model = net.load(net.Net())


@torch.no_grad()
def accuracy():
    """The share of the validation images that are told right."""
    model.eval()
    return (model(images[split:]).argmax(1) == labels[split:]).float().mean().item()


print(f"as converted: validation accuracy {accuracy():.4f}")
optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, weight_decay=1e-4)
for epoch in range(3):
    model.train()
    for batch in torch.randperm(split).split(32):
        optimizer.zero_grad()
        (net.loss(model, images[batch], labels[batch]) / len(batch)).backward()
        optimizer.step()
    print(f"epoch {epoch}: validation accuracy {accuracy():.4f}")
