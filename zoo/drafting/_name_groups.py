"""Groups of images by the beginnings of their names, such as the views of one person."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

# The text before the last separator: "ill03" of "ill/ill03_view2.png".
EXPRESSIONS = (r"([^/]+)_[^/_]+$", r"([^/]+)-[^/-]+$")
MIN_GROUPS_PER_CLASS = 4  # fewer groups are usually classes or cameras: img_0001.png


def find_name_groups(names: Sequence[str], num_classes: int) -> tuple[str, str] | None:
    """Return a regular expression that finds groups in names, and an example: `ill03_view0, ill03_view1`.

    Return None unless all names match the expression and most groups have several images.
    """
    for expression in EXPRESSIONS:
        matches = [re.search(expression, name) for name in names]
        groups = Counter(match[1] for match in matches if match)
        if None in matches or len(groups) < MIN_GROUPS_PER_CLASS * num_classes:
            continue
        if sum(count > 1 for count in groups.values()) > len(groups) / 2:
            largest = groups.most_common(1)[0][0]
            members = [
                name for name, match in zip(names, matches, strict=True) if match and match[1] == largest
            ]
            return expression, ", ".join(sorted(PurePath(name).stem for name in members)[:2])
    return None
