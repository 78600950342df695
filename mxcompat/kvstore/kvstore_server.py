"""The server of a distributed store, of which there is none here (public path: ``mxnet.kvstore.kvstore_server``)."""

from __future__ import annotations

from typing import Any

__all__ = ["KVStoreServer"]


class KVStoreServer:
    """Serves ``kvstore`` to other processes. A store within one process has nobody to serve: ``run`` returns at once."""

    def __init__(self, kvstore: Any):
        self.kvstore = kvstore
        self.handle = kvstore.handle

    def run(self) -> None:
        """Serve until all workers are done: at once, as there are none."""
