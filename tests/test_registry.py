"""The plugin host: what plugins register, and what becomes of those that break the contract."""

from __future__ import annotations

import sys
import textwrap
import types
from importlib import metadata

import pytest

from zoo.errors import PluginError
from zoo.registry import KINDS, Plugin, Registry

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

IMPORTS = "from typing import Annotated\nfrom zoo import Choice, Float, Int, List, hookimpl\n"


def module_of(source, name="zoo_x"):
    module = types.ModuleType(name)
    exec(compile(textwrap.dedent(source), f"{name}.py", "exec"), module.__dict__)
    return module


def load(*sources):
    """A registry of plugins `x`, `y` … of `zoo-x 1.0`, `zoo-y 1.0` … from the text of their modules."""
    registry = Registry()
    for letter, source in zip("xyz", sources, strict=False):
        plugin = Plugin(letter, f"zoo-{letter}", "1.0")
        registry.add(plugin, lambda source=source, letter=letter: module_of(source, f"zoo_{letter}"))
    return registry


def problem_of(source):
    """The one problem of a plugin, which has to be one line that names it; another plugin goes on working."""
    registry = load(source, GOOD)
    assert [entry.name for entry in registry.entries()] == ["squares", "little_net", "mirror"]
    assert len(registry.problems) == 1
    problem = registry.problems[0]
    assert "\n" not in problem
    assert problem.startswith("Plugin 'x' of zoo-x 1.0")
    assert registry.plugins[0].problem == problem
    assert registry.plugins[0].registered == []
    return problem


def hook(body, kind="architecture"):
    """A module with one hook that registers `thing`, which `body` defines."""
    return (
        f"{IMPORTS}{textwrap.dedent(body)}\n@hookimpl\ndef register_{kind}s(register):\n    register(thing)\n"
    )


def test_name_description_space_and_origin_come_from_the_function():
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
    assert [entry.name for entry in registry.plugins[0].registered] == ["squares", "little_net", "mirror"]


def test_built_ins_come_through_the_same_hooks():
    registry = Registry.load(entry_points=[])
    assert registry.problems == []
    assert {"digits", "mnist"} <= set(registry.names("dataset"))
    assert {"conv_net", "perceptron", "pretrained"} < set(registry.names("architecture"))
    assert {"affine", "erasing", "flips", "none"} <= set(registry.names("augmentation"))
    assert {entry.distribution for entry in registry.entries()} == {"keras-zoo"}
    assert [entry.kind for entry in registry.entries()] == sorted(
        (entry.kind for entry in registry.entries()), key=list(KINDS).index
    )


def test_register_may_stand_above_a_function():
    registry = load(f"""{IMPORTS}
@hookimpl
def register_augmentations(register):
    @register
    def blur(*, radius: Annotated[int, Int(1, 9)] = 3):
        "Blur."
""")
    assert registry.get("augmentation", "blur").space.defaults() == {"radius": 3}


def test_one_name_for_two_kinds_is_no_clash():
    registry = load(
        hook("def thing(input_shape, num_classes): ''", "architecture"),
        hook("def thing(): ''", "augmentation"),
    )
    assert registry.problems == []
    assert [entry.kind for entry in registry.find("thing")] == ["architecture", "augmentation"]


@pytest.mark.parametrize(
    ("kind", "name", "near"), [("architecture", "convnet", "conv_net"), ("dataset", "MNIST", "mnist")]
)
def test_an_unknown_name_is_answered_with_the_likely_one(kind, name, near):
    with pytest.raises(PluginError, match=rf"There is no {kind} named '{name}'\. Did you mean '{near}'\?"):
        Registry.load([]).get(kind, name)


def test_a_name_like_no_other_is_answered_with_all_there_are():
    with pytest.raises(PluginError, match=r"named 'xyzzy'\. There is: cifar10, .*, mnist, notmnist\."):
        Registry.load([]).get("dataset", "xyzzy")
    with pytest.raises(PluginError, match=r"registered as 'affin'\. Did you mean 'affine'\?"):
        Registry.load([]).find("affin")
    with pytest.raises(PluginError, match=r"There is no dataset named 'mnist'\. There is none\."):
        Registry().get("dataset", "mnist")


def test_who_asks_for_something_of_a_broken_plugin_is_told_why_it_is_not_there():
    registry = load("raise RuntimeError('no GPU')", GOOD)
    for ask in (lambda: registry.get("dataset", "cubes"), lambda: registry.find("cubes")):
        with pytest.raises(PluginError, match=r"Left out: Plugin 'x' of zoo-x 1.0 could .* no GPU"):
            ask()


# Each breach of the contract, and what has to be in its one line.
BREACHES = {
    "misspelt hook": (
        f"{IMPORTS}@hookimpl\ndef register_architecture(register): ...",
        "there is no hook named 'register_architecture'. Did you mean 'register_architectures'?",
    ),
    "misspelt and unmarked hook": (
        "def register_model(register): ...",
        "registers nothing. There is no hook named 'register_model'.",
    ),
    "no hookimpl": (
        "def register_architectures(register): ...",
        "register_architectures lacks @zoo.hookimpl above it.",
    ),
    "one of two lacks hookimpl": (
        GOOD.replace("@hookimpl\n    def register_datasets", "def register_datasets"),
        "register_datasets lacks @zoo.hookimpl above it.",
    ),
    "nothing at all": ("", "registers nothing. Implement one of register_datasets, register_architectures,"),
    "a hook that takes something else": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(registry): ...",
        "expected the hook register_datasets(register), but it is register_datasets(registry).",
    ),
    "a hook that raises": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(register): raise KeyError('a\\nb')",
        r"register_datasets raised KeyError: 'a\nb'",
    ),
    "a hook that exits": (
        f"{IMPORTS}import sys\n@hookimpl\ndef register_datasets(register): sys.exit(3)",
        "register_datasets raised SystemExit: 3",
    ),
    "a hook that returns what it should register": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(register): return [len]",
        "register_datasets returned list and registered nothing; call register(function) for each",
    ),
    "a hook that yields": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(register): yield len",
        "register_datasets returned generator and registered nothing",
    ),
    "a class": (
        hook("class thing: ..."),
        "register_architectures registered the class thing, but a named function is expected",
    ),
    "a lambda": (hook("thing = lambda input_shape, num_classes: None"), "registered a lambda, but a named"),
    "a partial": (hook("import functools; thing = functools.partial(print)"), "a named function is expected"),
    "the same name twice": (
        hook("def thing(input_shape, num_classes): ...").replace("(thing)\n", "(thing); register(thing)\n"),
        "register_architectures registered 'thing' twice.",
    ),
    "a default outside its range": (
        hook("def thing(input_shape, num_classes, *, rate: Annotated[float, Float(0.0, 0.5)] = 0.9): ..."),
        "thing: parameter 'rate': its default is outside its own range: expected 0 … 0.5, but got 0.9.",
    ),
    "no annotation": (
        hook("def thing(input_shape, num_classes, *, rate=0.9): ..."),
        "thing: parameter 'rate': it has no annotation",
    ),
    "no default": (
        hook("def thing(input_shape, num_classes, *, rate: Annotated[float, Float(0.0, 0.5)]): ..."),
        "thing: parameter 'rate': it has no default",
    ),
    "other positional parameters": (
        hook("def thing(shape, classes): ..."),
        "expected the signature thing(input_shape, num_classes, *, …), but its positional parameters are "
        "(shape, classes).",
    ),
    "no star before the parameters": (
        hook("def thing(input_shape, num_classes, rate: Annotated[float, Float(0.0, 0.5)] = 0.1): ..."),
        "expected the signature thing(input_shape, num_classes, *, …)",
    ),
    "keywords without names": (hook("def thing(input_shape, num_classes, **rest): ..."), "takes '**rest'"),
    "a parameter called name": (
        hook("def thing(*, name: str): ...", "dataset"),
        "thing: a parameter cannot be called 'name', which in a study names the dataset; rename it.",
    ),
    "an import that raises": ("1 / 0", "could not be loaded: ZeroDivisionError: division by zero"),
    "an import that exits": ("import sys; sys.exit('bye')", "could not be loaded: SystemExit: bye"),
    "an import of what is not there": (
        "import nothing_of_that_name",
        "could not be loaded: ModuleNotFoundError: No module named 'nothing_of_that_name'",
    ),
    "a syntax error": ("def", "could not be loaded: SyntaxError: invalid syntax (zoo_x.py, line 1)"),
    "an error of many lines": (
        "raise ValueError('one\\n\\n  two')",
        "could not be loaded: ValueError: one two",
    ),
    "an error that says nothing": ("raise AssertionError", "could not be loaded: AssertionError"),
    "an error that cannot be told": (
        "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd",
        "could not be loaded: Odd: (its text cannot be had: RuntimeError)",
    ),
    "an exception that is no Exception": (
        "class Odd(BaseException): ...\nraise Odd('out')",
        "could not be loaded: Odd: out",
    ),
    "zoo's own error": (
        "from zoo.errors import PluginError\nraise PluginError('not today')",
        "could not be loaded: PluginError: not today",
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_of_contract_is_one_line_and_takes_no_other_plugin_down(breach):
    source, expected = BREACHES[breach]
    assert expected in problem_of(source)


def test_ctrl_c_while_a_plugin_loads_is_not_the_plugins_fault():
    with pytest.raises(KeyboardInterrupt):
        load("raise KeyboardInterrupt")


def test_a_hook_that_belongs_to_another_package_is_left_alone():
    module = module_of(GOOD)
    module.register_datasets.__module__ = "zoo_x.deeper"
    foreign = module_of("def register_augmentations(register): ...", "somebody_else")
    module.register_augmentations = foreign.register_augmentations
    registry = Registry()
    registry.add(Plugin("x", "zoo-x", "1.0"), lambda: module)
    assert registry.problems == []
    assert [entry.name for entry in registry.entries()] == ["squares", "little_net"]


def test_what_a_plugin_prints_stays_out_of_the_output(capsys):
    load("print('hello')\n" + textwrap.dedent(GOOD))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "hello\n"


def test_a_duplicate_name_is_refused_by_naming_both_and_other_names_still_work():
    registry = load(GOOD, hook("def squares(): ''", "dataset").replace("(thing)", "(squares)"))
    (problem,) = registry.problems
    assert problem == (
        "The dataset 'squares' is registered by plugin 'x' of zoo-x 1.0 and by plugin 'y' of zoo-y 1.0, so "
        "nobody can tell which is meant. Uninstall zoo-x or zoo-y, or ask its author to rename it."
    )
    with pytest.raises(PluginError) as refused:
        registry.get("dataset", "squares")
    assert str(refused.value) == problem
    with pytest.raises(PluginError, match=r"zoo-y 1\.0"):
        registry.find("squares")
    assert [entry.name for entry in registry.entries()] == ["little_net", "mirror"]
    assert registry.get("architecture", "little_net").origin == "zoo-x 1.0"


# From here on with distributions as pip installs them: a .dist-info folder on sys.path.


@pytest.fixture
def installed(install_plugin, monkeypatch):
    """Installs plugins for this process, and forgets their modules afterwards."""
    before = set(sys.modules)

    def install(distribution, version, source, **options):
        monkeypatch.syspath_prepend(install_plugin(distribution, version, source, **options))

    yield install
    for name in set(sys.modules) - before:
        if name.startswith("zoo_"):
            del sys.modules[name]


def test_installed_plugins_are_found_with_their_distribution_and_version(installed):
    installed("zoo-shapes", "2.1", GOOD)
    registry = Registry.load()
    assert registry.problems == []
    assert registry.get("dataset", "squares").origin == "zoo-shapes 2.1"
    plugin = registry.plugins[-1]
    assert (plugin.name, plugin.distribution, plugin.version) == ("shapes", "zoo-shapes", "2.1")
    assert registry.get("dataset", "mnist").distribution == "keras-zoo"


def test_a_name_that_a_built_in_has_is_refused_and_all_others_work(installed):
    installed("zoo-other", "3.0", hook("def mnist(): ''", "dataset").replace("(thing)", "(mnist)"))
    registry = Registry.load()
    with pytest.raises(PluginError) as refused:
        registry.get("dataset", "mnist")
    assert "plugin 'datasets' of keras-zoo" in str(refused.value)
    assert "plugin 'other' of zoo-other 3.0" in str(refused.value)
    assert "Uninstall zoo-other, or" in str(refused.value)
    assert registry.get("dataset", "digits").distribution == "keras-zoo"
    assert registry.problems == [str(refused.value)]


def test_one_broken_distribution_leaves_the_others(installed):
    installed("zoo-exits", "0.1", "raise SystemExit(1)")
    installed("zoo-gone", "0.2", "", entry_point="gone = zoo_not_there")
    installed("zoo-attribute", "0.3", "", entry_point="attribute = zoo_attribute:plugin")
    installed("zoo-shapes", "2.1", GOOD)
    registry = Registry.load()
    assert registry.get("dataset", "squares").origin == "zoo-shapes 2.1"
    assert registry.get("dataset", "digits").distribution == "keras-zoo"
    for text in ("'exits' of zoo-exits 0.1", "'gone' of zoo-gone 0.2", "'attribute' of zoo-attribute 0.3"):
        assert (
            sum(problem.startswith(f"Plugin {text} could not be loaded: ") for problem in registry.problems)
            == 1
        )
    assert len(registry.problems) == 3


def test_an_entry_point_that_names_the_hook_instead_of_the_module(installed):
    installed("zoo-shapes", "2.1", GOOD, entry_point="shapes = zoo_shapes:register_datasets")
    (problem,) = Registry.load().problems
    assert problem == (
        "Plugin 'shapes' of zoo-shapes 2.1: its entry point names 'register_datasets'; "
        "let it name the module, 'zoo_shapes'."
    )


def test_two_plugins_of_one_distribution_that_register_the_same_name(installed):
    installed("zoo-twice", "1.0", GOOD, entry_point="one = zoo_twice\ntwo = zoo_twice")
    problem = Registry.load().problems[0]
    assert "plugin 'one' of zoo-twice 1.0 and by plugin 'two' of zoo-twice 1.0" in problem
    assert "Uninstall zoo-twice, or" in problem


@pytest.mark.parametrize("damage", [b"[zoo]\nno equals sign\n", b"[zoo]\nx = \xff\n"])
def test_damaged_metadata_of_one_distribution_hides_no_other(installed, tmp_path, damage):
    installed("zoo-damaged", "1.0", "")
    installed("zoo-shapes", "2.1", GOOD)
    (tmp_path / "site" / "zoo_damaged-1.0.dist-info" / "entry_points.txt").write_bytes(damage)
    registry = Registry.load()
    assert registry.get("dataset", "squares").origin == "zoo-shapes 2.1"
    (problem,) = registry.problems
    assert problem.startswith("Plugin 'entry_points.txt' of zoo-damaged 1.0 cannot be read: ")


def test_a_distribution_without_metadata_is_named_by_its_entry_point(installed, tmp_path):
    installed("zoo-bare", "1.0", GOOD)
    installed("zoo-fine", "1.0", hook("def thing(): ''", "augmentation"))
    (tmp_path / "site" / "zoo_bare-1.0.dist-info" / "METADATA").unlink()
    registry = Registry.load()
    assert registry.get("dataset", "squares").origin == "zoo_bare of unknown version"
    assert registry.get("augmentation", "thing").origin == "zoo-fine 1.0"


def test_an_entry_point_without_a_distribution():
    module = module_of(GOOD, "zoo_loose")
    sys.modules["zoo_loose"] = module
    try:
        registry = Registry.load([metadata.EntryPoint("loose", "zoo_loose", "zoo")])
    finally:
        del sys.modules["zoo_loose"]
    assert registry.get("dataset", "squares").origin == "zoo_loose of unknown version"
