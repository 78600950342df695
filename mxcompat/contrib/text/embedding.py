"""Vectors for tokens, read from text files (public path: ``mxnet.contrib.text.embedding``).

Nothing is downloaded: ``GloVe`` and ``FastText`` read the published files, or archives, from a folder.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import warnings
import zipfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mxcompat import ndarray as nd
from mxcompat import registry
from mxcompat.base import MXNetError, data_dir
from mxcompat.contrib.text import vocab
from mxcompat.contrib.text.vocab import UNKNOWN_INDEX

__all__ = ["CompositeEmbedding", "CustomEmbedding", "FastText", "GloVe", "create", "get_pretrained_file_names"]
__all__ += ["register"]


def register(embedding_cls: type) -> type:
    """Decorator: enter a subclass of ``_TokenEmbedding`` under its lower-case name, for ``create``."""
    return registry.get_register_func(_TokenEmbedding, "token embedding")(embedding_cls)


def create(embedding_name: str, **kwargs: Any) -> _TokenEmbedding:
    """An embedding of the class registered under that name (in any case), made with the keywords."""
    return registry.get_create_func(_TokenEmbedding, "token embedding")(embedding_name, **kwargs)


def get_pretrained_file_names(embedding_name: str | None = None) -> dict[str, list[str]] | list[str]:
    """The names of the published files of an embedding, or of all by name; ``KeyError`` for an unknown embedding."""
    known = registry.get_registry(_TokenEmbedding)
    if embedding_name is None:
        return {name: list(getattr(cls, "pretrained_file_name_sha1", ())) for name, cls in known.items()}
    if embedding_name not in known:
        raise KeyError(f"Cannot find `embedding_name` {embedding_name}, known are {', '.join(sorted(known))}")
    return list(getattr(known[embedding_name], "pretrained_file_name_sha1", ()))


@functools.cache
def _published() -> dict[str, dict[str, dict[str, str]]]:
    """Names and SHA-1 sums of the published files and of the archives that hold them."""
    return json.loads(Path(__file__).with_name("pretrained.json").read_text(encoding="utf-8"))


class _TokenEmbedding(vocab.Vocabulary):
    """Base class: a vocabulary with a vector for each token; row 0 of ``idx_to_vec`` is that of unknown tokens.

    Without a vocabulary of its own an embedding numbers the tokens in the order of its file.
    """

    #: published file -> its SHA-1 sum
    pretrained_file_name_sha1: dict[str, str]
    _vec_len: int
    _idx_to_vec: nd.NDArray

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)

    @property
    def vec_len(self) -> int:
        """The length of each vector."""
        return self._vec_len

    @property
    def idx_to_vec(self) -> nd.NDArray:
        """The vectors by number, shape (tokens, ``vec_len``), float32."""
        return self._idx_to_vec

    def get_vecs_by_tokens(self, tokens: str | list[str], lower_case_backup: bool = False) -> nd.NDArray:
        """The vector of a token (``vec_len``,), or of a list of tokens (len, ``vec_len``).

        With ``lower_case_backup`` tokens that are not there are looked up in lower case.
        """
        known = self._token_to_idx
        indices = []
        for token in tokens if isinstance(tokens, list) else [tokens]:
            backup = known.get(token.lower(), UNKNOWN_INDEX) if lower_case_backup else UNKNOWN_INDEX
            indices.append(known.get(token, backup))
        vectors = nd.Embedding(nd.array(indices), self._idx_to_vec, *self._idx_to_vec.shape)
        return vectors if isinstance(tokens, list) else vectors[0]

    def update_token_vectors(self, tokens: str | list[str], new_vectors: nd.NDArray) -> None:
        """Replace the vectors of tokens by the rows of ``new_vectors`` (one row may be a plain vector).

        ``AssertionError`` for another shape, ``ValueError`` for a token that is not there; the vector of all unknown
        tokens is replaced under the name ``unknown_token``.
        """
        listed = tokens if isinstance(tokens, list) else [tokens]
        axes = (1, 2) if len(listed) == 1 else (2,)
        if not isinstance(new_vectors, nd.NDArray) or new_vectors.ndim not in axes:
            raise AssertionError(f"`new_vectors` must be an NDArray with {' or '.join(map(str, axes))} axes")
        rows = new_vectors.reshape((1, -1)) if new_vectors.ndim == 1 else new_vectors
        if rows.shape != (len(listed), self._vec_len):
            raise AssertionError(f"`new_vectors` has shape {rows.shape}, expected {(len(listed), self._vec_len)}")
        for token in listed:
            if token not in self._token_to_idx:
                raise ValueError(
                    f"Token {token} is unknown. To update the vector of unknown tokens, name the unknown token "
                    f"{self._idx_to_token[UNKNOWN_INDEX]}."
                )
        self._idx_to_vec[nd.array([self._token_to_idx[token] for token in listed])] = rows

    @classmethod
    def _check_pretrained_file_names(cls, pretrained_file_name: str) -> None:
        """``KeyError`` for a file that is not published."""
        if pretrained_file_name not in cls.pretrained_file_name_sha1:
            raise KeyError(
                f"Cannot find pretrained file {pretrained_file_name} for token embedding {cls.__name__.lower()}. Valid "
                f"pretrained files: {', '.join(cls.pretrained_file_name_sha1)}"
            )

    @classmethod
    def _get_download_file_name(cls, pretrained_file_name: str) -> str:
        """The archive that holds a published file; the file itself when it is published as it is."""
        return pretrained_file_name

    @classmethod
    def _get_pretrained_file(cls, embedding_root: str, pretrained_file_name: str) -> str:
        """The path of a published file in the folder of this class below ``embedding_root``.

        It is unpacked there if only its archive lies there. ``MXNetError`` when neither does, or when the bytes are not
        the published ones.
        """
        folder = Path(os.path.expanduser(embedding_root), cls.__name__.lower())
        path, archive = folder / pretrained_file_name, folder / cls._get_download_file_name(pretrained_file_name)
        wanted = cls.pretrained_file_name_sha1[pretrained_file_name]
        if path.is_file():
            if _sha1(path) != wanted:
                raise MXNetError(f"{path} is not the published file (its SHA-1 is not {wanted}); get it anew")
        elif archive != path and archive.is_file():
            with zipfile.ZipFile(archive) as file:
                file.extract(pretrained_file_name, folder)
        else:
            raise MXNetError(
                f"{path} is not there, and mxcompat downloads nothing: put {archive.name} or {path.name} into that folder"
            )
        return str(path)

    def _load_embedding(
        self, pretrained_file_path: str, elem_delim: str, init_unknown_vec: Callable, encoding: str = "utf8"
    ) -> None:
        """Number the tokens of a file and keep their vectors; of a token that comes twice the first counts."""
        path = os.path.expanduser(pretrained_file_path)
        if not os.path.isfile(path):
            raise ValueError(f"`pretrained_file_path` must be a valid path to the token embedding file, found {path}")
        logging.info("Loading pre-trained token embedding vectors from %s", path)
        given: dict[Any, list[float] | None] = dict.fromkeys(self._idx_to_token)  # the unknown token and reserved ones
        values, length = array("f"), None
        for where, token, vector in _vectors(path, elem_delim, encoding):
            if token in given and given[token] is None:
                given[token] = vector
            elif token in self._token_to_idx:
                warnings.warn(f"{where}: a second vector of token {token} is skipped", stacklevel=3)
            elif len(vector) == 1:
                warnings.warn(f"{where}: token {token} with the number {vector[0]} looks like a header", stacklevel=3)
            else:
                length = len(vector) if length is None else length
                if len(vector) != length:
                    raise AssertionError(f"{where}: token {token} has {len(vector)} numbers, those before {length}")
                values.extend(vector)
                self._append(token)
        if length is None:
            raise ValueError(f"{path} holds no vectors")
        first = np.zeros((len(given), length), np.float32)
        self._vec_len = length
        self._idx_to_vec = nd.array(np.concatenate([first, np.frombuffer(values, np.float32).reshape(-1, length)]))
        for index, known in enumerate(given.values()):
            self._idx_to_vec[index] = init_unknown_vec(shape=length) if known is None else nd.array(known)

    def _index_tokens_from_vocabulary(self, vocabulary: vocab.Vocabulary) -> None:
        """Take over the numbers of a vocabulary."""
        self._token_to_idx, self._idx_to_token = dict(vocabulary.token_to_idx), list(vocabulary.idx_to_token)
        self._unknown_token = vocabulary.unknown_token
        reserved = vocabulary.reserved_tokens
        self._reserved_tokens = None if reserved is None else list(reserved)

    def _set_idx_to_vec_by_embeddings(
        self, token_embeddings: Sequence[_TokenEmbedding], vocab_len: int, vocab_idx_to_token: list
    ) -> None:
        """Put the vectors of several embeddings side by side, for the tokens of a vocabulary."""
        columns = []
        for embedding in token_embeddings:
            columns.append(nd.concat(embedding.idx_to_vec[:1], *_rows(embedding, vocab_idx_to_token[1:]), dim=0))
        self._idx_to_vec = nd.concat(*columns, dim=1)
        self._vec_len = self._idx_to_vec.shape[1]

    def _build_embedding_for_vocabulary(self, vocabulary: vocab.Vocabulary | None) -> None:
        """Keep the vectors of a vocabulary's tokens alone, under its numbers."""
        if vocabulary is None:
            return
        _check_vocabulary(vocabulary)
        self._set_idx_to_vec_by_embeddings([self], len(vocabulary), vocabulary.idx_to_token)
        self._index_tokens_from_vocabulary(vocabulary)


def _rows(embedding: _TokenEmbedding, tokens: list) -> list[nd.NDArray]:
    return [embedding.get_vecs_by_tokens(tokens)] if tokens else []


def _check_vocabulary(vocabulary: Any) -> None:
    if not isinstance(vocabulary, vocab.Vocabulary):
        raise AssertionError(f"`vocabulary` must be a text.vocab.Vocabulary, found {type(vocabulary).__name__}")


def _vectors(path: str, elem_delim: str, encoding: str) -> Iterator[tuple[str, str, list[float]]]:
    """(where it stands, token, its numbers) for each line of a file."""
    with open(path, encoding=encoding) as file:
        for number, line in enumerate(file, 1):
            token, *numbers = line.rstrip().split(elem_delim)
            where = f"At line {number} of {path}"
            if not numbers:
                raise AssertionError(f"{where}: expected a token and numbers with {elem_delim!r} between them")
            yield where, token, [float(text) for text in numbers]


def _sha1(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha1()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@register
class GloVe(_TokenEmbedding):
    """The published GloVe vectors (nlp.stanford.edu/projects/glove), from the folder ``glove`` below ``embedding_root``.

    ``pretrained_file_name`` is one of ``get_pretrained_file_names('glove')``, else ``KeyError``; ``MXNetError`` when
    neither that file nor its archive is in the folder. ``init_unknown_vec(shape=n)`` makes the vector of unknown tokens
    unless the file has one. With a ``vocabulary`` only its tokens are kept.
    """

    pretrained_archive_name_sha1 = _published()["glove"]["archives"]
    pretrained_file_name_sha1 = _published()["glove"]["files"]

    @classmethod
    def _get_download_file_name(cls, pretrained_file_name: str) -> str:
        corpus = pretrained_file_name.split(".")[1]
        return next(name for name in cls.pretrained_archive_name_sha1 if name.split(".")[1] == corpus)

    def __init__(
        self,
        pretrained_file_name: str = "glove.840B.300d.txt",
        embedding_root: str = os.path.join(data_dir(), "embeddings"),
        init_unknown_vec: Callable = nd.zeros,
        vocabulary: vocab.Vocabulary | None = None,
        **kwargs: Any,
    ):
        self._check_pretrained_file_names(pretrained_file_name)
        super().__init__(**kwargs)
        self._load_embedding(self._get_pretrained_file(embedding_root, pretrained_file_name), " ", init_unknown_vec)
        self._build_embedding_for_vocabulary(vocabulary)


@register
class FastText(_TokenEmbedding):
    """The published fastText vectors (fasttext.cc), from the folder ``fasttext`` below ``embedding_root``.

    The arguments are those of ``GloVe``.
    """

    pretrained_archive_name_sha1 = _published()["fasttext"]["archives"]
    pretrained_file_name_sha1 = _published()["fasttext"]["files"]

    @classmethod
    def _get_download_file_name(cls, pretrained_file_name: str) -> str:
        return pretrained_file_name.rpartition(".")[0] + ".zip"

    def __init__(
        self,
        pretrained_file_name: str = "wiki.simple.vec",
        embedding_root: str = os.path.join(data_dir(), "embeddings"),
        init_unknown_vec: Callable = nd.zeros,
        vocabulary: vocab.Vocabulary | None = None,
        **kwargs: Any,
    ):
        self._check_pretrained_file_names(pretrained_file_name)
        super().__init__(**kwargs)
        self._load_embedding(self._get_pretrained_file(embedding_root, pretrained_file_name), " ", init_unknown_vec)
        self._build_embedding_for_vocabulary(vocabulary)


class CustomEmbedding(_TokenEmbedding):
    """Vectors from a file of one's own: a token and its numbers on each line, with ``elem_delim`` between them.

    ``init_unknown_vec(shape=n)`` makes the vector of unknown tokens unless the file has one; lines with one number
    (headers) and further vectors of a token are skipped with a warning. With a ``vocabulary`` only its tokens are kept.
    ``AssertionError`` for a line without numbers or with another number of them than before.
    """

    def __init__(
        self,
        pretrained_file_path: str,
        elem_delim: str = " ",
        encoding: str = "utf8",
        init_unknown_vec: Callable = nd.zeros,
        vocabulary: vocab.Vocabulary | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._load_embedding(pretrained_file_path, elem_delim, init_unknown_vec, encoding)
        self._build_embedding_for_vocabulary(vocabulary)


class CompositeEmbedding(_TokenEmbedding):
    """The vectors of one or several embeddings, end to end, for the tokens of a vocabulary."""

    def __init__(self, vocabulary: vocab.Vocabulary, token_embeddings: _TokenEmbedding | list[_TokenEmbedding]):
        _check_vocabulary(vocabulary)
        embeddings = token_embeddings if isinstance(token_embeddings, list) else [token_embeddings]
        for embedding in embeddings:
            if not isinstance(embedding, _TokenEmbedding):
                raise AssertionError(f"`token_embeddings` must be embeddings, found {type(embedding).__name__}")
        self._index_tokens_from_vocabulary(vocabulary)
        self._set_idx_to_vec_by_embeddings(embeddings, len(self), self._idx_to_token)
