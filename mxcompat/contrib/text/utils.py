"""Counting of tokens (public path: ``mxnet.contrib.text.utils``)."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["count_tokens_from_str"]


def count_tokens_from_str(
    source_str: str,
    token_delim: str = " ",
    seq_delim: str = "\n",
    to_lower: bool = False,
    counter_to_update: Counter | None = None,
) -> Counter:
    """How often each token occurs in a text that the regular expressions ``token_delim`` and ``seq_delim`` cut up.

    The counts are added to ``counter_to_update`` when that is given, and it is returned.
    """
    counter = Counter() if counter_to_update is None else counter_to_update
    tokens = filter(None, re.split(f"{token_delim}|{seq_delim}", source_str))
    counter.update(token.lower() if to_lower else token for token in tokens)
    return counter
