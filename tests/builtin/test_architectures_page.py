"""docs/architectures.md agrees with the networks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import keras
import pytest
from architecture_words import counted, words_of

from zoo import InvalidParameters
from zoo.builtin.architectures import conv_net, perceptron, pretrained, typical_conv_net
from zoo.builtin.architectures._pretrained import _FAMILIES
from zoo.registry import Registry
from zoo.space import Space
from zoo.study import parse_study

PAGE = (Path(__file__).parents[2] / "docs" / "architectures.md").read_text(encoding="utf-8")
REGISTRY = Registry.load([])
ENTRIES = [entry for entry in REGISTRY.components() if entry.kind == "architecture"]


def section(heading):
    """Return the text of a section."""
    (text,) = re.findall(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return text


def rows(text):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]


def test_layers_and_parameters_of_every_network():
    documented = {name.strip("`"): rest for name, *rest in rows(section("All of them"))}
    assert list(documented) == [entry.name for entry in ENTRIES]
    for entry in ENTRIES:
        if entry.function is pretrained:
            continue
        shape, classes = ((150, 150, 3), 2) if entry.name == "cats_and_dogs_net" else ((28, 28, 1), 10)
        network = counted(entry.function, shape, classes)
        assert documented[entry.name] == [words_of(network), f"{network.count_params():,}"]


def test_layers_of_the_pretrained_network():
    _, layers, parameters = rows(section("All of them"))[-1]
    network = counted(pretrained, (150, 150, 3), 10, weights="none")
    (base,) = (position for position, layer in enumerate(network.layers) if isinstance(layer, keras.Model))
    head = words_of(keras.Sequential(network.layers[base + 1 :]))
    assert layers == f"a network of `keras.applications` without its top, {head}"
    assert parameters == f"VGG16: {network.layers[base].count_params():,} without its top"


@pytest.mark.parametrize(
    ("heading", "function"),
    [
        ("Perceptrons", perceptron),
        ("Convolutional networks", typical_conv_net),
        ("Pretrained networks", pretrained),
    ],
)
def test_every_parameter_is_listed(heading, function):
    documented = [row[0].strip("`") for row in rows(section(heading)) if not row[0].startswith("`VGG16`")]
    space = REGISTRY.get("architecture", function.__name__).space
    assert [name for name in documented if name in space] == list(space)


def test_every_base_is_listed():
    documented = [row for row in rows(section("Pretrained networks")) if "×" in row[-1]]
    assert documented == [
        [", ".join(f"`{name}`" for name in names), scaling, f"{smallest}×{smallest}"]
        for names, scaling, smallest in _FAMILIES
    ]


def test_study_examples_are_valid():
    pieces = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(pieces) == 5
    for piece in pieces:
        study = parse_study(f'dataset = "digits"\n{piece}', REGISTRY, "piece")
        assert set(study.architecture.spaces) <= {entry.name for entry in ENTRIES}
        assert tomllib.loads(piece)


def test_table_is_needed_to_search_small_lenet():
    plain, searched = (
        parse_study(f'dataset = "digits"\n{text}', REGISTRY, "piece").architecture.spaces["small_lenet"]
        for text in re.findall(
            r"^```toml\n(.*?)^```$", section("What is searched"), re.MULTILINE | re.DOTALL
        )[:2]
    )
    assert names_searched(plain) == []
    assert names_searched(searched) == ["filters"]
    assert searched.defaults()["kernel_size"] == 5
    conv_net_space = REGISTRY.get("architecture", conv_net.__name__).space
    assert names_searched(conv_net_space) == list(conv_net_space)


def names_searched(space: Space):
    return [name for name, parameter in space.items() if parameter.searched]


def test_smallest_size_of_fully_convolutional():
    build = REGISTRY.get("architecture", "fully_convolutional").function
    size = int(re.search(r"From (\d+)×\1 pixels on", section("Images of any size"))[1])
    assert counted(build, (size, size, 1), 10).name == "convolutional"
    with pytest.raises(InvalidParameters):
        counted(build, (size - 1, size, 1), 10)


def test_example_error_is_the_real_one():
    documented = re.search(r"^error: (.*)$", section("What is searched"), re.MULTILINE)[1]
    with pytest.raises(InvalidParameters) as error:
        REGISTRY.get("architecture", "three_convolutions").function((8, 8, 1), 10)
    assert str(error.value) == documented
