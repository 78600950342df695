"""lenet, converted from an MXNet symbol by mxcompat.

Comments give the shapes for data (1, 1, 8, 8), softmax_label (1,).

softmax: a label that names no class is an error here; the symbol let it lower the score of every class.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

WEIGHTS = Path(__file__).with_name("lenet.safetensors")


class Net(nn.Module):
    """data -> softmax_output."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 3, padding=1)
        self.conv2 = nn.Conv2d(20, 50, 3, padding=1)
        self.fc1 = nn.Linear(200, 128)
        self.fc2 = nn.Linear(128, 10)

    def scores(self, data):
        """What outputs and loss are made of."""
        x = F.max_pool2d(torch.tanh(self.conv1(data)), 2, stride=2)  # (1, 20, 4, 4)
        x = F.max_pool2d(torch.tanh(self.conv2(x)), 2, stride=2)  # (1, 50, 2, 2)
        x = torch.tanh(self.fc1(x.flatten(1)))  # (1, 128)
        return self.fc2(x)  # (1, 10)

    def forward(self, data):
        return F.softmax(self.scores(data), dim=1)  # (1, 10)


def loss(model, data, softmax_label):
    """What training minimizes, summed over the batch, as the gradients of the symbol are; Module.fit divides them
    by the batch size: (loss(model, ...) / len(data)).backward()."""
    return F.cross_entropy(model.scores(data), softmax_label.long(), reduction="sum")


def symbol_names(model):
    """The weight under each name of the symbol: conv1.bias is conv1_bias."""
    names = {}
    for path, layer in model.named_modules():
        stem = path.replace(".", "_")
        for kind, tensor in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
            if kind != "num_batches_tracked":
                names[f"{stem}_{kind}" if path else kind] = tensor
    return names


def load(model, path=WEIGHTS):
    """The model, with the weights of a file that has them under the symbol's names."""
    weights = load_file(path)
    with torch.no_grad():
        for name, tensor in symbol_names(model).items():
            tensor.copy_(weights[name])
    return model


def save(model, path):
    """Write the weights under the symbol's names; ``mxcompat convert PATH --to params`` makes a checkpoint of them."""
    with safe_open(WEIGHTS, "pt") as original:
        metadata = original.metadata()
    weights = {name: tensor.detach().contiguous() for name, tensor in symbol_names(model).items()}
    save_file(weights, path, metadata)
