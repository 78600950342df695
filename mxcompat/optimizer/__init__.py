"""``mx.optimizer``: update rules with their states and multipliers (public path: ``mxnet.optimizer``)."""

from mxcompat.optimizer.optimizer import SGD, Adam, Optimizer, Test, Updater, ccSGD, create, get_updater, register

opt_registry = Optimizer.opt_registry

__all__ = ["SGD", "Adam", "Optimizer", "Test", "Updater", "ccSGD", "create", "get_updater", "register"]
