"""Groups that no split divides: found in columns and names, cut for validation, folds and test."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from cache_helpers import labelled
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from zoo import Dataset, Split, hold_out_groups
from zoo.data.columns import plain_columns
from zoo.data.group_split import assign_groups, divide_groups, random_stream
from zoo.data.split_facts import splits_text
from zoo.data.splits import split_facts
from zoo.data.store import digest_of, open_dataset, save_dataset, with_columns
from zoo.data.validation import (
    cut_validation,
    fold_of_images,
    open_with_groups,
    prepare_groups,
    training_and_validation,
)
from zoo.errors import DataError

FIFTH = {"fraction": 0.2, "seed": 0, "group": "person"}
THREE = {"folds": 3, "seed": 0, "group": "person"}


def people(count=12, views=5):
    """Return `count` people of two classes with `views` images each, and the person of each image."""
    person = np.repeat([f"p{number:02d}" for number in range(count)], views).astype(object)
    dataset = labelled(np.repeat(np.arange(count) % 2, views), ["ill", "well"])
    names = np.array([f"{one}_view{row % views}.png" for row, one in enumerate(person)], object)
    return replace(dataset, train=replace(dataset.train, columns={"person": person}, names=names)), person


def cut(tmp_path, dataset, validation):
    """Return the fold of each training image, and the settings with the digest of the groups."""
    digest = save_dataset(tmp_path, dataset)
    validation, _ = prepare_groups(tmp_path, digest, dataset, validation)
    cut_validation(tmp_path, digest, dataset, validation)
    return fold_of_images(tmp_path, digest, open_dataset(tmp_path, digest), validation), validation


def error_of(dataset, tmp_path, **settings):
    with pytest.raises(DataError) as error:
        cut(tmp_path, dataset, {"fraction": 0.2, "seed": 0, **settings})
    return str(error.value)


def test_dataset_without_its_groups_is_not_opened(tmp_path):
    dataset, _ = people()
    digest = save_dataset(tmp_path, dataset)
    validation, _ = prepare_groups(tmp_path, digest, dataset, FIFTH)
    assert len(open_with_groups(tmp_path, digest, validation).train) == 60
    for path in (tmp_path / digest).glob("groups-*"):
        path.unlink()
    with pytest.raises(DataError, match=r"the groups .* are missing"):
        open_with_groups(tmp_path, digest, validation)
    assert len(open_with_groups(tmp_path, digest, {"fraction": 0.2, "seed": 0}).train) == 60


@pytest.mark.parametrize("group", ["person", "PERSON", r"(p\d+)_view"])
@pytest.mark.parametrize("validation", [FIFTH, THREE])
def test_no_group_is_divided(tmp_path, group, validation):
    dataset, person = people()
    fold, _ = cut(tmp_path, dataset, {**validation, "group": group})
    assert all(len(set(fold[person == one])) == 1 for one in set(person))
    for number in set(fold) - {0}:
        assert set(dataset.train.labels[fold == number]) == {0, 1}
        assert set(dataset.train.labels[fold != number]) == {0, 1}


@settings(max_examples=40)
@given(st.data())
def test_grouped_splits_are_complete_and_reproducible(data):
    num_classes = data.draw(st.integers(1, 4), "classes")
    groups = data.draw(
        st.lists(st.integers(0, num_classes - 1), min_size=1, max_size=30), "class of each group"
    )
    groups += [*range(num_classes)] * 3
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=len(groups), max_size=len(groups)), "sizes")
    labels, names = np.repeat(groups, sizes), np.repeat([f"g{n}" for n in range(len(groups))], sizes)
    shares = data.draw(st.sampled_from([[0.9, 0.1], [0.5, 0.5], [1 / 3] * 3]), "shares")
    arguments = (labels, names, [str(label) for label in range(num_classes)], shares)
    part = divide_groups(*arguments, random_stream(5), where="group")
    for name in set(names):
        assert len(set(part[names == name])) == 1
    for number in range(len(shares)):
        assert set(labels[part != number]) == set(groups)
    if len(shares) == 2:
        assert set(labels[part == 0]) == set(labels[part == 1]) == set(groups)
    assert np.array_equal(part, divide_groups(*arguments, random_stream(5), where="group"))


@pytest.mark.parametrize("seed", range(4))
def test_folds_are_as_even_as_scikit_learns(seed):
    stream = np.random.RandomState(seed)
    groups, labels = stream.randint(0, 90, 1000), stream.randint(0, 5, 1000)
    counts = np.zeros((90, 5))
    np.add.at(counts, (groups, labels), 1)

    def unevenness(fold):
        return np.mean(np.std([np.bincount(labels[fold == n], minlength=5) for n in range(4)], axis=0))

    other = np.zeros(1000, int)
    splits = StratifiedGroupKFold(4, shuffle=True, random_state=seed).split(labels, labels, groups)
    for number, (_, held_out) in enumerate(splits):
        other[held_out] = number
    assert unevenness(assign_groups(counts, [0.25] * 4, stream)[groups]) <= 1.3 * unevenness(other)


def test_groups_of_two_classes_are_moved_until_both_splits_have_all():
    # The largest group is alone in a class with a small one; both would fit best into training.
    labels, names = [0] * 50 + [1] * 9 + [0] + [1] * 3, ["a"] * 50 + ["b"] * 9 + ["c"] + ["d"] * 3
    part = divide_groups(np.array(labels), names, ["x", "y"], [0.9, 0.1], random_stream(0), where="group")
    assert {name: int(number) for name, number in zip(names, part, strict=True)} == {
        "a": 0,
        "b": 0,
        "c": 1,
        "d": 1,
    }


def test_impossible_division_is_refused():
    # Every two of the three classes share a group.
    labels, names = [0, 1, 1, 2, 2, 0], ["a", "a", "b", "b", "c", "c"]
    with pytest.raises(DataError, match=r"^group: no division of the 3 groups was found that has images"):
        divide_groups(np.array(labels), names, list("xyz"), [0.5, 0.5], random_stream(0), where="group")


def test_grouped_split_depends_only_on_partition_and_seed(tmp_path):
    dataset, person = people()
    fold, settings = cut(tmp_path, dataset, FIFTH)
    # Written down, so that no change of ours moves a split under somebody's record.
    assert sorted(set(person[fold == 1])) == ["p03", "p10"]
    renamed = replace(
        dataset, train=replace(dataset.train, columns={"person": [str(99 - int(one[1:])) for one in person]})
    )
    assert np.array_equal(cut(tmp_path, renamed, FIFTH)[0], fold)
    assert cut(tmp_path, renamed, FIFTH)[1] == settings
    assert len({tuple(cut(tmp_path, dataset, {**FIFTH, "seed": seed})[0]) for seed in range(9)}) > 4


def test_changed_groups_are_another_split(tmp_path):
    dataset, person = people()
    _, settings = cut(tmp_path, dataset, FIFTH)
    changed = replace(dataset, train=replace(dataset.train, columns={"person": np.roll(person, 2)}))
    assert digest_of(changed) == digest_of(dataset)
    assert cut(tmp_path, changed, FIFTH)[1]["group_digest"] != settings["group_digest"]
    with pytest.raises(
        DataError, match=r'^\[validation\] group = "person": the groups .* have changed since'
    ):
        cut(tmp_path, changed, settings)
    # Trials that are recorded with the earlier groups still have their images.
    digest = digest_of(dataset)
    held_out = training_and_validation(tmp_path, digest, open_dataset(tmp_path, digest), settings)[1]
    assert len(held_out) == 10


def test_lost_groups_are_reported(tmp_path):
    dataset, _ = people()
    _, settings = cut(tmp_path, dataset, FIFTH)
    folder = tmp_path / digest_of(dataset)
    for path in [*folder.glob("groups-*"), *folder.glob("split-*")]:
        path.unlink()
    with pytest.raises(DataError, match=r"^the groups .* are missing or damaged .* Run the study again"):
        cut_validation(tmp_path, folder.name, dataset, settings)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("patient", r"there is no column 'patient'. Available: person. For names of files, write a regular"),
        ("persons", "there is no column 'persons'. Did you mean 'person'? For names of files, write a"),
        ("(p[", "invalid regular expression: unterminated character set at position 2. For names of files,"),
        (
            r"(q\d+)_",
            "it matches none of the 60 names of images, such as p00_view0.png. Correct the expression.",
        ),
        (
            r"(p0\d)_",
            "10 of 60 images have no match, such as p10_view0.png. Correct the expression.",
        ),
        ("(p)", "expected at least 2 groups, but all images are of 'p'. Correct the setting `group`."),
        (
            r"(p\d)\d_view",
            "class 'ill' (5 images) is in the group 'p1' only",
        ),
    ],
)
def test_wrong_group_is_named(tmp_path, group, message):
    dataset, _ = people()
    if message.startswith("class"):  # only p10 is of the first class
        labels = np.array([0 if name.startswith("p10") else 1 for name in dataset.train.names])
        dataset = replace(dataset, train=replace(dataset.train, labels=labels))
    assert error_of(dataset, tmp_path, group=group).startswith(f'[validation] group = "{group}": {message}')


def test_fewer_groups_than_folds_are_refused(tmp_path):
    dataset, _ = people(count=4)
    assert error_of(dataset, tmp_path, fraction=0, folds=5, group="person") == (
        '[validation] group = "person": expected at least 5 groups for 5 folds, got 4. Set folds = 4 or '
        "fewer, or add groups."
    )


def test_missing_values_are_counted(tmp_path):
    dataset, person = people()
    person[7:9] = ["", None]
    message = error_of(dataset, tmp_path, group="person")
    assert message == (
        "[validation] group = \"person\": 2 of 60 images have no value in the column 'person', such as "
        "p01_view2.png. Complete the column."
    )


def test_dataset_without_columns_and_names_is_told(tmp_path):
    dataset = labelled([0, 0, 1, 1])
    assert "there is no column 'person'. None available. If 'person' is a column of" in error_of(
        dataset, tmp_path, group="person"
    )
    assert error_of(dataset, tmp_path, group="(x)").endswith(
        "this dataset has no file names. Set group to a column, or remove it."
    )


def test_groups_in_two_official_splits_give_a_warning(tmp_path):
    dataset, _ = people()
    test = Split(dataset.train.images[:4], dataset.train.labels[:4], {"person": ["p00", "p00", "new", "p01"]})
    dataset = replace(dataset, test=test)
    _, warning = prepare_groups(tmp_path, save_dataset(tmp_path, dataset), dataset, FIFTH)
    assert warning == (
        "3 of 4 test images belong to groups that are also in train, such as 'p00', so the score is too high "
        "for new groups. If the dataset cuts this split, set group in [dataset], too."
    )
    one = Split(test.images[2:], test.labels[2:], {"person": ["new", "p01"]})
    _, warning = prepare_groups(tmp_path, save_dataset(tmp_path, dataset), replace(dataset, test=one), FIFTH)
    assert warning.startswith("1 of 2 test images belongs to groups that are also in train, such as 'p01'")
    dataset = replace(dataset, test=replace(test, columns={}))
    _, warning = prepare_groups(tmp_path, save_dataset(tmp_path, dataset), dataset, FIFTH)
    assert warning.startswith('The groups of the test split are unknown: [validation] group = "person": ')


def test_class_with_fewer_groups_than_folds_gives_a_warning(tmp_path):
    dataset, person = people()
    labels = np.array([0 if one in ("p00", "p01") else 1 for one in person])
    dataset = replace(dataset, train=replace(dataset.train, labels=labels))
    digest = save_dataset(tmp_path, dataset)
    assert prepare_groups(tmp_path, digest, dataset, THREE)[1] == (
        "Class 'ill' (2 groups) has fewer groups than there are folds (3), so some folds are validated "
        "without it."
    )


@pytest.mark.parametrize(
    ("few", "start"),
    [
        ([["p00"]], "Class 'well' (1 group) has fewer groups than there are folds (3)"),
        ([["p00"], ["p01"]], "Class 'well' (1 group) and 1 other class have fewer groups than"),
    ],
)
def test_single_group_and_class_have_singular_nouns(tmp_path, few, start):
    dataset, person = people()
    labels = np.array([next((few.index(of) for of in few if one in of), len(few)) for one in person])
    names = ["well", "ill", "unknown"][: len(few) + 1]
    dataset = replace(dataset, train=replace(dataset.train, labels=labels), class_names=names)
    assert prepare_groups(tmp_path, save_dataset(tmp_path, dataset), dataset, THREE)[1].startswith(start)


def test_splits_are_described_with_classes_and_groups(tmp_path):
    dataset, _ = people()
    digest = save_dataset(tmp_path, dataset)
    for validation, text in (
        ({}, "train 60 images (30 per class)"),
        ({"fraction": 0.2, "seed": 0}, "train 48 images (24 per class), validation 12 (6)"),
        (FIFTH, "train 50 images (25 per class, 10 groups), validation 10 (5, 2 groups)"),
        (THREE, "train 60 images (30 per class, 12 groups) in 3 folds of 20 (4 groups)"),
    ):
        settings, _ = prepare_groups(tmp_path, digest, dataset, validation)
        assert splits_text(split_facts(tmp_path, digest, dataset, settings)) == text


def test_columns_are_kept_with_plain_values(tmp_path):
    dataset, person = people(count=2, views=2)
    columns = {
        "person": person,
        "age": np.array([1.0, np.nan, 2.5, 3.0]),
        "count": np.arange(4),
        "mask": [np.zeros(3)] * 4,
    }
    dataset = replace(dataset, train=replace(dataset.train, columns=columns))
    digest = save_dataset(tmp_path, dataset)
    kept = with_columns(tmp_path, digest, open_dataset(tmp_path, digest)).train
    assert {name: list(values) for name, values in kept.columns.items()} == {
        "person": list(person),
        "age": [1, None, 2.5, 3],
        "count": [0, 1, 2, 3],
    }
    assert list(kept.names) == list(dataset.train.names)
    assert plain_columns(kept) == plain_columns(dataset.train)


def test_two_sources_with_equal_images_keep_their_columns(tmp_path):
    dataset, person = people(count=2, views=2)
    other = replace(dataset, train=replace(dataset.train, columns={"person": person[::-1]}))
    digest = save_dataset(tmp_path, dataset)
    assert save_dataset(tmp_path, other) == digest
    assert len(list((tmp_path / digest).glob("columns-*.json"))) == 2
    newest = json.loads((tmp_path / digest / "dataset.json").read_text())["columns"]
    assert f"columns-{newest}.json" in {path.name for path in (tmp_path / digest).iterdir()}
    assert list(with_columns(tmp_path, digest, dataset).train.columns["person"]) == list(person[::-1])


def test_held_out_groups_are_whole_and_of_every_class():
    dataset, person = people()
    split = Split(None, dataset.train.labels, {"person": person})
    is_test = hold_out_groups(split, dataset.class_names, "person", 0.2, 42)
    assert set(person[is_test]).isdisjoint(person[~is_test])
    assert set(split.labels[is_test]) == set(split.labels[~is_test]) == {0, 1}
    assert is_test.sum() == 10
    with pytest.raises(DataError, match=r'^group = "patient": there is no column'):
        hold_out_groups(split, dataset.class_names, "patient", 0.2, 42)


def test_dataset_without_columns_keeps_its_digest():
    pixels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    dataset = Dataset(Split(pixels, np.array([0, 1])), class_names=("a", "b"))
    with_column = replace(dataset, train=replace(dataset.train, columns={"c": [1, 2]}, names=["x", "y"]))
    assert (
        digest_of(dataset)
        == digest_of(with_column)
        == ("b33ed2b625f9d117b6ac739fda56f1944295c9bcee89683c5835dbcd8bd91abc")
    )
