"""From a Symbol to a torch.fx GraphModule, and how it is run."""
