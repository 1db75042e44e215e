"""docs/augmentations.md matches the policies: parameters, ranges and defaults."""

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
    """Return the text from a heading to the next one."""
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/augmentations.md has no '{heading}'"
    return found[1]


def rows(text):
    """Return the table rows of `text`: first cell without backticks -> other cells."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_policy_is_documented_with_its_parameters(policy):
    documented = rows(section(f"### {policy.__name__}"))
    space = read_space(policy)
    assert list(documented) == list(space)
    for name, parameter in space.items():
        bounds, default, _ = documented[name]
        assert bounds.replace("`", "").replace(", ", " | ") == str(parameter.domain).replace('"', "")
        assert default.strip("`") == str(parameter.default).replace("False", "false")


def test_page_has_only_registered_policies():
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == [policy.__name__ for policy in POLICIES]


def test_presets_are_documented_with_their_values():
    documented = rows(section("## The presets"))
    for preset in PRESETS:
        policy, values = documented[preset.__name__]
        assert policy.strip("`") == preset.__wrapped__.__name__
        generator = {
            keyword.arg: ast.literal_eval(keyword.value)
            for keyword in ast.parse(f"f({values.strip('`')})").body[0].value.keywords
        }
        defaults = read_space(preset).defaults()
        assert generator["rotation_range"] == defaults["rotation"]
        assert generator["zoom_range"] == defaults["zoom"]
        assert (
            generator.get("width_shift_range", 0)
            == generator.get("height_shift_range", 0)
            == defaults["shift"]
        )
        assert generator.get("horizontal_flip", False) == (defaults.get("flip") == "horizontal")
        assert generator.get("fill_mode", "nearest") == defaults["fill"]
        shear = generator["shear_range"]  # in radians if below 1, as old Keras examples have it
        assert round(math.degrees(shear) if shear < 1 else shear, 1) == defaults["shear"]


def test_study_on_page_is_valid():
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    tomllib.loads(block)
    study = parse_study(block, Registry.load([]), "shown")
    assert list(study.augmentation.spaces) == ["none", "affine", "erasing"]


def test_plugin_on_page_keeps_the_contract():
    from zoo.testing import check_augmentation

    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(compile(block, "docs/augmentations.md", "exec"), names)
    check_augmentation(names["affine_erasing"], input_shape=(8, 8, 1), samples=1)
