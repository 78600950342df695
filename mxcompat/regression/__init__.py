"""Regression against the original: the recorder that runs beside MXNet, the replay of its recordings, the pytest plugin."""
