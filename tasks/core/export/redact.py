"""Sentences about files, without the accounts that files are named after: for logs and events that everybody reads."""

import re
from collections.abc import Collection
from typing import Final

_WORD: Final = re.compile(r"[A-Za-z0-9._-]+")


def without_accounts(sentence: str, account_ids: Collection[str]) -> str:
    """``accounts/*.csv`` for ``accounts/A1.csv``: the kind of file stays. So does whatever is no file of one of these accounts."""
    known = frozenset(account_ids)
    return _WORD.sub(lambda found: _mask(found[0], known), sentence)


def _mask(word: str, account_ids: frozenset[str]) -> str:
    """A file name with its account left out; one that is being written may begin with a dot of its own."""
    for start in (0, 1):
        for end in range(len(word) - 1, start, -1):  # one account's id may begin with another's
            if word[end] == "." and word[end + 1 :] and word[start:end] in account_ids:
                return f"{word[:start]}*{word[end:]}"
    return word
