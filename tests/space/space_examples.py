"""Suggesters and random spaces that the tests of zoo.space share.

Without `from __future__ import annotations`, as a plugin file would be: these annotations are
objects, those of test_signature.py are strings.
"""

import random
from typing import Annotated, Any

from hypothesis import strategies as st

from zoo.space import Choice, Float, Int, List, Parameter, Plain, Space


def conv_net(
    input_shape,
    num_classes,
    *,
    filters: Annotated[tuple, List(Int(8, 128, log=True), length=(1, 4))] = (32, 64),
    kernel_size: Annotated[tuple, List(Choice(3, 5), same_length_as="filters")] = (3, 3),
    pooling: Annotated[str, Choice("max", "average", "none")] = "max",
    pool_size: Annotated[int, Int(2, 4, when={"pooling": ("max", "average")})] = 2,
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.25,
) -> "nothing_that.can.be_imported":  # noqa: F821
    """Convolve and pool once for each item of `filters`, then classify."""


class Answers:
    """A suggester that answers from a dictionary, like a replayed trial, and collects the names."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = set()

    def _answer(self, name, *range_, **options):
        self.asked.add(name)
        return self.answers[name]

    suggest_int = suggest_float = suggest_categorical = _answer


class Random:
    """A suggester that draws like Optuna's random sampler: steps are counted in floats."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.asked = {}

    def suggest_int(self, name, low, high, *, step=1, log=False):
        return self._note(name, self.random.randrange(low, high + 1, step))

    def suggest_float(self, name, low, high, *, step=None, log=False):
        if step is None:
            return self._note(name, self.random.uniform(low, high))
        return self._note(name, min(low + step * self.random.randint(0, round((high - low) / step)), high))

    def suggest_categorical(self, name, choices):
        return self._note(name, self.random.choice(choices))

    def _note(self, name, value):
        assert name not in self.asked, f"asked twice for {name}"
        self.asked[name] = value
        return value


class Drawn(Random):
    """A suggester that hypothesis can shrink."""

    def __init__(self, draw):
        self.draw = draw
        self.asked = {}

    def suggest_int(self, name, low, high, *, step=1, log=False):
        return self._note(name, low + step * self.draw(st.integers(0, (high - low) // step)))

    def suggest_float(self, name, low, high, *, step=None, log=False):
        if step is None:
            return self._note(name, self.draw(st.floats(low + 0.0, high + 0.0)))
        return self._note(name, min(low + step * self.draw(st.integers(0, round((high - low) / step))), high))

    def suggest_categorical(self, name, choices):
        return self._note(name, self.draw(st.sampled_from(choices)))


@st.composite
def ints(draw):
    low, span = draw(st.integers(-20, 200)), draw(st.integers(0, 100))
    if low > 0 and draw(st.booleans()):
        return Int(low, low + span, log=True)
    return Int(low, low + span, step=draw(st.integers(1, 9)))


@st.composite
def floats(draw):
    """Floats with bounds and steps of at most three decimals, and floats of any size."""
    if draw(st.booleans()):
        low, high = sorted(draw(st.tuples(*[st.floats(-1e300, 1e300)] * 2)))
        return Float(low, high, log=low > 0 and draw(st.booleans()))
    low, span, step = draw(st.integers(-2000, 2000)), draw(st.integers(0, 3000)), draw(st.integers(1, 500))
    return Float(low / 1000, (low + span) / 1000, step=draw(st.sampled_from([None, step / 1000])))


scalars = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
)  # hypothesis's `unique` compares like Choice: True is 1
choices = st.lists(scalars, min_size=1, max_size=4, unique=True).map(lambda options: Choice(*options))
items = ints() | floats() | choices


@st.composite
def lists(draw):
    low = draw(st.integers(0, 2))
    return List(draw(items), (low, low + draw(st.integers(0, 2))))


@st.composite
def members(draw, domain):
    """A member of `domain`."""
    return domain.sample("x", Drawn(draw))


def _conditioned(domain, when):
    """Return `domain` with a condition."""
    if isinstance(domain, Choice):
        return Choice(*domain.options, when=when)
    parts = {name: getattr(domain, name) for name in domain.__dataclass_fields__}
    return type(domain)(**{**parts, "when": when})


@st.composite
def spaces(draw) -> Any:
    """Up to six parameters of every kind, with conditions and parallel lists among them."""
    parameters: dict[str, Parameter] = {}
    for number in range(draw(st.integers(0, 6))):
        name = f"p{number}"
        leaders = [one.name for one in parameters.values() if isinstance(one.domain, List)]
        if number and draw(st.integers(0, 9)) == 0:
            parameters[name] = Parameter(name, Plain((str, tuple)), draw(st.text(max_size=3)), searched=False)
            continue
        if leaders and draw(st.booleans()):
            domain = List(draw(items), same_length_as=draw(st.sampled_from(leaders)))
            default = domain.sample(name, Drawn(draw), len(parameters[domain.same_length_as].default))
        else:
            domain = draw(items | lists())
            default = draw(members(domain))
        parents = [one for one in parameters.values() if not isinstance(one.domain, Plain | List)]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            wanted = draw(st.lists(members(parent.domain), min_size=1, max_size=3))
            domain = _conditioned(domain, {parent.name: tuple(wanted)})
        parameters[name] = Parameter(name, domain, default, searched=draw(st.integers(0, 5)) > 0)
    return Space(list(parameters.values()))


@st.composite
def tables(draw, domain):
    """Tables that a study can give a parameter with this domain."""
    if isinstance(domain, List):
        table = draw(tables(domain.item)) if draw(st.booleans()) else {}
        if domain.length is None:
            return table or draw(tables(domain.item))
        length = sorted(draw(st.tuples(*[st.integers(*domain.length)] * 2)))
        length = draw(st.sampled_from([length, {"low": length[0]}, {"high": length[1]}, length[0]]))
        whole = {"choices": draw(st.lists(members(domain), min_size=1, max_size=3, unique_by=_text))}
        return draw(st.sampled_from([{**table, "length": length}, table or whole, whole]))
    chosen = {"choices": draw(st.lists(members(domain), min_size=1, max_size=3, unique_by=_text))}
    if isinstance(domain, Choice) or draw(st.booleans()):
        return chosen
    low, high = sorted([draw(members(domain)), draw(members(domain))])
    table = draw(st.sampled_from([{"low": low}, {"high": high}, {"low": low, "high": high}]))
    if domain.step is not None and not domain.log and draw(st.booleans()):
        table["step"] = domain.step * 2
    return table


def _text(value):
    """Return text that is equal where Choice compares equal: 0.0 is -0.0."""
    return repr([item + 0 if isinstance(item, float) else item for item in _as_list(value)])


def _as_list(value):
    return list(value) if isinstance(value, tuple) else [value]
