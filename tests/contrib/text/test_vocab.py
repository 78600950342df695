"""Counting of tokens and vocabularies."""

from __future__ import annotations

from collections import Counter

import pytest

from mxcompat.contrib import text
from tests import api_walk

COUNTER = Counter({"c": 2, "b": 3, "a": 3, "d": 1, "<pad>": 9})


def test_names_and_signatures() -> None:
    api_walk.check(["mx.contrib.text"], {})


def test_counting() -> None:
    source = " Life is great ! \n life is good . \n"
    counted = text.utils.count_tokens_from_str(source, " ", "\n", True)
    assert counted == {"!": 1, ".": 1, "good": 1, "great": 1, "is": 2, "life": 2}
    assert text.utils.count_tokens_from_str("*a*b*;*a*", r"\*", ";") == {"a": 2, "b": 1}
    counter = Counter(life=5)
    assert text.utils.count_tokens_from_str(source, counter_to_update=counter) is counter
    assert counter["life"] == 6 and counter["Life"] == 1


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        ({}, ["<unk>", "<pad>", "a", "b", "c", "d"]),
        ({"most_freq_count": 2}, ["<unk>", "<pad>", "a"]),
        ({"most_freq_count": 0}, ["<unk>"]),
        ({"min_freq": 3}, ["<unk>", "<pad>", "a", "b"]),
        ({"min_freq": 100, "most_freq_count": 2}, ["<unk>"]),
        ({"reserved_tokens": ["<pad>", "x"]}, ["<unk>", "<pad>", "x", "a", "b", "c", "d"]),
        ({"reserved_tokens": ["x"], "most_freq_count": 1}, ["<unk>", "x", "<pad>"]),
        ({"unknown_token": "a"}, ["a", "<pad>", "b", "c", "d"]),
    ],
)
def test_order_of_tokens(options: dict, tokens: list[str]) -> None:
    vocabulary = text.vocab.Vocabulary(COUNTER, **options)
    assert vocabulary.idx_to_token == tokens and len(vocabulary) == len(tokens)
    assert vocabulary.token_to_idx == {token: index for index, token in enumerate(tokens)}
    assert vocabulary.unknown_token == tokens[0]
    assert vocabulary.reserved_tokens == options.get("reserved_tokens")


def test_tokens_of_other_types() -> None:
    counter = Counter([(1, 2), (0, 1), (0, 1)])
    vocabulary = text.vocab.Vocabulary(counter, unknown_token=(), reserved_tokens=[(5,)])
    assert vocabulary.idx_to_token == [(), (5,), (0, 1), (1, 2)]


def test_look_up() -> None:
    vocabulary = text.vocab.Vocabulary(COUNTER)
    assert vocabulary.to_indices("c") == 4 and vocabulary.to_indices(["a", "?", "d"]) == [2, 0, 5]
    assert vocabulary.to_tokens(4) == "c" and vocabulary.to_tokens([2, 0, 5]) == ["a", "<unk>", "d"]
    for wrong in (6, [0, 6], 1.0, "a", -7):
        with pytest.raises(ValueError, match="in the provided `indices` is invalid"):
            vocabulary.to_tokens(wrong)


@pytest.mark.parametrize(
    ("options", "text_of_error"),
    [
        ({"min_freq": 0}, "positive"),
        ({"reserved_tokens": ["<unk>"]}, "cannot contain `unknown_token`"),
        ({"reserved_tokens": ["x", "x"]}, "twice"),
        ({"counter": {"a": 1}}, "found dict"),
    ],
)
def test_refusals(options: dict, text_of_error: str) -> None:
    with pytest.raises(AssertionError, match=text_of_error):
        text.vocab.Vocabulary(**{"counter": COUNTER, **options})
