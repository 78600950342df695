"""Behaviours that a plain port gets wrong, a test for each, numbered 1 to 247.

Those not found here: 101 to 155, 221 to 224, 232, 246 and 247 are in ``tests/test_semantics_core.py``, 180 to 188 in
``tests/test_initializer.py``, 189 to 199 in ``tests/test_metric.py``, 200 to 217 in ``tests/optimizer/test_optimizer.py``,
218 to 220 in ``tests/test_lr_scheduler.py``.
"""
