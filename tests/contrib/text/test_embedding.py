"""Embeddings from files."""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxcompat as mx
from mxcompat.contrib import text

nd = mx.nd
LINES = "a 0.1 0.2 0.3\nb 1 2 3\nB 4 5 6\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text(LINES)
    return path


def rows(array: nd.NDArray) -> list:
    return array.asnumpy().tolist()


def test_file_is_numbered_in_its_order(path: Path) -> None:
    embedding = text.embedding.CustomEmbedding(str(path))
    assert embedding.idx_to_token == ["<unk>", "a", "b", "B"] and embedding.vec_len == 3
    assert embedding.idx_to_vec.shape == (4, 3) and embedding.idx_to_vec.dtype == np.float32
    np.testing.assert_array_equal(embedding.idx_to_vec.asnumpy()[:2], np.float32([[0, 0, 0], [0.1, 0.2, 0.3]]))
    assert rows(embedding.get_vecs_by_tokens("b")) == [1, 2, 3]
    assert rows(embedding.get_vecs_by_tokens(["B", "A", "b"])) == [[4, 5, 6], [0, 0, 0], [1, 2, 3]]
    np.testing.assert_array_equal(
        embedding.get_vecs_by_tokens(["B", "A"], lower_case_backup=True).asnumpy(),
        np.float32([[4, 5, 6], [0.1, 0.2, 0.3]]),
    )


def test_unknown_and_reserved_tokens(path: Path) -> None:
    embedding = text.embedding.CustomEmbedding(str(path), init_unknown_vec=nd.ones, reserved_tokens=["x", "b"])
    assert embedding.idx_to_token == ["<unk>", "x", "b", "a", "B"]
    assert rows(embedding.get_vecs_by_tokens(["?", "x", "b", "B"])) == [[1] * 3, [1] * 3, [1, 2, 3], [4, 5, 6]]
    known = text.embedding.CustomEmbedding(str(path), unknown_token="b")
    assert known.idx_to_token == ["b", "a", "B"] and rows(known.get_vecs_by_tokens("?")) == [1, 2, 3]


def test_odd_lines(path: Path) -> None:
    path.write_text("header 300\n" + LINES + "a 7 8 9\n")
    with pytest.warns(UserWarning) as caught:
        embedding = text.embedding.CustomEmbedding(str(path))
    assert [str(warning.message).partition(f"{path}: ")[2] for warning in caught] == [
        "token header with the number 300.0 looks like a header",
        "a second vector of token a is skipped",
    ]
    assert len(embedding) == 4 and rows(embedding.get_vecs_by_tokens("B")) == [4, 5, 6]
    for content, error, message in (
        ("a 1 2\nb 1 2 3\n", AssertionError, "At line 2 of .*token b has 3 numbers, those before 2"),
        ("a 1 2\n\nb 1 2\n", AssertionError, "At line 2"),
        ("a 1 x\n", ValueError, "'x'"),
        ("", ValueError, "holds no vectors"),
    ):
        path.write_text(content)
        with pytest.raises(error, match=message):
            text.embedding.CustomEmbedding(str(path))
    with pytest.raises(ValueError, match="must be a valid path"):
        text.embedding.CustomEmbedding(str(path) + ".missing")


def test_encoding_and_delimiter(path: Path) -> None:
    path.write_bytes("ä\t1\t2\n".encode("latin-1"))
    embedding = text.embedding.CustomEmbedding(str(path), "\t", "latin-1")
    assert rows(embedding.get_vecs_by_tokens("ä")) == [1, 2]


def test_vectors_are_replaced(path: Path) -> None:
    embedding = text.embedding.CustomEmbedding(str(path))
    embedding.update_token_vectors(["b", "B"], nd.array([[9, 9, 9], [8, 8, 8]]))
    embedding.update_token_vectors("<unk>", nd.array([7, 7, 7]))
    embedding.update_token_vectors(["a"], nd.array([[6, 6, 6]]))
    assert rows(embedding.idx_to_vec) == [[7] * 3, [6] * 3, [9] * 3, [8] * 3]
    with pytest.raises(ValueError, match="Token c is unknown"):
        embedding.update_token_vectors("c", nd.ones(3))
    for tokens, vectors in (("a", nd.ones(2)), (["a", "b"], nd.ones(3)), (["a", "b"], nd.ones((1, 3))), ("a", [1] * 3)):
        with pytest.raises(AssertionError, match="`new_vectors`"):
            embedding.update_token_vectors(tokens, vectors)  # type: ignore[arg-type]


def test_vocabularies(path: Path) -> None:
    vocabulary = text.vocab.Vocabulary(Counter(["b", "b", "c"]), reserved_tokens=["<pad>"])
    embedding = text.embedding.CustomEmbedding(str(path), init_unknown_vec=nd.ones, vocabulary=vocabulary)
    assert embedding.idx_to_token == ["<unk>", "<pad>", "b", "c"] and embedding.reserved_tokens == ["<pad>"]
    assert rows(embedding.idx_to_vec) == [[1] * 3, [1] * 3, [1, 2, 3], [1] * 3]
    full = text.embedding.CustomEmbedding(str(path))
    both = text.embedding.CompositeEmbedding(vocabulary, [full, embedding])
    assert both.vec_len == 6 and rows(both.idx_to_vec)[1:3] == [[0] * 3 + [1] * 3, [1, 2, 3, 1, 2, 3]]
    assert rows(text.embedding.CompositeEmbedding(text.vocab.Vocabulary(), full).idx_to_vec) == [[0] * 3]
    for arguments in ((["b"], full), (vocabulary, [full, vocabulary])):
        with pytest.raises(AssertionError, match="found"):
            text.embedding.CompositeEmbedding(*arguments)  # type: ignore[arg-type]


def test_published_files() -> None:
    names = text.embedding.get_pretrained_file_names()
    assert isinstance(names, dict) and len(names["glove"]) == 10 and len(names["fasttext"]) == 327
    assert text.embedding.get_pretrained_file_names("glove")[0] == "glove.42B.300d.txt"
    with pytest.raises(KeyError, match="Cannot find `embedding_name` nothing"):
        text.embedding.get_pretrained_file_names("nothing")
    with pytest.raises(KeyError, match="Cannot find pretrained file nothing"):
        text.embedding.create("GloVe", pretrained_file_name="nothing")


def test_published_files_are_read_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha1(LINES.encode()).hexdigest()
    monkeypatch.setitem(text.embedding.GloVe.pretrained_file_name_sha1, "glove.6B.50d.txt", digest)
    options: dict[str, Any] = {"pretrained_file_name": "glove.6B.50d.txt", "embedding_root": str(tmp_path)}
    with pytest.raises(mx.MXNetError, match="put glove.6B.zip or glove.6B.50d.txt into that folder"):
        text.embedding.create("glove", **options)
    (tmp_path / "glove").mkdir()
    with zipfile.ZipFile(tmp_path / "glove" / "glove.6B.zip", "w") as archive:
        archive.writestr("glove.6B.50d.txt", LINES)
    for _ in range(2):
        assert text.embedding.create("glove", **options).idx_to_token == ["<unk>", "a", "b", "B"]
    (tmp_path / "glove" / "glove.6B.50d.txt").write_text(LINES + "x 1 2 3\n")
    with pytest.raises(mx.MXNetError, match="is not the published file"):
        text.embedding.create("glove", **options)
    with pytest.raises(mx.MXNetError, match="wiki.simple.zip"):
        text.embedding.FastText(embedding_root=str(tmp_path))


def test_classes_of_ones_own(path: Path) -> None:
    @text.embedding.register
    class MyVectors(text.embedding._TokenEmbedding):
        def __init__(self) -> None:
            super().__init__()
            self._load_embedding(str(path), " ", nd.zeros)

    assert len(text.embedding.create("myvectors")) == 4
    assert text.embedding.get_pretrained_file_names("myvectors") == []
