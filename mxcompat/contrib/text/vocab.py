"""Numbers for tokens (public path: ``mxnet.contrib.text.vocab``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

__all__ = ["Vocabulary"]

UNKNOWN_INDEX = 0


class Vocabulary:
    """Numbers the unknown token (0), then the reserved tokens, then the keys of ``counter``, most frequent first.

    Keys that occur less than ``min_freq`` times are left out, and so are those beyond the ``most_freq_count`` most
    frequent; equally frequent ones go by their order. ``AssertionError`` for a ``min_freq`` below 1, a counter that is
    none, and reserved tokens that repeat or are the unknown one.
    """

    def __init__(
        self,
        counter: Counter | None = None,
        most_freq_count: int | None = None,
        min_freq: int = 1,
        unknown_token: Hashable = "<unk>",
        reserved_tokens: list | None = None,
    ):
        if min_freq <= 0:
            raise AssertionError(f"`min_freq` must be set to a positive value, found {min_freq}")
        reserved = list(reserved_tokens or ())
        if unknown_token in reserved:
            raise AssertionError(f"`reserved_tokens` cannot contain `unknown_token` {unknown_token!r}")
        if len(set(reserved)) != len(reserved):
            raise AssertionError(f"`reserved_tokens` cannot contain a token twice: {reserved}")
        self._unknown_token = unknown_token
        self._reserved_tokens = None if reserved_tokens is None else reserved
        self._idx_to_token = [unknown_token, *reserved]
        self._token_to_idx = {token: index for index, token in enumerate(self._idx_to_token)}
        if counter is not None:
            if not isinstance(counter, Counter):
                raise AssertionError(f"`counter` must be a collections.Counter, found {type(counter).__name__}")
            self._number(counter, most_freq_count, min_freq)

    def _number(self, counter: Counter, most_freq_count: int | None, min_freq: int) -> None:
        cap = len(self._idx_to_token) + (len(counter) if most_freq_count is None else most_freq_count)
        by_frequency = sorted(sorted(counter), key=counter.__getitem__, reverse=True)
        for token in by_frequency:
            if counter[token] < min_freq or len(self._idx_to_token) == cap:
                break
            if token not in self._token_to_idx:
                self._append(token)

    def _append(self, token: Any) -> None:
        self._token_to_idx[token] = len(self._idx_to_token)
        self._idx_to_token.append(token)

    def __len__(self) -> int:
        return len(self._idx_to_token)

    @property
    def token_to_idx(self) -> dict:
        """The number of each token."""
        return self._token_to_idx

    @property
    def idx_to_token(self) -> list:
        """The tokens in the order of their numbers."""
        return self._idx_to_token

    @property
    def unknown_token(self) -> Any:
        """What stands for every unknown token."""
        return self._unknown_token

    @property
    def reserved_tokens(self) -> list | None:
        """The tokens that are always numbered, as they were given."""
        return self._reserved_tokens

    def to_indices(self, tokens: Any) -> int | list[int]:
        """The number of a token, or the numbers of a list of tokens; 0 for unknown ones."""
        if isinstance(tokens, list):
            return [self._token_to_idx.get(token, UNKNOWN_INDEX) for token in tokens]
        return self._token_to_idx.get(tokens, UNKNOWN_INDEX)

    def to_tokens(self, indices: Any) -> Any:
        """The token of a number, or the tokens of a list of numbers; ``ValueError`` where there is none."""
        single = not isinstance(indices, list)
        tokens = []
        for index in [indices] if single else indices:
            if not isinstance(index, int) or not -len(self) <= index < len(self):
                raise ValueError(f"Token index {index} in the provided `indices` is invalid.")
            tokens.append(self._idx_to_token[index])
        return tokens[0] if single else tokens
