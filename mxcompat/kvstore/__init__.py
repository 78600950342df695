"""``mx.kv``: stores that sum and update arrays by key (public path: ``mxnet.kvstore``)."""

from mxcompat.kvstore import base, kvstore, kvstore_server
from mxcompat.kvstore.base import KVStoreBase, create
from mxcompat.kvstore.kvstore import KVStore
from mxcompat.kvstore.kvstore_server import KVStoreServer

__all__ = ["KVStore", "KVStoreBase", "KVStoreServer", "base", "create", "kvstore", "kvstore_server"]
