"""Modules: a symbol with its parameters, devices and optimizer, trained by ``fit`` (public path: ``mxnet.module``)."""

from mxcompat.module import base_module, bucketing_module, executor_group, module, python_module, sequential_module
from mxcompat.module.base_module import BaseModule
from mxcompat.module.bucketing_module import BucketingModule
from mxcompat.module.module import Module
from mxcompat.module.python_module import PythonLossModule, PythonModule
from mxcompat.module.sequential_module import SequentialModule

__all__ = ["BaseModule", "BucketingModule", "Module", "PythonLossModule", "PythonModule", "SequentialModule"]
