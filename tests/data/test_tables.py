"""Tables of images, from frames: what a CSV file cannot have. `tests/builtin` has tests of CSV files."""

import numpy as np
import pandas as pd
import pytest

from zoo import Table, ZooError, read_tables
from zoo.data.table_columns import natural_key

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 4)).astype(np.uint8)


def table(frame, chunk=5):
    """Return a frame as a table that is read in chunks."""
    return Table(
        "frame",
        [str(name) for name in frame.columns],
        lambda text_columns: (frame.iloc[start : start + chunk] for start in range(0, len(frame), chunk)),
        lambda row, column: (f"row {row}, column '{frame.columns[column]}'", str(frame.iat[row, column])),
    )


def frame(labels, **columns):
    return pd.DataFrame({"label": labels, **columns, **{f"p{n}": PIXELS[:, n] for n in range(4)}})


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([1, 2] * 6, ["1", "2"]),
        ([1.0, 2.0] * 6, ["1", "2"]),
        ([True, False] * 6, ["False", "True"]),
        (["b", "a"] * 6, ["a", "b"]),
        (pd.Categorical(["b", "a"] * 6), ["a", "b"]),
        (np.array([2, 1] * 6, np.int8), ["1", "2"]),
        (["A", 1] * 6, ["1", "A"]),
        (["cafe\u0301", "caf\u00e9", "x"] * 4, ["caf\u00e9", "x"]),
    ],
    ids=["int", "float", "bool", "str", "categorical", "int8", "mixed", "two Unicode forms"],
)
def test_labels_of_every_type_are_read(labels, names):
    assert list(read_tables(table(frame(labels))).class_names) == names


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, "", " "])
def test_missing_label_is_named(missing):
    labels = pd.Series(["a", "b"] * 6, dtype=object)
    labels[7] = missing
    with pytest.raises(ZooError, match="row 7, column 'label': expected an integer or the name of a class"):
        read_tables(table(frame(labels)))


@pytest.mark.parametrize("cells", [list(PIXELS), PIXELS.tolist(), [row.reshape(2, 2) for row in PIXELS]])
def test_column_of_arrays_has_the_pixels(cells):
    dataset = read_tables(table(pd.DataFrame({"label": [0, 1] * 6, "image": cells})))
    assert np.array_equal(dataset.train.images, PIXELS.reshape(12, 2, 2, 1))


def test_arrays_of_unequal_shape_are_refused():
    cells = [*PIXELS[:7], PIXELS[7, :3], *PIXELS[8:]]
    with pytest.raises(ZooError, match="row 7, column 'image'"):
        read_tables(table(pd.DataFrame({"label": [0, 1] * 6, "image": cells})))


def test_missing_pixel_and_boolean_column_are_refused():
    damaged = frame([0, 1] * 6).astype({"p2": float})
    damaged.loc[6, "p2"] = np.nan
    with pytest.raises(ZooError, match="row 6, column 'p2': expected an integer from 0 to 255, got 'nan'"):
        read_tables(table(damaged))
    with pytest.raises(ZooError, match="row 0, column 'p1': expected an integer from 0 to 255"):
        read_tables(table(frame([0, 1] * 6).astype({"p1": bool})))


def test_dropped_columns_keep_their_values():
    people = [f"p{number % 3}" for number in range(12)]
    dataset = read_tables(table(frame([0, 1] * 6, person=people)), drop_columns=["person"])
    assert dataset.train.columns["person"].tolist() == people


def test_natural_order():
    names = ["10", "9", "a", "B2", "B10", "", "b1"]
    assert sorted(names, key=natural_key) == ["", "9", "10", "B2", "B10", "a", "b1"]
