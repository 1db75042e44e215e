"""Spaces from signatures. Annotations are strings here, objects in space_examples.py."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Optional

import pytest
from space_examples import conv_net

from zoo.errors import SpaceError
from zoo.space import REQUIRED, Choice, Float, Int, List, Parameter, Plain, Setting, read_space


def fit(
    model,
    /,
    data,
    *,
    epochs: Annotated[int, Setting(Int(1, 1000))] = 12,
    optimizer: Annotated[str, Choice("adam", "sgd")] = "adam",
    momentum: Annotated[
        float, "how much of the last step is kept", Float(0, 1, when={"optimizer": "sgd"})
    ] = 0,
    name: str | None = None,
    path: Optional[str],  # noqa: UP045
    sizes: list[int] = [1, 2],  # noqa: B006
) -> nothing_that.can.be_imported:  # noqa: F821
    """Its return type names a module that does not exist."""


def test_string_annotations_are_read():
    space = read_space(fit, positional=("model", "data"))
    assert list(space.values()) == [
        Parameter("epochs", Int(1, 1000), 12, searched=False),
        Parameter("optimizer", Choice("adam", "sgd"), "adam"),
        Parameter("momentum", Float(0, 1, when={"optimizer": "sgd"}), 0.0),
        Parameter("name", Plain((str, type(None))), None, searched=False),
        Parameter("path", Plain((str, type(None))), REQUIRED, searched=False),
        Parameter("sizes", Plain((list[int],)), (1, 2), searched=False),
    ]
    assert type(space["momentum"].default) is float


def test_object_annotations_are_read():
    assert conv_net.__annotations__["return"] == "nothing_that.can.be_imported"
    space = read_space(conv_net, positional=("input_shape", "num_classes"))
    assert space["filters"] == Parameter("filters", List(Int(8, 128, log=True), (1, 4)), (32, 64))
    assert space["kernel_size"].same_length_as == "filters"
    assert list(space) == ["filters", "kernel_size", "pooling", "pool_size", "dropout"]


def test_function_without_parameters_has_an_empty_space():
    def none(): ...

    assert len(read_space(none)) == 0


def test_wrapped_function_uses_the_names_of_its_own_module():
    elsewhere: dict = {}  # a module that imports neither Annotated nor Int
    exec("def wrapper(*args, **kwargs): ...", elsewhere)
    wrapped = functools.wraps(fit)(elsewhere["wrapper"])
    assert read_space(wrapped, positional=("model", "data")) == read_space(fit, positional=("model", "data"))


def test_every_plain_type_is_read():
    def plain(
        *, a: None = None, b: int = 1, c: float = 1, d: bool = True, e: tuple = (), f: int | str = "x"
    ): ...

    space = read_space(plain)
    assert space.defaults() == {"a": None, "b": 1, "c": 1.0, "d": True, "e": (), "f": "x"}
    assert not any(parameter.searched for parameter in space.values())


def refused(function, positional=()):
    with pytest.raises(SpaceError) as raised:
        read_space(function, positional=positional)
    return str(raised.value)


def test_other_positional_parameters_are_rejected():
    def net(shape, *, width: Annotated[int, Int(1, 2)] = 1): ...

    assert refused(net, ("input_shape", "num_classes")) == (
        "net: expected the signature net(input_shape, num_classes, *, …), "
        "but its positional parameters are (shape)."
    )


def test_missing_star_is_rejected():
    def affine(rotation: Annotated[float, Float(0, 0.1)] = 0.0): ...

    assert refused(affine) == (
        "affine: expected the signature affine(*, …), but its positional parameters are (rotation)."
    )


def test_variadic_parameters_are_rejected():
    def many(*numbers): ...
    def any_of(**options): ...

    assert refused(many) == "many takes '*numbers'; expected one named parameter for each value."
    assert refused(any_of) == "any_of takes '**options'; expected one named parameter for each value."


def test_other_objects_than_functions_are_rejected():
    assert refused(5) == "5: expected a function with a signature, but 5 is not a callable object."
    assert refused(type).startswith("type: expected a function with a signature, but no signature found")


def no_annotation(*, a=1): ...
def unknown_name(*, a: Annotated[int, Itn(1, 2)] = 1): ...  # noqa: F821
def bad_domain(*, a: Annotated[int, Int(2, 1)] = 1): ...
def two_domains(*, a: Annotated[int, Int(1, 2), Float(1, 2)] = 1): ...
def no_instance(*, a: Annotated[int, Int] = 1): ...
def other_type(*, a: dict[str, int] = {}): ...  # noqa: B006
def path_type(*, a: Path): ...
def plain_misfit(*, a: str = 3): ...
def item_misfit(*, a: list[int] = ["x"]): ...  # noqa: B006
def searched_and_required(*, a: Annotated[int, Int(1, 2)]): ...
def outside(*, a: Annotated[int, Int(1, 2)] = 3): ...
def lonely(*, a: Annotated[tuple, List(Int(1, 2), same_length_as="b")] = (1,)): ...


def leader_later(
    *,
    a: Annotated[tuple, List(Int(1, 2), same_length_as="b")] = (1,),
    b: Annotated[tuple, List(Int(1, 2), (1, 2))] = (1,),
): ...


def uneven(
    *,
    a: Annotated[tuple, List(Int(1, 2), (1, 2))] = (1,),
    b: Annotated[tuple, List(Int(1, 2), same_length_as="a")] = (1, 2),
): ...


def misnamed(
    *,
    widths: Annotated[tuple, List(Int(1, 2), (1, 2))] = (1,),
    b: Annotated[tuple, List(Int(1, 2), same_length_as="width")] = (1,),
): ...


def follows_a_number(
    *,
    a: Annotated[int, Int(1, 2)] = 1,
    b: Annotated[tuple, List(Int(1, 2), same_length_as="a")] = (1,),
): ...


def when_is_no_table(*, a: Annotated[int, Int(1, 2)] = 1, b: Annotated[int, Int(1, 2, when="a")] = 1): ...
def when_later(*, a: Annotated[int, Int(1, 2, when={"b": 1})] = 1, b: Annotated[int, Int(1, 2)] = 1): ...
def when_itself(*, a: Annotated[int, Int(1, 2, when={"a": 1})] = 1): ...
def when_empty(*, a: Annotated[int, Int(1, 2)] = 1, b: Annotated[int, Int(1, 2, when={"a": ()})] = 1): ...


def when_misspelt(
    *,
    optimizer: Annotated[str, Choice("adam", "sgd")] = "adam",
    momentum: Annotated[float, Float(0, 1, when={"optimiser": "sgd"})] = 0.0,
): ...


def when_never(
    *,
    optimizer: Annotated[str, Choice("adam", "sgd")] = "adam",
    momentum: Annotated[float, Setting(Float(0, 1, when={"optimizer": ("sgd", "sdg")}))] = 0.0,
): ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_annotation, "it has no annotation; write Annotated[float, Float(0.0, 1.0)], or a plain type."),
        (
            unknown_name,
            "its annotation 'Annotated[int, Itn(1, 2)]' cannot be evaluated (name 'Itn' is not defined); "
            "import its names at the top of the module.",
        ),
        (bad_domain, "Int needs low <= high, got low=2 and high=1."),
        (two_domains, "expected one domain, got 2; remove the others."),
        (
            no_instance,
            "its annotation is typing.Annotated[int, <class 'zoo.space._domains.Int'>]; "
            "expected Annotated[…] with Int, Float, Choice or List, "
            "or one of str, int, float, bool, list, tuple.",
        ),
        (
            other_type,
            "its annotation is dict[str, int]; expected Annotated[…] with Int, Float, Choice or List, "
            "or one of str, int, float, bool, list, tuple.",
        ),
        (
            path_type,
            f"its annotation is {Path!r}; expected Annotated[…] with Int, Float, Choice or List, "
            "or one of str, int, float, bool, list, tuple; write str for a path.",
        ),
        (item_misfit, 'its default does not fit its annotation: expected list[int], got ["x"].'),
        (plain_misfit, "its default does not fit its annotation: expected str, got 3."),
        (searched_and_required, "it has no default; every searched parameter needs one: 1 … 2."),
        (outside, "its default is outside its own range: expected 1 … 2, got 3. Did you mean 2?"),
        (
            lonely,
            "same_length_as names 'b', but there is no such parameter. None available.",
        ),
        (leader_later, "same_length_as names 'b', which comes after 'a'; move it before 'a'."),
        (uneven, "its default has 2 items, but the default of 'a' has 1."),
        (misnamed, "same_length_as names 'width', but there is no such parameter. Did you mean 'widths'?"),
        (follows_a_number, "same_length_as names 'a', which is not a List: 1 … 2."),
        (when_is_no_table, "when must be a dict such as {'optimizer': 'sgd'}, got \"a\"."),
        (when_later, "when names 'b', which comes after 'a'; move it before 'a'."),
        (when_itself, "when names the parameter itself; name an earlier one."),
        (when_empty, "when a = [] is never true; name at least one value."),
        (
            when_misspelt,
            "when names 'optimiser', but there is no such parameter. Did you mean 'optimizer'?",
        ),
        (
            when_never,
            'when optimizer = "sdg" is never true: expected "adam" | "sgd", got "sdg". Did you mean "sgd"?',
        ),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_invalid_signature_names_parameter_and_problem(function, message):
    parameter = refused(function).split("'")[1]
    assert refused(function) == f"{function.__name__}: parameter '{parameter}': {message}"
