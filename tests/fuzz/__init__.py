"""Damaged files for every loader: ``python -m tests.fuzz``, and saves that are killed: ``python -m tests.fuzz.kill``."""
