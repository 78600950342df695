"""``mx.kv``: stores that sum and update arrays by key (public path: ``mxnet.kvstore``)."""

from mxcompat.kvstore.kvstore import KVStore, KVStoreBase, create

__all__ = ["KVStore", "KVStoreBase", "create"]
