"""Sentences as numbers, and batches of sentences of like length (public path: ``mxnet.rnn.io``)."""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from mxcompat import ndarray
from mxcompat.io import DataBatch, DataDesc, DataIter

__all__ = ["BucketSentenceIter", "DataBatch", "DataDesc", "DataIter", "encode_sentences"]


def encode_sentences(
    sentences: Sequence[Sequence[Any]],
    vocab: dict[Any, int] | None = None,
    invalid_label: int = -1,
    invalid_key: Any = "\n",
    start_label: int = 0,
    unknown_token: Any = None,
) -> tuple[list[list[int]], dict[Any, int]]:
    """The sentences with a number for each word, and the vocabulary.

    Without ``vocab`` words are numbered as they come, from ``start_label`` on, skipping ``invalid_label``. In a given
    vocabulary an unknown word raises ``AssertionError``, or counts as ``unknown_token``.
    """
    following, grows = start_label, vocab is None
    if vocab is None:
        vocab = {invalid_key: invalid_label}
    encoded = []
    for sentence in sentences:
        numbers = []
        for word in sentence:
            if word not in vocab:
                if not (grows or unknown_token):
                    raise AssertionError(f"Unknown token {word}")
                following += following == invalid_label
                # Compat: every word found to be unknown gives the unknown token a new number.
                word = unknown_token if unknown_token else word
                vocab[word] = following
                following += 1
            numbers.append(vocab[word])
        encoded.append(numbers)
    return encoded, vocab


class BucketSentenceIter(DataIter):
    """Batches of encoded sentences, each padded to the length of the smallest bucket that holds it.

    The label of a step is the next word. ``layout`` is NT (batch, length) or TN. Without ``buckets`` every length that
    ``batch_size`` sentences have is one. Sentences that are longer, and those that do not fill a batch, are left out.
    The order of batches comes from Python's random numbers, that of sentences within a bucket from NumPy's.
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        batch_size: int,
        buckets: list[int] | None = None,
        invalid_label: int = -1,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: Any = "float32",
        layout: str = "NT",
    ):
        super().__init__()
        if not buckets:
            counts = np.bincount([len(sentence) for sentence in sentences])
            buckets = [length for length, count in enumerate(counts) if count >= batch_size]
        buckets.sort()
        self.major_axis = layout.find("N")
        if self.major_axis not in (0, 1):
            raise ValueError(f"Invalid layout {layout}: Must by NT (batch major) or TN (time major)")
        self.batch_size, self.dtype, self.invalid_label, self.layout = batch_size, dtype, invalid_label, layout
        self.data_name, self.label_name = data_name, label_name
        self.buckets, self.data = self._fill(sentences, buckets)
        if not self.buckets:
            raise ValueError(f"BucketSentenceIter: no bucket of {buckets} holds a sentence of {len(sentences)}")
        self.default_bucket_key = max(self.buckets)
        shape = (batch_size, self.default_bucket_key)
        if self.major_axis == 1:
            shape = shape[::-1]
        self.provide_data = [DataDesc(name=data_name, shape=shape, layout=layout)]
        self.provide_label = [DataDesc(name=label_name, shape=shape, layout=layout)]
        self.idx = [
            (place, first)
            for place, rows in enumerate(self.data)
            for first in range(0, len(rows) - batch_size + 1, batch_size)
        ]
        self.nddata: list = []
        self.ndlabel: list = []
        self.curr_idx = 0
        self.reset()

    def _fill(self, sentences: Sequence[Sequence[int]], buckets: list[int]) -> tuple[list[int], list[np.ndarray]]:
        """The buckets that hold a sentence, and the padded sentences of each."""
        rows: list[list[np.ndarray]] = [[] for _ in buckets]
        discarded = 0
        for sentence in sentences:
            place = bisect.bisect_left(buckets, len(sentence))
            if place == len(buckets):
                discarded += 1
                continue
            row = np.full((buckets[place],), self.invalid_label, dtype=self.dtype)
            row[: len(sentence)] = sentence
            rows[place].append(row)
        print(f"WARNING: discarded {discarded} sentences longer than the largest bucket.")
        used = [(bucket, np.asarray(held, dtype=self.dtype)) for bucket, held in zip(buckets, rows) if held]
        return [bucket for bucket, _ in used], [held for _, held in used]

    def reset(self) -> None:
        """Shuffle, and start again."""
        self.curr_idx = 0
        random.shuffle(self.idx)
        for rows in self.data:
            np.random.shuffle(rows)
        self.nddata, self.ndlabel = [], []
        for rows in self.data:
            label = np.full_like(rows, self.invalid_label)
            label[:, :-1] = rows[:, 1:]
            self.nddata.append(ndarray.array(rows, dtype=self.dtype))
            self.ndlabel.append(ndarray.array(label, dtype=self.dtype))

    def next(self) -> DataBatch:
        """The next batch; its ``bucket_key`` is the padded length."""
        if self.curr_idx == len(self.idx):
            raise StopIteration
        place, first = self.idx[self.curr_idx]
        self.curr_idx += 1
        data, label = (arrays[place][first : first + self.batch_size] for arrays in (self.nddata, self.ndlabel))
        if self.major_axis == 1:
            data, label = data.T, label.T
        return DataBatch(
            [data],
            [label],
            pad=0,
            bucket_key=self.buckets[place],
            provide_data=[DataDesc(name=self.data_name, shape=data.shape, layout=self.layout)],
            provide_label=[DataDesc(name=self.label_name, shape=label.shape, layout=self.layout)],
        )
