"""Load the converted network, train it on in plain PyTorch, and save what MXNet can load again.

    python continue_training.py --epochs 5 --out tuned.safetensors
"""

import argparse
from pathlib import Path

import lenet
import numpy as np
import torch

HERE = Path(__file__).parent
NUM_TRAIN = 1397


def read_digits(path):
    """Images (n, 1, 8, 8) in [0, 1] and labels, in the order of digits/train.py."""
    with np.load(path) as data:
        images, labels = data["images"], data["labels"]
    order = np.random.RandomState(42).permutation(len(images))
    images = torch.from_numpy(images.astype(np.float32).reshape(-1, 1, 8, 8) / 16)
    return images[order], torch.from_numpy(labels.astype(np.int64))[order]


@torch.no_grad()
def accuracy(model, images, labels):
    model.eval()
    return (model(images).argmax(1) == labels).float().mean().item()


def train_epoch(model, optimizer, images, labels, batch_size):
    model.train()
    for batch in torch.randperm(len(images)).split(batch_size):
        optimizer.zero_grad()
        (lenet.loss(model, images[batch], labels[batch]) / len(batch)).backward()
        optimizer.step()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=HERE.parent / "digits" / "digits.npz")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--out", type=Path, help="where to save the weights")
    args = parser.parse_args()

    torch.manual_seed(1)
    images, labels = read_digits(args.data)
    train, validation = (images[:NUM_TRAIN], labels[:NUM_TRAIN]), (images[NUM_TRAIN:], labels[NUM_TRAIN:])
    model = lenet.load(lenet.Net())
    print(f"as converted: validation accuracy {accuracy(model, *validation):.4f}")
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    for epoch in range(args.epochs):
        train_epoch(model, optimizer, *train, args.batch_size)
        print(f"epoch {epoch}: validation accuracy {accuracy(model, *validation):.4f}")
    if args.out:
        lenet.save(model, args.out)
        print(f"saved {args.out}")


if __name__ == "__main__":
    main()
