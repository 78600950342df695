"""Benchmarks: the same scripts on mxcompat, on real MXNet and by hand in PyTorch, taken in turn."""
