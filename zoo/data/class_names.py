"""Names of classes as users write them. Each spelling is one class; similar spellings cause a warning."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from zoo.data.dataset import Dataset, class_counts
from zoo.errors import count_text, listed

MAX_LISTED = 3


def class_text(value: Any) -> str:
    """Return a label as the name of a class: in Unicode form NFC, without leading and trailing spaces.

    Each run of white space, line breaks included, becomes one space. The two Unicode forms of a name, such
    as `é` in one or two characters, look alike and are one class.
    """
    return " ".join(unicodedata.normalize("NFC", str(value)).split())


def similar_class_warning(dataset: Dataset) -> str:
    """Return a sentence if names differ only in capital letters, spaces, `_` or `-`; usually "".

    Names of one character, such as the letters A and a, are different classes.
    """
    spellings: dict[str, list[int]] = {}
    for label, name in enumerate(dataset.class_names):
        if len(name) > 1:
            spellings.setdefault(_without_spelling(name), []).append(label)
    alike = [labels for labels in spellings.values() if len(labels) > 1]
    if not alike:
        return ""
    counts: Any = sum(class_counts(dataset).values())
    texts = [
        " and ".join(
            f"'{dataset.class_names[label]}' ({count_text(counts[label], 'image')})" for label in labels
        )
        for labels in alike
    ]
    return (
        f"Some classes differ only in capital letters or spaces: {listed(texts, MAX_LISTED)}. Give them one "
        "name if they are one class."
    )


def _without_spelling(name: str) -> str:
    return re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", class_text(name).casefold()).strip()
