"""Optimizer states (``.states``): pickles of NDArrays, read without running any code of the file.

Reading goes in two steps. A restricted unpickler knows a handful of names and replaces each by a stand-in of this
module, so that nothing but builtin containers, numbers, text and stand-ins comes out of the file. ``_Builder`` then
makes the real arrays and, of classes the caller hands in, the real objects. Writing names the classes of the original,
so that MXNet 1.9.1 loads what is written here.
"""

from __future__ import annotations

import collections
import io
import logging
import pickle
import pickletools
import re
import struct
import types
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from mxcompat.base import MXNetError

__all__ = ["dumps", "loads"]

ARRAY_CLASSES = {
    ("mxnet.ndarray.ndarray", "NDArray"),
    ("mxnet.ndarray", "NDArray"),
    ("mxnet.ndarray.sparse", "CSRNDArray"),
    ("mxnet.ndarray.sparse", "RowSparseNDArray"),
}
#: classes by the storage type code in their bytes (formats.md, section 1)
ARRAY_CLASS_OF_STORAGE = {
    0: ("mxnet.ndarray.ndarray", "NDArray"),
    1: ("mxnet.ndarray.sparse", "RowSparseNDArray"),
    2: ("mxnet.ndarray.sparse", "CSRNDArray"),
}
OBJECT_MODULES = re.compile(r"mxnet\.(optimizer|lr_scheduler)(\.|$)")
_KEY_LIMIT = 1000
NUMPY_NUMBER_TYPE = re.compile(r"[biufc][0-9]{1,2}")

logger = logging.getLogger(__name__)


def loads(
    data: bytes,
    make_array: Callable[[bytes], Any],
    resolve: Callable[[str, str], type | None] | None = None,
    extra_classes: Mapping[tuple[str, str], type] | None = None,
    source: str = "<states>",
) -> Any:
    """The object in a ``.states`` file: a dict of states, or the pair (that dict, optimizer).

    ``make_array`` turns the bytes of an array record into an array. ``resolve(module, name)`` gives the class for a
    name in ``mxnet.optimizer`` or ``mxnet.lr_scheduler``, or None; ``extra_classes`` maps (module, name) of further
    classes that may occur, such as a scheduler of the program itself. Any other class raises ``MXNetError`` naming it,
    as does a damaged file; bytes behind the pickle are reported by the logger ``mxcompat.formats.states``.
    """
    _check_opcodes(data, source)
    unpickler = _Unpickler(data, resolve, extra_classes or {})
    try:
        return _Builder(make_array).build(unpickler.load())
    except MXNetError as error:
        raise MXNetError(f"{source}: {error}") from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise MXNetError(f"{source}: the pickle is damaged: {type(error).__name__}: {error}") from error


def _check_opcodes(data: bytes, source: str) -> None:
    """Refuses a truncated pickle, and one whose memo numbers would make the unpickler claim memory without bound."""
    position: int | None = None
    try:
        for count, (opcode, argument, place) in enumerate(pickletools.genops(data)):
            position = place
            if opcode.name in ("PUT", "LONG_BINPUT") and (argument or 0) > count:
                raise ValueError(f"memo number {argument} is out of range")
    except Exception as error:
        where = "" if position is None else f" behind offset {position}"
        raise MXNetError(f"{source}: the pickle is damaged{where}: {error}") from error
    left = len(data) - (position or 0) - 1
    if left:
        logger.warning("%s: %d bytes behind the pickle are ignored", source, left)


class _StandIn:
    """What the file calls an object: the arguments of its construction and its state, nothing run yet."""

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *arguments: Any) -> Any:
        instance = super().__new__(cls)
        instance.arguments = arguments
        return instance

    def __init__(self, *arguments: Any):
        """``arguments`` were kept by ``__new__``, which some pickles call alone."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_StandIn):
    """An NDArray: state ``{'handle': record bytes}``."""


class _Object(_StandIn):
    """An object of a class that the caller gave; ``target`` is set in a subclass made for each file."""

    target: type


class _NumpyType(_StandIn):
    """A numpy element type: constructor argument such as ``'f4'``, byte order second in the state."""

    def real(self) -> np.dtype:
        code = self.arguments[0] if self.arguments else None
        if not isinstance(code, str) or not NUMPY_NUMBER_TYPE.fullmatch(code):
            raise MXNetError(f"numpy type {code!r} is refused, expected a number type")
        dtype = np.dtype(code)
        return dtype if self.state is None else dtype.newbyteorder(self.state[1])


class _NumpyArray(_StandIn):
    """A numpy array: state (version, shape, type, is Fortran ordered, bytes)."""

    def real(self) -> np.ndarray:
        _, shape, dtype, fortran, content = self.state
        return _numpy_array(content, dtype, shape, "F" if fortran else "C")


class _Callable:
    """A function as the file may call it; a state given to it is refused, so that no file can change it."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise MXNetError(f"a state for the function {self.function.__name__} is refused")


def _numpy_array(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    stored = np.frombuffer(_binary(content), dtype.real())
    return stored.reshape(shape, order=order).copy(order=order)


def _numpy_reconstruct(*_: Any) -> _NumpyArray:
    return _NumpyArray()


def _numpy_frombuffer(content: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    return _numpy_array(content, dtype, shape, order)


def _numpy_scalar(dtype: Any, content: Any) -> Any:
    return np.frombuffer(_binary(content), dtype.real(), count=1)[0]


def _binary(content: Any) -> bytes | bytearray:
    """Binary content; Python 2 wrote it as text of one byte per character."""
    return content.encode("latin-1") if isinstance(content, str) else content


def _bytearray(*arguments: Any) -> bytearray:
    """``bytearray`` of content only: a number would claim that much memory."""
    if len(arguments) == 2 and isinstance(arguments[0], str):
        return bytearray(arguments[0], arguments[1])
    if len(arguments) == 1 and isinstance(arguments[0], (bytes, bytearray)):
        return bytearray(arguments[0])
    if not arguments:
        return bytearray()
    raise MXNetError(f"bytearray of {type(arguments[0]).__name__} is refused")


def _bytes(*arguments: Any) -> bytes:
    """``bytes``, by which older protocols write empty ones."""
    return bytes(_bytearray(*arguments))


def _encode(text: str, encoding: str = "utf-8") -> bytes:
    """``_codecs.encode``, by which older protocols write bytes."""
    if encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise MXNetError(f"encoding {encoding!r} is refused")
    return text.encode(encoding)


def _check_key(key: Any) -> None:
    """Refuses a key of nested tuples: its hash takes a step for each way through them, which can be for ever."""
    waiting, steps = [key], 0
    while waiting:
        item = waiting.pop()
        steps += 1
        if isinstance(item, (tuple, frozenset)):
            waiting.extend(item)
        if steps + len(waiting) > _KEY_LIMIT:
            raise MXNetError("a key with more than a thousand parts is refused")


def _set(items: Any = ()) -> set:
    return set(_keys(items))


def _frozenset(items: Any = ()) -> frozenset:
    return frozenset(_keys(items))


def _ordered_dict(items: Any = ()) -> collections.OrderedDict:
    entries = [(key, value) for key, value in items]
    _keys([key for key, _ in entries])
    return collections.OrderedDict(entries)


def _keys(items: Any) -> list:
    keys = list(items)
    for key in keys:
        _check_key(key)
    return keys


#: the classes ``object`` and ``numpy.ndarray``, which occur as arguments only
_PLAIN_OBJECT = object()
_NUMPY_ARRAY = object()


def _reconstructor(cls: Any, base: Any, state: Any) -> Any:
    """``copyreg._reconstructor``, by which protocols 0 and 1 make an object."""
    if not (isinstance(cls, type) and issubclass(cls, _StandIn)) or base is not _PLAIN_OBJECT or state is not None:
        raise MXNetError("an object built on a builtin class is refused")
    return cls()


_STAND_INS: dict[tuple[str, str], Any] = {
    ("builtins", "bytearray"): _Callable(_bytearray),
    ("builtins", "bytes"): _Callable(_bytes),
    ("builtins", "set"): _Callable(_set),
    ("builtins", "frozenset"): _Callable(_frozenset),
    ("builtins", "complex"): complex,
    ("builtins", "object"): _PLAIN_OBJECT,
    ("collections", "OrderedDict"): _Callable(_ordered_dict),
    ("copyreg", "_reconstructor"): _Callable(_reconstructor),
    ("_codecs", "encode"): _Callable(_encode),
    ("numpy", "dtype"): _NumpyType,
    ("numpy", "ndarray"): _NUMPY_ARRAY,
    ("numpy.core.multiarray", "_reconstruct"): _Callable(_numpy_reconstruct),
    ("numpy.core.multiarray", "scalar"): _Callable(_numpy_scalar),
    ("numpy.core.numeric", "_frombuffer"): _Callable(_numpy_frombuffer),
    **dict.fromkeys(ARRAY_CLASSES, _Array),
}


_PythonUnpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]  # only this one shows keys before they are used


class _Unpickler(_PythonUnpickler):
    """Knows the names of ``_STAND_INS`` and the classes of the caller; every other name is refused."""

    def __init__(
        self,
        data: bytes,
        resolve: Callable[[str, str], type | None] | None,
        extra_classes: Mapping[tuple[str, str], type],
    ):
        # Python 2 wrote text and bytes alike; latin-1 keeps every byte.
        super().__init__(io.BytesIO(data), encoding="latin-1")
        self.resolve = resolve
        self.extra_classes = extra_classes

    def find_class(self, module: str, name: str) -> Any:
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        module = module.replace("numpy._core.", "numpy.core.", 1)
        if module == "mxcompat" or module.startswith("mxcompat."):
            module = "mxnet" + module[len("mxcompat") :]
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        target = self.extra_classes.get((module, name))
        if target is None and self.resolve is not None and OBJECT_MODULES.match(module):
            target = self.resolve(module, name)
        if not isinstance(target, type):
            raise MXNetError(
                f"the class {module}.{name} is refused: a states file holds arrays, numbers, text, optimizers and "
                "schedulers; pass a class of your own in extra_classes"
            )
        return type("_Object", (_Object,), {"target": target})

    def _load_item(self) -> None:
        _check_key(self.stack[-2])
        self.load_setitem()

    def _load_items(self) -> None:
        _keys(self.stack[::2])
        self.load_setitems()

    def _load_dict(self) -> None:
        _keys(self.stack[::2])
        self.load_dict()

    def _load_set_items(self) -> None:
        _keys(self.stack)
        self.load_additems()

    def _load_frozenset(self) -> None:
        _keys(self.stack)
        self.load_frozenset()

    dispatch: ClassVar[dict] = {
        **_PythonUnpickler.dispatch,
        pickle.SETITEM[0]: _load_item,
        pickle.SETITEMS[0]: _load_items,
        pickle.DICT[0]: _load_dict,
        pickle.ADDITEMS[0]: _load_set_items,
        pickle.FROZENSET[0]: _load_frozenset,
    }


class _Builder:
    """Replaces the stand-ins in what was unpickled; an object that occurs twice stays one object."""

    def __init__(self, make_array: Callable[[bytes], Any]):
        self.make_array = make_array
        # by identity, with the item itself so that its identity is not given to another object meanwhile
        self.built: dict[int, tuple[Any, Any]] = {}

    def build(self, item: Any) -> Any:
        if id(item) not in self.built:
            if isinstance(item, (dict, list)):
                self.built[id(item)] = item, item
                self._fill(item)
            elif isinstance(item, _Object):
                self._object(item)
            else:
                self.built[id(item)] = item, self._leaf(item)
        return self.built[id(item)][1]

    def _fill(self, item: dict | list) -> None:
        """Replaces the content of a container, which may contain itself."""
        if isinstance(item, list):
            item[:] = [self.build(entry) for entry in item]
            return
        entries = [(self.build(key), self.build(value)) for key, value in item.items()]
        item.clear()
        item.update(entries)

    def _object(self, item: _Object) -> None:
        instance = item.target.__new__(item.target, *[self.build(argument) for argument in item.arguments])
        self.built[id(item)] = item, instance
        state = self.build(item.state)
        if hasattr(instance, "__setstate__"):
            instance.__setstate__(state)
        elif isinstance(state, dict):
            instance.__dict__.update(state)
        elif state is not None:
            raise MXNetError(f"the state of a {item.target.__name__} is {type(state).__name__}, expected a dict")

    def _leaf(self, item: Any) -> Any:
        """Everything that cannot contain itself."""
        if isinstance(item, _Array):
            content = item.state["handle"]
            if content is None:
                raise MXNetError("an array without content is refused")
            return self.make_array(bytes(_binary(content)))
        if isinstance(item, (_NumpyArray, _NumpyType)):
            return item.real()
        if isinstance(item, tuple):
            return tuple(self.build(entry) for entry in item)
        if isinstance(item, (set, frozenset)):
            return type(item)(self.build(entry) for entry in item)
        if callable(item) or item is _PLAIN_OBJECT or item is _NUMPY_ARRAY:
            raise MXNetError("a class or function stands where a value is expected")
        return item


def dumps(obj: Any, array_type: type | tuple[type, ...], array_bytes: Callable[[Any], bytes]) -> bytes:
    """Pickles states (and an optimizer) as MXNet 1.9.1 does: protocol 4, with the class paths of the original.

    Instances of ``array_type`` are stored as ``array_bytes`` gives their record. Classes of ``mxcompat.x`` are named
    ``mxnet.x``; names of numpy are those that every numpy version knows.
    """
    stream = io.BytesIO()
    _Pickler(stream, array_type, array_bytes).dump(obj)
    return stream.getvalue()


class _ClassName(type):
    """A class that exists by its name alone: (module, qualified name)."""

    path: tuple[str, str]


_ARRAY_NAMES = {
    code: _ClassName(name, (), {"path": (module, name)}) for code, (module, name) in ARRAY_CLASS_OF_STORAGE.items()
}
_ARRAY_ARGUMENTS = (None,)  # one object, so that every array refers to the same one in the memo of the pickle


_PythonPickler: Any = pickle._Pickler  # type: ignore[attr-defined]  # only this one can name what is not importable


class _Pickler(_PythonPickler):
    """Writes arrays and class names as the original would."""

    def __init__(self, stream: io.BytesIO, array_type: type | tuple[type, ...], array_bytes: Callable[[Any], bytes]):
        super().__init__(stream, protocol=4)
        self.array_type = array_type
        self.array_bytes = array_bytes

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, self.array_type):
            return NotImplemented
        content = self.array_bytes(obj)
        (storage,) = struct.unpack_from("<i", content, 4)
        return _ARRAY_NAMES[storage], _ARRAY_ARGUMENTS, {"handle": bytearray(content)}

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if isinstance(obj, _ClassName):
            module, name = obj.path
        else:
            module, name = getattr(obj, "__module__", None) or "", name or getattr(obj, "__qualname__", obj.__name__)
            if module == "mxcompat" or module.startswith("mxcompat."):
                module = "mxnet" + module[len("mxcompat") :]
            elif module.startswith("numpy._core."):
                module = module.replace("numpy._core.", "numpy.core.", 1)
            elif not module.startswith("mxnet."):
                super().save_global(obj, name)
                return
        self.save(module)
        self.save(name)
        self.write(pickle.STACK_GLOBAL)
        self.memoize(obj)

    dispatch: ClassVar[dict] = {**_PythonPickler.dispatch, types.FunctionType: save_global}
