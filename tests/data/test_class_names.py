"""Names of classes: one spelling is one class, similar spellings are warned of."""

import numpy as np
import pytest

from zoo import Dataset, Split
from zoo.data.class_names import class_text, similar_class_warning


def dataset(*names):
    labels = np.arange(len(names))
    return Dataset(Split(np.zeros((len(names), 2, 2, 1), np.uint8), labels), class_names=names)


@pytest.mark.parametrize("text", ["cafe\u0301 au lait", " café\nau  lait ", "café au lait"])
def test_spellings_become_one_name(text):
    assert class_text(text) == "café au lait"


@pytest.mark.parametrize(
    "names",
    [("cat", "dog"), ("A", "a"), ("-1", "1"), ("c", "c++"), ("1", "01")],
)
def test_different_names_give_no_warning(names):
    assert similar_class_warning(dataset(*names)) == ""


@pytest.mark.parametrize("other", ["cats", "CATS", "Cats "])
def test_similar_names_are_counted(other):
    assert similar_class_warning(dataset("Cats", other, "dog")) == (
        f"Some classes differ only in capital letters or spaces: 'Cats' (1 image) and '{other}' (1 image). "
        "Give them one name if they are one class."
    )


def test_only_three_similar_names_are_listed():
    names = [name for n in range(5) for name in (f"pet {n}", f"Pet_{n}")]
    assert "'pet 2' (1 image) and 'Pet_2' (1 image) and 2 more. Give" in similar_class_warning(
        dataset(*names)
    )
