"""`zoo plugins check`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import zoo

PLUGIN = '''
from typing import Annotated

import numpy as np

from zoo import Dataset, Int, Split, hookimpl


@hookimpl
def register_architectures(register):
    register(plain_net)


@hookimpl
def register_datasets(register):
    register(stripes)
    register(photos)


@hookimpl
def register_augmentations(register):
    register(only_grey)


def only_grey():
    """Noise on one channel."""
    import keras

    class Grey(keras.layers.Layer):
        def call(self, images, training=False):
            noise = keras.random.uniform(keras.ops.shape(images)[:3])
            return keras.ops.squeeze(images, 3)[..., None] * noise[..., None] if training else images

    return [Grey()]


def plain_net(input_shape, num_classes, *, width: Annotated[int, Int(1, 8)] = 4, last: str = "softmax"):
    """A network that talks."""
    print("building")
    from keras import Input, Sequential, layers

    stack = [Input(input_shape), layers.GlobalAveragePooling2D(), layers.Dense(width)]
    return Sequential([*stack, layers.Dense(num_classes, activation=last)])


def stripes(*, count: int = 30):
    """Stripes."""
    print("loading")
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    held = Split(images[:10], np.arange(10) % 2)
    return Dataset(Split(images[9:], np.arange(count - 9) % 2), test=held, class_names=("lying", "standing"))


def photos(*, folder: str):
    """Photographs."""
    raise FileNotFoundError(folder)
'''

FILE = '''
import zoo


@zoo.dataset
def file_stripes(*, count: int = 30):
    """Stripes."""
'''


@pytest.fixture
def check(zoo_command, install_plugin):
    """Run `zoo plugins check` with `zoo-shapes` installed."""
    site = install_plugin("zoo-shapes", "2.1", PLUGIN)

    def run(*arguments):
        return zoo_command("plugins", "check", *arguments, env={"PYTHONPATH": str(site)})

    return run


def cells(line):
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_output_is_the_one_in_the_docs(zoo_command):
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    shown = re.search(r"^\$ zoo plugins check digits\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    run = zoo_command("plugins", "check", "digits")
    assert run.returncode == 0
    assert run.stderr == "next: zoo list   the names that a study can use\n"
    output = run.stdout + run.stderr
    assert output == shown[1].replace("keras-zoo 0.1.0", f"keras-zoo {zoo.__version__}")


def test_every_check_is_a_line_and_a_failure_shows_how_to_repeat_it(check):
    run = check("stripes")
    assert run.returncode == 1
    lines = run.stdout.splitlines()
    assert lines[0] == "dataset stripes  [zoo-shapes 2.1]"
    assert ["contract", "passed", "train 21, test 10 of 4×4×1"] in map(cells, lines)
    assert ["classes", "passed"] in map(cells, lines)
    failed = next(number for number, line in enumerate(lines) if "failed" in cells(line))
    assert cells(lines[failed])[::2] == [
        "separate_splits",
        "stripes(count=30): separate_splits: expected no image in two splits, but 1 of the 10 test "
        "images is also in train, such as test[9], which equals train[0]; remove the copies",
    ]
    assert lines[failed + 1].endswith("check_dataset(stripes, checks=['separate_splits'])\"")
    assert lines[-1] == "10 checks: 9 passed, 1 failed"
    assert "loading" in run.stderr  # the output of a plugin is not a result
    assert "loading" not in run.stdout


def test_distribution_is_checked_as_json(check):
    options = "--check signature --check image_sizes --check probabilities"
    options += " --shape 5x4x3 --shape 9x9x1 --set last=relu --json"
    run = check("Zoo_Shapes", *options.split())
    assert run.returncode == 1
    stripes, photos, net, _ = json.loads(run.stdout)
    assert stripes == {
        "kind": "dataset",
        "name": "stripes",
        "distribution": "zoo-shapes",
        "version": "2.1",
        "checks": [{"check": "signature", "state": "passed", "text": "1 parameter"}],
    }
    assert photos["checks"] == [
        {"check": "loads", "state": "skipped", "text": "'folder' has no default; add --set folder=…"}
    ]
    assert [(one["check"], one["state"]) for one in net["checks"]] == [
        ("signature", "passed"),
        ("image_sizes", "passed"),
        ("probabilities", "failed"),
    ]
    assert net["checks"][1]["text"] == "5×4×3, 9×9×1"
    assert "space={'last': 'relu'}" in net["checks"][2]["text"]
    assert "building" in run.stderr


def test_policy_is_checked_with_every_shape(check):
    run = check("only_grey", *["--check", "applies", "--shape", "9x7x1", "--shape", "5x4x3"])
    assert run.returncode == 1
    assert (
        "only_grey() for images of (5, 4, 3): applies: expected a list of Keras layers that takes images of"
        in run.stdout
    )


def test_classes_limits_the_numbers_of_classes(zoo_command):
    options = "--check defaults --shape 46x50x3"
    run = zoo_command("plugins", "check", "cats_and_dogs_net", *options.split())
    assert run.returncode == 1
    assert re.search(
        r"got 10.*; if the architecture is made for other images, .* --shape 64x64x3 and --classes",
        run.stdout,
    )
    run = zoo_command("plugins", "check", "cats_and_dogs_net", *options.split(), "--classes", "2")
    assert run.returncode == 0, run.stdout
    assert run.stdout.endswith("1 check: 1 passed\n")


def test_first_number_of_classes_is_used_by_all_checks(check):
    options = (
        "--check class_numbers --check probabilities --set last=relu --classes 4 --classes 3 --classes 9"
    )
    run = check("plain_net", *options.split())
    assert ["class_numbers", "passed", "3 and 9"] in map(cells, run.stdout.splitlines())
    assert "plain_net((28, 28, 1), 4, " in run.stdout


def test_left_out_plugin_fails_its_registration(zoo_command, install_plugin):
    site = install_plugin("zoo-broken", "0.1", "1 / 0")
    run = zoo_command("plugins", "check", "zoo-broken", env={"PYTHONPATH": str(site)})
    assert run.returncode == 1
    heading, problem, end = run.stdout.splitlines()
    assert heading == "plugin broken  [zoo-broken 0.1]"
    assert cells(problem) == [
        "registration",
        "failed",
        "Plugin 'broken' of zoo-broken 0.1 could not be loaded: ZeroDivisionError: division by zero "
        "(zoo_broken.py:1)",
    ]
    assert end == "1 check: 1 failed"


def test_distribution_that_is_off_is_an_error(check):
    run = check("zoo-shapes", "--no-plugins")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "error: zoo-shapes is installed, but ZOO_PLUGINS or --no-plugins leaves it out. "
        "Run the command without --no-plugins, or add it to ZOO_PLUGINS.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("zoo-shape", "there is no component and no distribution with plugins named 'zoo-shape'. "
                      "Did you mean 'zoo-shapes'?"),
        ("stripe", "there is no component and no distribution with plugins named 'stripe'. "
                   "Did you mean 'stripes'?"),
        ("stripes --check contrat", "--check contrat: no such check. Did you mean 'contract'?"),
        ("stripes --check probabilities", "--check probabilities: no such check. Available: "),
        ("stripes --set cuont=3", "--set cuont=3: no such parameter 'cuont'. Did you mean 'count'?"),
        ("stripes --set count", "--set count: expected KEY=VALUE, such as weights=none"),
        ("stripes --set count=many", "stripes: count: expected int, got \"many\"."),
        ("plain_net --set width=99", "plain_net: width: expected 1 … 8, got 99. Did you mean 8?"),
        ("plain_net --shape 28x28", "--shape: expected HEIGHTxWIDTHxCHANNELS such as 28x28x1, got "),
        ("plain_net --probe stipes", "there is no dataset named 'stipes'. Did you mean 'stripes'?"),
    ],
)  # fmt: skip
def test_mistake_is_one_line_and_status_2(check, arguments, line):
    run = check(*arguments.split())
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1
    assert run.stderr.startswith(f"error: {line}")


def test_plugin_file_of_the_group_is_checked(zoo_command, tmp_path):
    file = tmp_path / "stripes_file.py"
    file.write_text(FILE)
    run = zoo_command("plugins", "--plugin", str(file), "check", "file_stripes", "--check", "signature")
    assert run.returncode == 0
    assert run.stdout.startswith("dataset file_stripes  [stripes_file.py ")
    assert "next: zoo list --plugin stripes_file.py " in run.stderr
