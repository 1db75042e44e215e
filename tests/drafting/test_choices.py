"""What a draft chooses: network, augmentation, validation and budget, with the reasons."""

from __future__ import annotations

import pytest
from drafting_tools import facts

from zoo.drafting._choices import summary, tables
from zoo.drafting._document import render, toml
from zoo.drafting._flips import FLIPPED, MAYBE_FLIPPED, UPRIGHT, policies_for
from zoo.drafting._sizes import BUDGET_S, num_epochs
from zoo.errors import ZooError
from zoo.registry import Registry
from zoo.study import parse_study

DIGITS = tuple("0123456789")


def values(table_name, some_facts):
    """Return the values of a table, and of those in it."""
    found = [one for one in tables(some_facts) if one.name.partition(".")[0] == table_name]
    return {key: value for table in found for key, value, _ in table.lines} or None


@pytest.mark.parametrize(
    ("class_names", "image_shape", "expected", "reason"),
    [
        (DIGITS, (28, 28, 1), UPRIGHT, "'0' …"),
        (DIGITS, (200, 200, 1), UPRIGHT, "'0' …"),
        (DIGITS, (32, 32, 3), UPRIGHT, "they may be digits"),
        (("a", "b", "ß"), (64, 64, 3), UPRIGHT, "digits, letters or signs"),
        (("letter_a", "letter_b"), (64, 64, 1), UPRIGHT, "letters"),
        (("zero", "one", "two"), (64, 64, 3), UPRIGHT, "letters"),
        (("left_hand", "right_hand"), (64, 64, 3), UPRIGHT, "'left_hand'"),
        (("cat", "dog"), (64, 64, 3), FLIPPED, "color photograph"),
        (("copyright", "cleft"), (64, 64, 3), FLIPPED, "color photograph"),
        (("shirt", "coat"), (28, 28, 1), UPRIGHT, "small grey images"),
        (("ill", "well"), (128, 128, 1), MAYBE_FLIPPED, "cannot know"),
    ],
)
def test_flips_follow_from_names_and_images(class_names, image_shape, expected, reason):
    counts = [100] * len(class_names)
    names, why = policies_for(facts(class_names, image_shape, counts))
    assert names == expected
    assert reason in why
    chosen = values("augmentation", facts(class_names, image_shape, counts))["name"]["choices"]
    assert chosen == list(expected)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 7, 8, 16, 28, 32, 48, 64, 96, 160, 300])
@pytest.mark.parametrize("count", [10, 400, 3_000, 100_000])
def test_every_draft_is_a_valid_study(two_cores, side, count):
    some = facts(image_shape=(side, side + 3, 1), counts=(count, count))
    text = render(["a study"], tables(some))
    study = parse_study(text, Registry.load([]), "photos")
    assert max(map(len, text.splitlines())) <= 110
    network = values("architecture", some)
    if network["name"] == "conv_net":
        lowest, highest = network["filters"]["length"]
        assert side // 2**highest >= 1  # no map is smaller than one pixel
        assert 1 <= lowest <= highest <= 4
    assert study.search.trials == summary(some)["trials"]
    assert study.search.timeout == BUDGET_S


def test_pretrained_network_replaces_the_other_by_one_option(two_cores):
    text = render(["a study"], tables(facts()))
    assert "--set architecture.name=pretrained" in " ".join(text.replace("\n#", "").split())
    study = parse_study(text, Registry.load([]), "photos", overrides=["architecture.name=pretrained"])
    assert list(study.architecture.spaces) == ["pretrained"]


def test_fewer_images_get_a_smaller_network_and_more_epochs(two_cores):
    few, many = facts(counts=(100, 100)), facts(counts=(30_000, 30_000))
    for key in ("filters", "dense_units"):
        assert values("architecture", few)[key]["high"] < values("architecture", many)[key]["high"]
    assert values("architecture", few)["dropout"]["high"] > values("architecture", many)["dropout"]["high"]
    assert values("training", few)["epochs"] == 40
    assert values("training", many)["epochs"] == num_epochs(54_000) == 9


def test_few_images_are_validated_on_folds(two_cores):
    assert values("validation", facts(counts=(100, 100)))["folds"] == 5
    assert values("search", facts(counts=(100, 100)))["pruner"] == "median"
    assert values("validation", facts(counts=(190, 4))) == {"fraction": 0.2}  # a fold could lack a class
    assert values("validation", facts(counts=(9_000, 9_000))) == {"fraction": 0.1}
    assert values("validation", facts(splits=("train", "validation"))) is None


@pytest.mark.parametrize("count", [50, 500, 5_000, 50_000])
@pytest.mark.parametrize("side", [8, 28, 64])
def test_estimate_is_within_the_budget_or_says_so(two_cores, count, side):
    some = facts(image_shape=(side, side, 3), counts=(count, count))
    result = summary(some)
    minutes = int(result["time"].split()[1])
    assert 6 <= result["trials"] <= 20
    assert (minutes > BUDGET_S // 60) == ("more than the budget" in result["time"])


def test_unbalanced_classes_get_a_balanced_metric_and_weights(two_cores):
    assert facts(counts=(200, 100)).is_balanced
    assert values("", facts(counts=(200, 100))) == {"objective": "val_accuracy"}
    assert "class_weight" not in values("training", facts(counts=(200, 100)))
    assert not facts(counts=(201, 100)).is_balanced
    assert values("", facts(counts=(201, 100))) == {"objective": "val_balanced_accuracy"}
    assert values("training", facts(counts=(201, 100)))["class_weight"] == "balanced"
    text = render(["a study"], tables(facts(counts=(190, 10))))
    assert " 0.95," in text
    parse_study(text, Registry.load([]), "photos")
    rows = dict(facts(counts=(190, 10)).rows())
    assert rows["per class"] == "10 (dog) to 190 (cat) in train: not balanced"


@pytest.mark.parametrize(
    "value",
    ["a", 'quote " and \\', "tab\t, bell\x07, delete\x7f", "قطة", True, 3, 0.0003, [1, "a"], {"low": 1}],
)
def test_value_is_written_as_toml(value):
    import tomllib

    assert tomllib.loads(f"value = {toml(value)}")["value"] == value


def test_name_that_is_no_text_is_refused():
    with pytest.raises(ZooError, match="is not valid Unicode, so no study file can contain it"):
        toml("a\udcff")


def test_control_characters_do_not_break_comments(two_cores):
    names = ("left\nhand = 1\x07", "right\r\x1b")
    text = render(["two classes:\n[x]", *names], tables(facts(names)))
    parse_study(text, Registry.load([]), "photos")
    assert "\x1b" not in text
