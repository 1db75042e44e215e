"""docs/augmentations.md, held to the policies: each is there, with its parameters, ranges and defaults."""

from __future__ import annotations

import ast
import math
import re
import tomllib
from pathlib import Path

import pytest

from zoo.builtin.augmentations import PRESETS, register_augmentations
from zoo.registry import Registry
from zoo.space import read_space
from zoo.study import parse_study

PAGE = (Path(__file__).parents[2] / "docs" / "augmentations.md").read_text(encoding="utf-8")
REGISTERED: list = []
register_augmentations(REGISTERED.append)
POLICIES = [policy for policy in REGISTERED if policy not in PRESETS]


def section(heading):
    """What stands below a heading, up to the next one."""
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/augmentations.md has no '{heading}'"
    return found[1]


def rows(text):
    """First cell without backticks → the other cells."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_every_policy_has_its_parameters_ranges_and_defaults(policy):
    told = rows(section(f"### {policy.__name__}"))
    space = read_space(policy)
    assert list(told) == list(space)
    for name, parameter in space.items():
        bounds, default, _ = told[name]
        assert bounds.replace("`", "").replace(", ", " | ") == str(parameter.domain).replace('"', "")
        assert default.strip("`") == str(parameter.default).replace("False", "false")


def test_no_policy_is_there_that_is_not_registered():
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == [policy.__name__ for policy in POLICIES]


def test_every_preset_is_named_with_the_numbers_it_stands_for():
    told = rows(section("## The presets"))
    for preset in PRESETS:
        of, numbers = told[preset.__name__]
        assert of.strip("`") == preset.__wrapped__.__name__
        generator = {
            keyword.arg: ast.literal_eval(keyword.value)
            for keyword in ast.parse(f"f({numbers.strip('`')})").body[0].value.keywords
        }
        ours = read_space(preset).defaults()
        assert generator["rotation_range"] == ours["rotation"]
        assert generator["zoom_range"] == ours["zoom"]
        assert (
            generator.get("width_shift_range", 0) == generator.get("height_shift_range", 0) == ours["shift"]
        )
        assert generator.get("horizontal_flip", False) == (ours.get("flip") == "horizontal")
        assert generator.get("fill_mode", "nearest") == ours["fill"]
        shear = generator["shear_range"]  # radians where it can be nothing else
        assert round(math.degrees(shear) if shear < 1 else shear, 1) == ours["shear"]


def test_the_study_on_the_page_is_in_order():
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    tomllib.loads(block)
    study = parse_study(block, Registry.load([]), "shown")
    assert list(study.augmentation.spaces) == ["none", "affine", "erasing"]


def test_the_plugin_on_the_page_keeps_the_contract():
    from zoo.testing import check_augmentation

    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(compile(block, "docs/augmentations.md", "exec"), names)
    check_augmentation(names["affine_erasing"], input_shape=(8, 8, 1), samples=1)
