"""The documentation, held to the code: what it names exists, and what exists it names."""

from __future__ import annotations

import inspect
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

import zoo
import zoo.testing
from zoo import hookspecs
from zoo.cli import zoo as zoo_group
from zoo.registry import Registry
from zoo.space import Choice
from zoo.study import PRUNERS, SAMPLERS, Search, load_study, parse_study
from zoo.testing._subjects import SUBJECTS
from zoo.training import training_space
from zoo.trial import EPOCH_METRICS, MODEL_METRICS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PLUGINS, REFERENCE, COMMANDS, STUDIES, PICTURES, TESTING = (
    ROOT / "docs" / f"{name}.md"
    for name in ("plugins", "plugin-reference", "commands", "studies", "pictures", "testing")
)
# The others are for plugin authors.
PYTHON_NAMES = {"tune", "train", "evaluate", "compare", "inspect", "load_model", "__version__"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def command_names():
    """`tune`, `plugins`, `plugins new` …; the pictures of `inspect` share one table."""
    for name in zoo_group.list_commands(click.Context(zoo_group)):
        yield name
        if name == "plugins":
            group = command_named(name)
            yield from (f"{name} {below}" for below in group.list_commands(click.Context(group)))


def command_named(name):
    command = zoo_group
    for word in name.split():
        command = command.get_command(click.Context(command), word)
    return command


every_command = pytest.mark.parametrize("name", list(command_names()))


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    """The code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def prose(page):
    """The page without its code blocks, in which `#` begins a comment."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def section(page, heading):
    """What stands between a heading and the next of its rank or a higher one."""
    rank = len(heading.split(" ")[0])
    lines, inside, in_code = [], False, False
    for line in text_of(page).splitlines():
        in_code ^= line.startswith("```")
        if not in_code and re.match(rf"#{{1,{rank}}} ", line):
            inside = line == heading
        elif inside:
            lines.append(line)
    assert lines, f"{page.name} has no '{heading}'"
    return "\n".join(lines)


def rows(text):
    """The rows of the tables in `text`, as lists of cells, by their first cell without backticks."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


# --- what there is, is documented


def test_every_hook_is_documented():
    hooks = [name for name in dir(hookspecs) if hasattr(getattr(hookspecs, name), "zoo_spec")]
    assert len(hooks) == 3
    assert {f"{hook}(register)" for hook in hooks} == set(rows(section(REFERENCE, "## Hooks")))


@pytest.mark.parametrize("name", zoo.__all__)
def test_every_public_name_is_documented(name):
    page = COMMANDS if name in PYTHON_NAMES else REFERENCE
    assert re.search(rf"\b{re.escape(name)}\b", text_of(page))


@pytest.mark.parametrize("name", zoo.testing.__all__)
def test_every_name_of_the_conformance_kit_is_documented(name):
    assert name in section(PLUGINS, "## Testing a plugin")


@pytest.mark.parametrize(
    ("kind", "heading"),
    [
        ("architecture", "## Architectures"),
        ("augmentation", "## Augmentation policies"),
        ("dataset", "## Datasets"),
    ],
)
def test_every_check_and_its_options_are_documented(kind, heading):
    told = list(rows(section(TESTING, heading)))
    checks = list(SUBJECTS[kind].suite.checks)
    assert told[-len(checks) :] == checks
    options = [
        name for name in inspect.signature(SUBJECTS[kind]).parameters if name not in ("function", "given")
    ]
    assert set(told) - set(checks) - {"checks"} == set(options) - {"values"}
    assert not set(checks) & set(options)


@every_command
def test_every_command_is_documented_with_all_its_options(name):
    told = section(COMMANDS, f"## zoo {name}")
    command = command_named(name)
    parameters = [parameter for one in parts_of(command) for parameter in one.params]
    options = {parameter.opts[0] for parameter in parameters if isinstance(parameter, click.Option)}
    documented = {cell.split(" ")[0] for cell in rows(told) if cell.startswith("--")}
    assert documented == options
    for parameter in parameters:
        if isinstance(parameter, click.Argument):
            assert parameter.name.upper() in told
    assert f"`zoo {name}`" in text_of(COMMANDS).partition("\n## ")[0]  # in the table at the top


def parts_of(command):
    """The command itself, or the pictures that it is made of."""
    return list(getattr(command, "commands", {}).values()) or [command]


def test_every_picture_is_documented_with_its_options():
    """In the table of pictures; each option with the pictures that take it; and on a page with an image."""
    told = rows(section(COMMANDS, "## zoo inspect"))
    pictures = zoo_group.get_command(click.Context(zoo_group), "inspect").commands
    assert {key.split(" ")[0] for key in told if not key.startswith("--")} == set(pictures)
    for option, (of, _) in ((key, cells) for key, cells in told.items() if key.startswith("--")):
        takers = {name for name, one in pictures.items() if option.split(" ")[0] in names_of(one)}
        exceptions = set(re.findall(r"`(\w+)`", of))
        assert takers == (set(pictures) - exceptions if of.startswith("all") else exceptions), option
    shown = "".join(blocks(PICTURES, "console"))
    assert set(re.findall(r"^\$ zoo inspect (\w+)", shown, re.MULTILINE)) == set(pictures)
    in_python = "".join(blocks(PICTURES, "python"))
    assert set(re.findall(r"zoo\.inspect\.(\w+)\(", in_python)) == set(pictures)
    assert set(pictures) <= set(zoo.inspect.__all__)


def names_of(command):
    return {name for parameter in command.params for name in parameter.opts}


def test_the_options_of_zoo_itself_are_documented():
    opening = text_of(COMMANDS).partition("\n## ")[0]
    for parameter in zoo_group.params:
        assert f"`{parameter.opts[0]}`" in opening


def test_every_key_of_the_search_table_is_documented():
    told = rows(section(STUDIES, "### `[search]`"))
    defaults = {name: field.default for name, field in Search.__dataclass_fields__.items()}
    expected = {name: "none" if default is None else str(default) for name, default in defaults.items()}
    assert {key: cells[2].strip("`") for key, cells in told.items()} == expected


def test_every_key_of_the_training_table_is_documented():
    told = rows(section(STUDIES, "### `[training]`"))
    space = training_space()
    assert list(told) == list(space)
    for name, parameter in space.items():
        _, bounds, default, *_ = told[name]
        assert default.strip("`") == str(parameter.default)
        if isinstance(parameter.domain, Choice):
            assert bounds == ", ".join(f"`{option}`" for option in parameter.domain.options)
        else:
            low, high = (float(number.rstrip(",")) for number in re.findall(r"\d\S*", bounds))
            assert (low, high) == (parameter.domain.low, parameter.domain.high)
            assert ("log" in bounds) == parameter.domain.log


def test_the_defaults_of_the_validation_split_are_documented():
    told = rows(section(STUDIES, "### `[validation]`"))
    study = parse_study('dataset = "digits"\narchitecture = "conv_net"', Registry.load(), "short")
    assert set(told) == {"fraction", "folds", "seed"}
    defaults = {key: cells[2] for key, cells in told.items() if cells[2] != "none"}
    assert {key: float(default) for key, default in defaults.items()} == study.validation


@pytest.mark.parametrize(
    ("heading", "names"),
    [("## Samplers", SAMPLERS), ("## Pruners", PRUNERS)],
)
def test_every_sampler_and_pruner_is_documented(heading, names):
    assert set(rows(section(STUDIES, heading))) == set(names)


def test_every_objective_is_documented():
    told = section(STUDIES, "### `objective`")
    assert all(f"`{metric}`" in told for metric in (*EPOCH_METRICS, *MODEL_METRICS))


def test_every_environment_variable_is_documented():
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "zoo").rglob("*.py")))
    ours = set(re.findall(r"\bZOO_[A-Z_]+\b", sources))
    told = rows(section(COMMANDS, "## Environment variables"))
    assert ours | {"MLFLOW_TRACKING_URI", "KERAS_BACKEND", "KERAS_HOME"} == set(told)


def test_every_exit_status_is_documented():
    told = section(COMMANDS, "## Exit statuses")
    assert re.findall(r"^\| (\d+) \|", told, re.MULTILINE) == ["0", "1", "2", "129", "130", "143"]


# --- what is documented, there is


@every_page
def test_every_command_line_shown_is_one_that_zoo_takes(page):
    typed = re.findall(r"^(?:\$ )?(?:pip .* && )?zoo (.*)$", "".join(blocks(page, "console")), re.MULTILINE)
    for name, *arguments in map(shlex.split, typed):
        command = zoo_group.get_command(click.Context(zoo_group), name)
        if isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
            name, *arguments = arguments
            command = command.get_command(click.Context(command), name)
            assert command is not None, name
        command.make_context(name, arguments)


@every_page
def test_every_toml_block_is_toml(page):
    for block in blocks(page, "toml"):
        tomllib.loads(block)


@every_page
def test_every_python_block_is_python(page):
    for block in blocks(page, "python"):
        compile(block, page.name, "exec")


@every_page
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(there), f"{page.name} links to {target}"


def anchors(page):
    """The anchors that a page's headings have on GitHub."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_pictures_are_small():
    assert all(path.stat().st_size < 300_000 for path in (ROOT / "docs" / "images").iterdir())


@pytest.mark.parametrize(
    "command", ["pip install -e . && zoo tune --study mnist_cnn", "pip install -e '.[test]' && pytest"]
)
def test_the_readme_has_its_two_commands_in_blocks_of_their_own(command):
    assert f"{command}\n" in blocks(ROOT / "README.md", "console")


# --- studies


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_study_is_in_order(path):
    assert load_study(str(path), Registry.load()).name == path.stem


@pytest.mark.parametrize("page", [ROOT / "README.md", STUDIES], ids=lambda page: page.name)
def test_the_whole_study_on_a_page_is_in_order(page):
    whole = [block for block in blocks(page, "toml") if {"search", "training"} <= tomllib.loads(block).keys()]
    assert len(whole) == 1
    parse_study(whole[0], Registry.load(), "shown")
