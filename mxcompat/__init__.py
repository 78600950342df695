"""mxcompat: the Symbol/Module API of Apache MXNet, running on PyTorch."""
