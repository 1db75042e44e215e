"""The documentation matches the code: every public name is documented, and every documented name exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import fields
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
from zoo.testing.subjects import SUBJECTS
from zoo.training import training_space
from zoo.trial import EPOCH_METRICS, MODEL_METRICS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
INDEX, API, PLUGINS, REFERENCE, COMMANDS, STUDIES, FIGURES, TESTING = (
    ROOT / "docs" / f"{name}.md"
    for name in ("index", "api", "plugins", "plugin-reference", "commands", "studies", "figures", "testing")
)
# Documented with the commands; the other public names are for plugin authors.
PYTHON_NAMES = {
    *("init", "tune", "train", "dry_run", "confirm", "evaluate", "compare", "inspect", "load_model"),
    *("list_models", "promote", "Classifier"),
    "__version__",
}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def command_names():
    """Yield `tune`, `plugins`, `plugins new` …

    The figures of `inspect` have one section; `models list` has the options and the section of `models`.
    """
    for name in zoo_group.list_commands(click.Context(zoo_group)):
        yield name
        if name in ("plugins", "models"):
            group = command_named(name)
            below = [f"{name} {one}" for one in group.list_commands(click.Context(group))]
            yield from (one for one in below if one != "models list")


def command_named(name):
    command = zoo_group
    for word in name.split():
        command = command.get_command(click.Context(command), word)
    return command


every_command = pytest.mark.parametrize("name", list(command_names()))


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    """Return the code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def prose(page):
    """Return the page without its code blocks, in which `#` starts a comment."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def section(page, heading):
    """Return the text from a heading to the next heading of the same or a higher level."""
    level = len(heading.split(" ")[0])
    lines, is_inside, is_code = [], False, False
    for line in text_of(page).splitlines():
        is_code ^= line.startswith("```")
        if not is_code and re.match(rf"#{{1,{level}}} ", line):
            is_inside = line == heading
        elif is_inside:
            lines.append(line)
    assert lines, f"{page.name} has no '{heading}'"
    return "\n".join(lines)


def rows(text):
    """Return the table rows of `text`: first cell without backticks -> other cells."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


# --- every name is documented


def test_hooks_are_documented():
    hooks = [name for name in dir(hookspecs) if hasattr(getattr(hookspecs, name), "zoo_spec")]
    assert len(hooks) == 4
    assert {f"{hook}(register)" for hook in hooks} == set(rows(section(REFERENCE, "## Hooks")))


@pytest.mark.parametrize("name", zoo.__all__)
def test_public_name_is_documented(name):
    page = COMMANDS if name in PYTHON_NAMES else REFERENCE
    assert re.search(rf"\b{re.escape(name)}\b", text_of(page))


@pytest.mark.parametrize("name", sorted({*zoo.__all__} - {"testing", "inspect", "hookimpl", "__version__"}))
def test_api_page_has_public_name(name):
    # A dict has the docstring of its class, so its entry is written by hand.
    assert re.search(rf"(?m)^\.\. (auto\w+|data):: zoo\.{name}$", text_of(API))


@pytest.mark.parametrize("name", zoo.testing.__all__)
def test_conformance_kit_name_is_documented(name):
    assert name in section(PLUGINS, "## Test the plugin")


@pytest.mark.parametrize(
    ("kind", "heading"),
    [
        ("architecture", "## Architectures"),
        ("augmentation", "## Augmentation policies"),
        ("dataset", "## Datasets"),
        ("metric", "## Metrics"),
    ],
)
def test_checks_and_options_of_kit_are_documented(kind, heading):
    documented = list(rows(section(TESTING, heading)))
    checks = list(SUBJECTS[kind].suite.checks)
    assert documented[-len(checks) :] == checks
    options_class = getattr(SUBJECTS[kind], "options_class", None)  # a dataset's options are its parameters
    options = [one.name for one in fields(options_class)] if options_class else []
    assert set(documented) - set(checks) - {"checks"} == set(options)
    assert not set(checks) & set(options)


@every_command
def test_command_is_documented_with_its_options(name):
    text = section(COMMANDS, f"## zoo {name}")
    command = command_named(name)
    parameters = [parameter for one in subcommands(command) for parameter in one.params]
    options = {parameter.opts[0] for parameter in parameters if isinstance(parameter, click.Option)}
    documented = {option for cell in rows(text) for option in re.findall(r"(?:^|`)(--[\w-]+)", cell)}
    assert documented == options
    for parameter in parameters:
        if isinstance(parameter, click.Argument):
            assert parameter.name.upper() in text
    assert f"`zoo {name}`" in text_of(COMMANDS).partition("\n## ")[0]  # in the first table


def subcommands(command):
    """Return the subcommands of `inspect`, which have no sections of their own; else the command itself."""
    return list(command.commands.values()) if command.name == "inspect" else [command]


def test_figure_is_documented_with_its_options():
    """In the table of figures, in the table of options, and in docs/figures.md."""
    documented = rows(section(COMMANDS, "## zoo inspect"))
    figures = zoo_group.get_command(click.Context(zoo_group), "inspect").commands
    assert {key.split(" ")[0] for key in documented if not key.startswith("--")} == set(figures)
    options = {key: cells[0] for key, cells in documented.items() if key.startswith("--")}
    for option, of in options.items():
        figures_with_it = {name for name, one in figures.items() if option.split(" ")[0] in option_names(one)}
        named = set(re.findall(r"`(\w+)`", of))
        assert figures_with_it == (set(figures) - named if of.startswith("all") else named), option
    shown = "".join(blocks(FIGURES, "console"))
    assert set(re.findall(r"^\$ zoo inspect (\w+)", shown, re.MULTILINE)) == set(figures)
    in_python = "".join(blocks(FIGURES, "python"))
    assert set(re.findall(r"zoo\.inspect\.(\w+)\(", in_python)) == set(figures)
    assert set(figures) <= set(zoo.inspect.__all__)


def option_names(command):
    return {name for parameter in command.params for name in parameter.opts}


def test_options_of_zoo_itself_are_documented():
    introduction = text_of(COMMANDS).partition("\n## ")[0]
    for parameter in zoo_group.params:
        assert f"`{parameter.opts[0]}`" in introduction


def test_search_keys_are_documented():
    documented = rows(section(STUDIES, "### `[search]`"))
    defaults = {name: field.default for name, field in Search.__dataclass_fields__.items()}
    expected = {name: "none" if default is None else str(default) for name, default in defaults.items()}
    assert {key: cells[2].strip("`") for key, cells in documented.items()} == expected


def test_training_keys_are_documented():
    documented = rows(section(STUDIES, "### `[training]`"))
    space = training_space()
    assert list(documented) == list(space)
    for name, parameter in space.items():
        _, bounds, default, *_ = documented[name]
        assert default.strip("`") == str(parameter.default)
        if isinstance(parameter.domain, Choice):
            assert bounds == ", ".join(f"`{option}`" for option in parameter.domain.options)
        else:
            low, high = (float(number.rstrip(",")) for number in re.findall(r"\d\S*", bounds))
            assert (low, high) == (parameter.domain.low, parameter.domain.high)
            assert ("log" in bounds) == parameter.domain.log


def test_validation_defaults_are_documented():
    documented = rows(section(STUDIES, "### `[validation]`"))
    study = parse_study('dataset = "digits"\narchitecture = "conv_net"', Registry.load(), "short")
    assert set(documented) == {"fraction", "folds", "seed", "group", "metrics"}
    defaults = {key: cells[2] for key, cells in documented.items() if cells[2] != "none"}
    assert {key: float(default) for key, default in defaults.items()} == study.validation


@pytest.mark.parametrize(
    ("heading", "names"),
    [("## Samplers", SAMPLERS), ("## Pruners", PRUNERS)],
)
def test_samplers_and_pruners_are_documented(heading, names):
    assert set(rows(section(STUDIES, heading))) == set(names)


def test_objectives_are_documented():
    text = section(STUDIES, "### `objective`")
    registered = [f"val_{name}" for name in Registry.load([]).names("metric")]
    assert all(f"`{metric}`" in text for metric in (*EPOCH_METRICS, *registered, *MODEL_METRICS))


def test_environment_variables_are_documented():
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "zoo").rglob("*.py")))
    zoo_variables = set(re.findall(r"\bZOO_[A-Z_]+\b", sources))
    documented = set(rows(section(COMMANDS, "## Environment variables")))
    assert documented == zoo_variables | {"MLFLOW_TRACKING_URI", "KERAS_BACKEND", "KERAS_HOME"}


def test_exit_statuses_are_documented():
    text = section(COMMANDS, "## Exit statuses")
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == ["0", "1", "2", "129", "130", "143"]


def test_design_page_has_every_package():
    table = section(ROOT / "docs" / "design.md", "## Packages")
    packages = {path.stem for path in (ROOT / "zoo").iterdir() if not path.name.startswith(("_", "."))}
    assert packages - {"studies"} <= set(re.findall(r"`(\w+)`", table))


# --- every documented name exists


@every_page
def test_commands_on_page_are_valid(page):
    commands = re.findall(
        r"^(?:\$ )?(?:pip .* && )?zoo (.*)$", "".join(blocks(page, "console")), re.MULTILINE
    )
    for name, *arguments in map(shlex.split, commands):
        command = zoo_group.get_command(click.Context(zoo_group), name)
        if isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
            name, *arguments = arguments
            command = command.get_command(click.Context(command), name)
            assert command is not None, name
        command.make_context(name, arguments)


@every_page
def test_toml_blocks_parse(page):
    for block in blocks(page, "toml"):
        tomllib.loads(block)


@every_page
def test_python_blocks_compile(page):
    for block in blocks(page, "python"):
        compile(block, page.name, "exec")


@every_page
def test_links_have_a_target(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}"


def anchors(page):
    """Return the anchors of a page's headings on GitHub."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_index_lists_every_page():
    tree = "".join(re.findall(r"^```{toctree}\n(.*?)^```$", text_of(INDEX), re.MULTILINE | re.DOTALL))
    listed = re.findall(r"^[\w-]+$", tree, re.MULTILINE)
    assert sorted(listed) == sorted(
        page.stem for page in PAGES if page.parent == INDEX.parent and page != INDEX
    )
    assert all(f"]({name}.md)" in text_of(INDEX) for name in listed)


def test_images_are_small():
    assert all(path.stat().st_size < 300_000 for path in (ROOT / "docs" / "images").iterdir())


@pytest.mark.parametrize(
    "command",
    [
        "pip install -e . && zoo tune digits_cnn",
        "zoo tune mnist_cnn",
        "pip install -e '.[test]' && pytest",
    ],
)
def test_readme_command_has_its_own_block(command):
    assert f"{command}\n" in blocks(ROOT / "README.md", "console")


# --- studies


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_study_is_valid(path):
    assert load_study(str(path), Registry.load()).name == path.stem


@pytest.mark.parametrize("page", [ROOT / "README.md", STUDIES], ids=lambda page: page.name)
def test_complete_study_on_page_is_valid(page):
    studies = [
        block for block in blocks(page, "toml") if {"search", "training"} <= tomllib.loads(block).keys()
    ]
    assert len(studies) == 1
    parse_study(studies[0], Registry.load(), "shown")
