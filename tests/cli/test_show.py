"""`zoo show`."""

from __future__ import annotations

import json

import pytest

import zoo

PLUGIN = """
from typing import Annotated
from zoo import Choice, Float, Int, List, hookimpl


@hookimpl
def register_datasets(register):
    register(scanned_pages)


@hookimpl
def register_architectures(register):
    register(picky)
    register(broken)


@hookimpl
def register_augmentations(register):
    register(picky_policy)


def scanned_pages(*, path: str, image_size: Annotated[int, Int(8, 256)] = 32):
    "Folders of images."


def picky(
    input_shape,
    num_classes,
    *,
    pooling: Annotated[str, Choice("max", "average", "none")] = "max",
    pool_size: Annotated[int, Int(2, 4, when={"pooling": ("max", "average")})] = 2,
    rate: Annotated[float, Float(1e-5, 1.0, log=True, when={"pooling": "none"})] = 1e-3,
):
    "Particular about pooling."


def broken(input_shape, num_classes):
    raise ValueError("not\\ntoday")


def picky_policy():
    "No parameters."
"""


@pytest.fixture
def show(zoo_command, install_plugin):
    site = install_plugin("zoo-picky", "0.3", PLUGIN)

    def show(*arguments, **options):
        return zoo_command("show", *arguments, env={"PYTHONPATH": str(site)}, **options)

    return show


def table_of(text, first="parameter"):
    """The rows of the printed table whose first heading is `first`, cells apart by two spaces."""
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]
    start = next(number for number, row in enumerate(rows) if row[:1] == [first])
    return {row[0]: row[1:] for row in rows[start + 1 :] if row}


def test_architecture_has_range_and_default_of_every_parameter(show):
    run = show("conv_net")
    assert run.returncode == 0
    assert run.stderr == "next: zoo show conv_net --layers   its layers, built with these defaults\n"
    assert run.stdout.startswith(
        f"architecture conv_net  [keras-zoo {zoo.__version__}]\n\nConvolve and pool once"
    )
    table = table_of(run.stdout)
    assert table["filters"] == ["1 … 4 items, each 8 … 128 (log)", "[32, 64]"]
    assert table["batch_norm"] == ["false | true", "false"]
    assert table["activation"][1] == '"relu"'
    assert table["dropout"] == ["0 … 0.6", "0.25"]


def test_parameter_fixed_by_default_is_marked(show):
    table = table_of(show("small_lenet").stdout)
    assert table["filters"] == ["1 … 12 items, each 1 … 1024 (log)", "(not searched by default)", "[6, 16]"]
    assert not any(
        "not searched" in cell for row in table_of(show("conv_net").stdout).values() for cell in row
    )


def test_long_range_is_wrapped(show):
    lines = show("pretrained").stdout.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("  base "))
    assert lines[first].endswith('"VGG16"')
    below = lines[first + 1 : next(n for n, line in enumerate(lines) if line.startswith("  weights "))]
    assert len(below) > 5
    assert all(line.startswith(" " * 15) for line in below)
    assert max(map(len, lines)) < 120


def test_conditions_are_shown(show):
    table = table_of(show("picky").stdout)
    assert table["pool_size"] == ["2 … 4", "2", 'pooling = "max" or "average"']
    assert table["rate"] == ["1e-05 … 1 (log)", "0.001", 'pooling = "none"']


def test_required_parameter_has_no_default(show):
    table = table_of(show("scanned_pages").stdout)
    assert table["path"] == ["str", "(not searched)"]
    assert table["image_size"] == ["8 … 256", "32"]


def test_policy_without_parameters_says_so(show):
    run = show("picky_policy")
    assert run.stdout == "augmentation picky_policy  [zoo-picky 0.3]\n\nNo parameters.\n\n  no parameters\n\n"


def test_json_has_the_search_space(show):
    (facts,) = json.loads(show("picky", "--json").stdout)
    assert (facts["kind"], facts["distribution"], facts["version"]) == ("architecture", "zoo-picky", "0.3")
    assert facts["description"] == "Particular about pooling."
    assert facts["parameters"]["pool_size"] == {
        **{"kind": "int", "low": 2, "high": 4, "step": 1, "log": False, "default": 2},
        "when": {"pooling": ["max", "average"]},
    }


def test_study_is_shown_by_name_or_path(show, tmp_path):
    (tmp_path / "studies").mkdir()
    text = 'dataset = "digits"\narchitecture = "conv_net"\n[training]\nepochs = 3\nmomentum = 0.5\n'
    (tmp_path / "studies" / "mine.toml").write_text(text, encoding="utf-8")
    by_name, by_path = show("mine"), show("studies/mine.toml")
    assert by_name.stdout == by_path.stdout
    assert by_name.stdout.startswith(text)
    assert "architecture conv_net\n  searched" in by_name.stdout
    assert "augmentation none\n  no parameters" in by_name.stdout
    training = by_name.stdout.partition("\ntraining\n")[2]
    searched, fixed = training.split("\n  fixed ")
    assert table_of(searched, "searched")["learning_rate"] == ["1e-05 … 1 (log)", "0.001"]
    fixed = table_of(f"  fixed {fixed}", "fixed")
    assert (fixed["epochs"], fixed["momentum"]) == (["3"], ["0.5", 'optimizer = "sgd"'])
    assert not {"epochs", "momentum"} & table_of(searched, "searched").keys()
    facts = json.loads(show("mine", "--json").stdout)
    assert facts["study"] == "mine"
    assert facts["space"]["training"]["epochs"] == {"kind": "fixed", "value": 3}


BUILT = ("pretrained --layers", "broken --layers")  # these fail only when they are built


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("digit_cnn", "error: there is no component or study named 'digit_cnn'. Did you mean 'digits_cnn'?"),
        (
            "no/where.toml",
            "error: there is no study file no/where.toml. Give a path, or a name from `zoo list`.",
        ),
        ("affine --layers", "error: --layers: expected an architecture, got 'affine'"),
        ("digits_cnn --layers", "error: --layers: expected an architecture, got 'digits_cnn'"),
        (
            "conv_net --set dropout=9",
            "error: --set has an effect only with --layers; add --layers, or leave --set out.",
        ),
        (
            "conv_net --shape abc",
            "error: --shape has an effect only with --layers; add --layers, or leave --shape out.",
        ),
        (
            "digits_cnn --classes 3",
            "error: --classes has an effect only with --layers; add --layers, or leave --classes out.",
        ),
        (
            "conv_net --layers --json",
            "error: --layers and --json cannot be combined; leave one of them out.",
        ),
        (
            "conv_net --layers --shape 28x28",
            "error: --shape: expected HEIGHTxWIDTHxCHANNELS such as 28x28x1, got '28x28'",
        ),
        (
            "conv_net --layers --shape 0x28x1",
            "error: --shape: expected HEIGHTxWIDTHxCHANNELS such as 28x28x1, got '0x28x1'",
        ),
        (
            "conv_net --layers --classes 1",
            "error: invalid value for '--classes': 1 is not in the range x>=2.",
        ),
        (
            "small_lenet --layers --set filtres=[8]",
            "error: --set: there is no parameter 'filtres'. Did you mean 'filters'?",
        ),
        (
            "small_lenet --layers --set filters",
            "error: --set filters: expected KEY=VALUE, such as dropout=0.5",
        ),
        (
            "pretrained --layers",
            "error: VGG16 takes images of at least 32×32 pixels, got 28×28; expected larger",
        ),
        ("broken --layers", "error: the architecture 'broken' of zoo-picky 0.3 raised ValueError: not today"),
    ],
)
def test_mistake_is_one_line_and_status_2(show, arguments, line):
    run = show(*arguments.split())
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert run.stderr.startswith(line)
    assert run.stdout == "" or arguments in BUILT


def test_unknown_name_names_the_broken_plugin_first(show, install_plugin):
    install_plugin("zoo-mixer", "0.1", "1 / 0")
    run = show("mlp_mixer")
    assert run.stderr == (
        "error: there is no component or study named 'mlp_mixer'. Left out: Plugin 'mixer' of zoo-mixer 0.1 "
        "could not be loaded: ZeroDivisionError: division by zero (zoo_mixer.py:1).\n"
    )
    assert "(zoo_mixer.py:1). Did you mean 'conv_net'?" in show("conv_nett").stderr


def test_every_mistake_of_a_study_has_a_line(show, tmp_path):
    (tmp_path / "bad.toml").write_text(
        'dataset = "digts"\narchitecture = "conv_net"\ntrials = 3\n', encoding="utf-8"
    )
    run = show("./bad.toml")
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "error: bad.toml:3: trials: no such key. Available: architecture, augmentation, dataset, "
        "objective, plugins, search, training, validation.",
        "error: bad.toml:1: [dataset] name: there is no dataset named 'digts'. Did you mean 'digits'?",
    ]


def test_layers_are_printed_for_a_shape(show):
    run = show("conv_net", "--layers", "--shape", "8x8x1", "--classes", "3")
    assert run.returncode == 0, run.stderr
    assert "conv2d" in run.stdout.lower()
    assert "Total params" in run.stdout


def test_layers_are_printed_for_other_parameters(show):
    assert "Total params: 8,790 " in show("small_lenet", "--layers").stdout
    changed = show("small_lenet", "--layers", "--set", "filters=[16]", "--set", "padding=valid")
    assert changed.returncode == 0, changed.stderr
    assert "Total params: 27,210 " in changed.stdout
