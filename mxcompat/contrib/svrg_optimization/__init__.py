"""Stochastic variance-reduced gradient (public path: ``mxnet.contrib.svrg_optimization``).

A Module that corrects every batch's gradient by the gradient over all data (Johnson and Zhang, 2013).
"""

from mxcompat.contrib.svrg_optimization import svrg_module, svrg_optimizer

__all__ = ["svrg_module", "svrg_optimizer"]
