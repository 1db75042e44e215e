"""The registry: what plugins register, and the messages about plugins that break the contract."""

from __future__ import annotations

import sys
import textwrap
import types
from importlib import metadata

import pytest
from registry_mistakes import IMPORTS, MISTAKES, hook

from zoo.errors import PluginError
from zoo.registry import IN_MEMORY, KINDS, Plugin, Registry, source_location

GOOD = """
    from typing import Annotated
    from zoo import Dataset, Float, Int, List, hookimpl

    @hookimpl
    def register_datasets(register):
        register(squares)

    @hookimpl
    def register_architectures(register):
        register(little_net)

    @hookimpl
    def register_augmentations(register):
        register(mirror)

    def squares(*, side: Annotated[int, Int(4, 64)] = 8) -> Dataset:
        '''White squares on black.

        More about them.
        '''

    Units = Annotated[tuple, List(Int(4, 64), length=(1, 2))]

    def little_net(input_shape, num_classes, *, units: Units = (8,)):
        '''A dense layer or two.'''

    def mirror(*, share: Annotated[float, Float(0.0, 1.0)] = 0.5):
        '''Mirror some of the images.'''
"""


def module_of(source, name="zoo_x"):
    module = types.ModuleType(name)
    code = compile(textwrap.dedent(source), f"{name}.py", "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module


def load(*sources):
    """Return a registry of plugins `x`, `y` … of `zoo-x 1.0`, `zoo-y 1.0` …, from their sources."""
    registry = Registry()
    add(registry, *sources)
    return registry


def add(registry, *sources):
    for letter, source in zip("xyz", sources, strict=False):
        plugin = Plugin(letter, f"zoo-{letter}", "1.0", f"zoo_{letter}")
        registry.add(plugin, lambda source=source, letter=letter: module_of(source, f"zoo_{letter}"))


def problem_of(source):
    """Return the one problem of a plugin: one line that names it, while other plugins are loaded."""
    registry = Registry.load([])
    ours = registry.components()
    add(registry, source, GOOD)
    others = {component.name for component in registry.components() if component not in ours}
    assert others == {"squares", "little_net", "mirror"}
    assert all(registry.get(component.kind, component.name) is component for component in ours)
    assert len(registry.problems) == 1
    problem = registry.problems[0]
    assert "\n" not in problem
    assert problem.startswith("Plugin 'x' of zoo-x 1.0")
    (plugin,) = (plugin for plugin in registry.plugins if plugin.name == "x")
    assert (plugin.problem, plugin.state, plugin.components) == (problem, "left out", [])
    return problem


def test_component_is_read_from_its_function():
    registry = load(GOOD)
    squares = registry.get("dataset", "squares")
    assert registry.problems == []
    assert (squares.kind, squares.name, squares.description) == (
        "dataset",
        "squares",
        "White squares on black.",
    )
    assert squares.space.defaults() == {"side": 8}
    assert (squares.distribution, squares.version, squares.origin) == ("zoo-x", "1.0", "zoo-x 1.0")
    assert registry.get("architecture", "little_net").space.defaults() == {"units": (8,)}
    assert registry.get("augmentation", "mirror").function.__name__ == "mirror"
    assert [component.name for component in registry.plugins[0].components] == [
        "squares",
        "little_net",
        "mirror",
    ]


def test_built_ins_use_the_same_hooks():
    registry = Registry.load(entry_points=[])
    assert registry.problems == []
    assert {"digits", "mnist"} <= set(registry.names("dataset"))
    assert {"conv_net", "perceptron", "pretrained"} < set(registry.names("architecture"))
    assert {"affine", "erasing", "flips", "none"} <= set(registry.names("augmentation"))
    assert {component.distribution for component in registry.components()} == {"keras-zoo"}
    assert [component.kind for component in registry.components()] == sorted(
        (component.kind for component in registry.components()), key=list(KINDS).index
    )


def test_register_works_as_decorator():
    registry = load(f"""{IMPORTS}
@hookimpl
def register_augmentations(register):
    @register
    def blur(*, radius: Annotated[int, Int(1, 9)] = 3):
        "Blur."
""")
    assert registry.get("augmentation", "blur").space.defaults() == {"radius": 3}


def test_one_name_for_two_kinds_is_allowed():
    registry = load(
        hook("def net(input_shape, num_classes): ''", "architecture"),
        hook("def net(): ''", "augmentation"),
    )
    assert registry.problems == []
    assert [component.kind for component in registry.find("net")] == ["architecture", "augmentation"]


@pytest.mark.parametrize(
    ("kind", "name", "near"), [("architecture", "convnet", "conv_net"), ("dataset", "MNIST", "mnist")]
)
def test_unknown_name_gets_the_most_similar_name(kind, name, near):
    with pytest.raises(PluginError, match=rf"there is no {kind} named '{name}'\. Did you mean '{near}'\?"):
        Registry.load([]).get(kind, name)


def test_name_without_similar_names_gets_all_names():
    with pytest.raises(PluginError, match=r"named 'xyzzy'\. Available: .*cifar10, .*, mnist, notmnist, .*\."):
        Registry.load([]).get("dataset", "xyzzy")
    with pytest.raises(PluginError, match=r"no component named 'affin'\. Did you mean 'affine'\?"):
        Registry.load([]).find("affin")
    with pytest.raises(PluginError, match=r"there is no dataset named 'mnist'\. None available\."):
        Registry().get("dataset", "mnist")


def test_missing_component_error_names_broken_plugin():
    registry = load("raise RuntimeError('no GPU')", GOOD)
    for search in (lambda: registry.get("dataset", "cubes"), lambda: registry.find("cubes")):
        with pytest.raises(PluginError, match=r"Left out: Plugin 'x' of zoo-x 1.0 could .* no GPU"):
            search()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_reported_and_others_are_loaded(mistake):
    source, ending = MISTAKES[mistake]
    assert problem_of(source) == f"Plugin 'x' of zoo-x 1.0{ending.replace('FILE', 'zoo_x.py')}"


def test_syntax_error_has_its_line():
    problem = problem_of("def")
    assert problem == (
        "Plugin 'x' of zoo-x 1.0 could not be loaded: SyntaxError: invalid syntax (zoo_x.py:1)"
    )


def test_ctrl_c_while_loading_is_passed_on():
    with pytest.raises(KeyboardInterrupt):
        load("raise KeyboardInterrupt")


def test_hook_from_another_package_is_ignored():
    module = module_of(GOOD)
    module.register_datasets.__module__ = "zoo_x.deeper"
    foreign = module_of("def register_augmentations(register): ...", "somebody_else")
    module.register_augmentations = foreign.register_augmentations
    registry = Registry()
    registry.add(Plugin("x", "zoo-x", "1.0"), lambda: module)
    assert registry.problems == []
    assert [component.name for component in registry.components()] == ["squares", "little_net"]


def test_functions_that_are_no_hooks_are_ignored():
    source = hook("def net(input_shape, num_classes): ...")
    source += "def register_dataset(register, name): ...\ndef register_my_datasets(register): ...\n"
    assert load(source).problems == []


def test_plugin_output_goes_to_stderr(capsys):
    load("print('hello')\n" + textwrap.dedent(GOOD))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "hello\n"


def test_duplicate_name_error_names_both_plugins():
    registry = load(GOOD, hook("def squares(): ''", "dataset").replace("(net)", "(squares)"))
    (problem,) = registry.problems
    assert problem == (
        "the dataset 'squares' is registered more than once: by plugin 'x' of zoo-x 1.0 and by "
        "plugin 'y' of zoo-y 1.0. Uninstall zoo-x or zoo-y, or ask an author to rename the dataset."
    )
    with pytest.raises(PluginError) as refused:
        registry.get("dataset", "squares")
    assert str(refused.value) == problem
    with pytest.raises(PluginError, match=r"zoo-y 1\.0"):
        registry.find("squares")
    assert [component.name for component in registry.components()] == ["little_net", "mirror"]
    assert registry.get("architecture", "little_net").origin == "zoo-x 1.0"


# The tests below use distributions as pip installs them: a .dist-info folder on sys.path.


@pytest.fixture
def install(install_plugin, monkeypatch):
    """Install plugins for this process; remove their modules afterwards."""
    before = set(sys.modules)

    def install_here(distribution, version, source, **options):
        monkeypatch.syspath_prepend(install_plugin(distribution, version, source, **options))

    yield install_here
    for name in set(sys.modules) - before:
        if name.startswith("zoo_"):
            del sys.modules[name]


def test_installed_plugin_has_distribution_and_version(install):
    install("zoo-shapes", "2.1", GOOD)
    registry = Registry.load()
    assert registry.problems == []
    assert registry.get("dataset", "squares").origin == "zoo-shapes 2.1"
    plugin = registry.plugins[-1]
    assert (plugin.name, plugin.distribution, plugin.version) == ("shapes", "zoo-shapes", "2.1")
    assert registry.get("dataset", "mnist").distribution == "keras-zoo"


def test_plugin_cannot_take_a_builtin_name(install):
    install("zoo-other", "3.0", hook("def mnist(): ''", "dataset", "mnist"))
    registry = Registry.load()
    assert registry.get("dataset", "mnist").distribution == "keras-zoo"
    assert registry.problems == [
        "Plugin 'other' of zoo-other 3.0: register_datasets registered 'mnist', but zoo has a built-in "
        "dataset of this name; rename the function."
    ]


def test_broken_distributions_leave_others_loaded(install):
    install("zoo-exits", "0.1", "raise SystemExit(1)")
    install("zoo-gone", "0.2", "", entry_point="gone = zoo_not_there")
    install("zoo-attribute", "0.3", "", entry_point="attribute = zoo_attribute:plugin")
    install("zoo-shapes", "2.1", GOOD)
    registry = Registry.load()
    assert registry.get("dataset", "squares").origin == "zoo-shapes 2.1"
    assert registry.get("dataset", "digits").distribution == "keras-zoo"
    for text in ("'exits' of zoo-exits 0.1", "'gone' of zoo-gone 0.2", "'attribute' of zoo-attribute 0.3"):
        assert (
            sum(problem.startswith(f"Plugin {text} could not be loaded: ") for problem in registry.problems)
            == 1
        )
    assert len(registry.problems) == 3


def test_entry_point_naming_a_hook_is_refused(install):
    install("zoo-shapes", "2.1", GOOD, entry_point="shapes = zoo_shapes:register_datasets")
    (problem,) = Registry.load().problems
    assert problem == (
        "Plugin 'shapes' of zoo-shapes 2.1: expected an entry point that names the module 'zoo_shapes', "
        "got 'register_datasets'."
    )


def test_duplicate_name_in_one_distribution_is_reported(install):
    install("zoo-twice", "1.0", GOOD, entry_point="one = zoo_twice\ntwo = zoo_twice")
    problem = Registry.load().problems[0]
    assert "plugin 'one' of zoo-twice 1.0 and by plugin 'two' of zoo-twice 1.0" in problem
    assert "Uninstall zoo-twice, or" in problem


@pytest.mark.parametrize("damage", [b"[zoo]\nno equals sign\n", b"[zoo]\nx = \xff\n"])
def test_damaged_entry_points_hide_no_other_plugin(install, tmp_path, damage):
    install("zoo-damaged", "1.0", "")
    install("zoo-shapes", "2.1", GOOD)
    (tmp_path / "site" / "zoo_damaged-1.0.dist-info" / "entry_points.txt").write_bytes(damage)
    registry = Registry.load()
    assert registry.get("dataset", "squares").origin == "zoo-shapes 2.1"
    (problem,) = registry.problems
    assert problem.startswith("Plugin 'entry_points.txt' of zoo-damaged 1.0 cannot be read: ")


def test_metadata_in_another_encoding_is_read(install, tmp_path):
    install("zoo-damaged", "1.0", "")
    install("zoo-latin", "1.0", GOOD)
    site = tmp_path / "site"
    (site / "zoo_damaged-1.0.dist-info" / "entry_points.txt").write_bytes(b"[zoo]\nno equals sign\n")
    (site / "zoo_latin-1.0.dist-info" / "METADATA").write_bytes(b"Name: zoo-latin\nAuthor: Ren\xe9e\n")
    registry = Registry.load()
    assert registry.get("dataset", "squares").origin == "zoo_latin of unknown version"
    assert len(registry.problems) == 1


def test_distribution_without_metadata_has_entry_point_name(install, tmp_path):
    install("zoo-bare", "1.0", GOOD)
    install("zoo-fine", "1.0", hook("def net(): ''", "augmentation"))
    (tmp_path / "site" / "zoo_bare-1.0.dist-info" / "METADATA").unlink()
    registry = Registry.load()
    assert registry.get("dataset", "squares").origin == "zoo_bare of unknown version"
    assert registry.get("augmentation", "net").origin == "zoo-fine 1.0"


def test_entry_point_without_distribution_is_loaded(tmp_path, monkeypatch):
    (tmp_path / "zoo_loose.py").write_text(textwrap.dedent(GOOD))
    monkeypatch.syspath_prepend(tmp_path)
    try:
        registry = Registry.load([metadata.EntryPoint("loose", "zoo_loose", "zoo")])
    finally:
        del sys.modules["zoo_loose"]
    assert registry.get("dataset", "squares").origin == "zoo_loose of unknown version"


# --- the source location of an error in a plugin


def raise_in(module):
    try:
        module.fail()
    except ValueError as error:
        return error


def test_source_location_is_innermost_line_of_package():
    outer = module_of("def fail():\n    deeper.fail()\n", "zoo_x")
    outer.deeper = module_of("\ndef fail():\n    int('x')\n    json = 1\n", "zoo_y")
    error = raise_in(outer)
    assert source_location(error, "zoo_x") == "zoo_x.py:2"
    assert source_location(error, "zoo_y") == "zoo_y.py:3"
    assert source_location(error, "zoo") == ""


def test_source_location_accepts_a_package_in_a_package():
    perceptron = Registry.load([]).get("architecture", "perceptron").function
    try:
        perceptron(None, None)
    except Exception as error:
        location = source_location(error, "zoo.builtin")
    assert location.startswith("zoo/builtin/architectures/_parts.py:")


def test_dataset_in_memory_is_not_listed_and_has_no_function():
    registry = Registry.load([])
    assert IN_MEMORY not in registry.names("dataset")
    component = registry.get("dataset", IN_MEMORY)
    with pytest.raises(PluginError, match=r"the dataset 'in memory' has no function that reads it. Pass its"):
        component.function()
