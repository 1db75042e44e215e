"""Whether an augmentation policy keeps the contract: the checks, in their order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from zoo.process import spawn_worker
from zoo.testing import _children
from zoo.testing._failure import Skipped, counted, counted_of, told
from zoo.testing._kit import check_all, docstring, options_of, other_backends, signature
from zoo.testing._policies import SUITE, Policy, Portrait, applied, compiled
from zoo.testing._state import disturbance

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_CALLS = 6
_NEARLY = 1e-5  # weights of an interpolation that sum to 1.0000001 are no mistake
_PROBED = 1000  # images, a quarter of them held out


def check_augmentation(
    function: Callable[..., Any], *, checks: Sequence[str] | None = None, **options: Any
) -> None:
    """Make every check of an augmentation policy, or those named in `checks`; docs/testing.md tells them all.

    Args:
        input_shapes: list of `(height, width, channels)` of the images it is tried on; its space at the
            first, its defaults at each. 28×28×1 and 33×27×3 if not given; `input_shape` is for a single one.
        space: as a study's table: `{"fill": "black"}` pins, `{"shift": {"high": 0.1}}` narrows.
        points: list of parameters to try instead of corners and random points.
        samples: how many random points; 20. `seconds`: after which no more are tried, and no more models
            trained; 15. `seed`: 0.
        probe: a function that returns a `zoo.Dataset` on whose images the labels have to survive.

    Raises:
        CheckFailed: with every check that failed, what was expected, what came, at which parameters,
            and a line that reproduces it.
    """
    __tracebackhide__ = True
    check_all(Policy(function, given=options, **options_of(Policy, options)), checks)


SUITE.check()(signature)
SUITE.check("signature")(docstring)


@SUITE.check("signature")
def defaults(policy: Policy) -> str:
    """At its defaults it makes a list of Keras layers, which may be empty."""
    portrait = policy.portrait_at(policy.defaults)
    if portrait.impossible is not None:
        text = f"expected the defaults to be possible, but: {portrait.impossible}"
        raise policy.found(portrait.place, text, portrait.impossible)
    _sound(policy, portrait)
    return counted(len(policy.make(policy.defaults, policy.seed)), "layer")


@SUITE.check("defaults")
def search_space(policy: Policy) -> str:
    """At every corner and at random points it makes layers too, or raises InvalidParameters."""
    tried = 0
    for portrait in policy.points_tried():
        _sound(policy, portrait)
        tried += 1
    return counted_of(tried, len(policy.corners) + len(policy.sampled), "point")


@SUITE.check("defaults")
def applies(policy: Policy) -> None:
    """The layers take float images `(batch, height, width, channels)`, in training and outside of it."""
    for portrait in policy.everywhere():
        if portrait.unusable:
            raise policy.found(portrait.place, portrait.unusable, portrait.cause)


@SUITE.check("applies")
def shape(policy: Policy) -> None:
    """Images keep their shape in training."""
    for portrait in policy.everywhere():
        expected = policy.images(portrait.place.shape).shape
        if portrait.changed is not None and portrait.changed.shape != expected:
            came = portrait.changed.shape
            text = f"expected images of shape {expected} as they went in, but got {came}"
            raise policy.found(portrait.place, text)


@SUITE.check("applies")
def dtype(policy: Policy) -> None:
    """Images keep their type, float32, in training."""
    for portrait in policy.everywhere():
        if portrait.changed is not None and portrait.changed.dtype != "float32":
            text = f"expected float32 as it went in, but got {portrait.changed.dtype}"
            raise policy.found(portrait.place, text)


@SUITE.check("applies")
def value_range(policy: Policy) -> None:
    """Pixels stay in 0 to 1 in training."""
    for portrait in policy.everywhere():
        if portrait.changed is not None and portrait.changed.size:
            low, high = float(portrait.changed.min()), float(portrait.changed.max())
            if not (low >= -_NEARLY and high <= 1 + _NEARLY):  # NaN fails too
                text = f"expected values in 0 to 1, but they go from {low:.6g} to {high:.6g}"
                raise policy.found(portrait.place, text)


@SUITE.check("applies")
def inference(policy: Policy) -> None:
    """Outside training, images come out as they went in."""
    import numpy as np

    for portrait in policy.everywhere():
        images = policy.images(portrait.place.shape)
        if portrait.kept is not None and not np.array_equal(portrait.kept, images):
            text = "expected the images unchanged outside training (training=False), but they were changed"
            raise policy.found(portrait.place, text)


@SUITE.check("applies")
def repeatable(policy: Policy) -> None:
    """The same seed gives the same images."""
    import numpy as np

    first, second = (
        applied(policy.make(policy.defaults, policy.seed), policy.images(), training=True) for _ in range(2)
    )
    if not np.array_equal(first, second, equal_nan=True):
        raise policy.found(policy.place(), "expected the same images from the same seed, but they differ")


@SUITE.check("defaults")
def global_state(policy: Policy) -> None:
    """Making and applying the layers changes nothing that outlives it."""
    disturbed = disturbance([*policy.everywhere(), policy.portrait_again()])
    if disturbed is not None:
        portrait, what = disturbed
        raise policy.found(portrait.place, f"expected it to leave alone what others use, but {what}")


@SUITE.check("applies")
def serialisable(policy: Policy) -> str:
    """Each layer comes back from its configuration, through JSON, with the same configuration."""
    from keras import saving

    tried, places = 0, policy.usable_places()
    for place in policy.in_time(places):
        for layer in policy.make(place.parameters, policy.seed):
            name = type(layer).__name__
            try:
                config = json.loads(json.dumps(saving.serialize_keras_object(layer)))
                again = saving.deserialize_keras_object(config, custom_objects={name: type(layer)})
                other = json.loads(json.dumps(saving.serialize_keras_object(again)))
            except Exception as error:
                text = f"expected {name} to come back from its configuration, but that raised {told(error)}"
                raise policy.found(place, text, error) from error
            if config["config"] != other["config"]:
                text = (
                    f"expected {name} to come back as it was, but its configuration became {other['config']}"
                )
                raise policy.found(place, text)
        tried += 1
    return counted_of(tried, len(places), "point")


@SUITE.check("shape", "dtype", "value_range")
def training_step(policy: Policy) -> str:
    """In front of a network, compiled as in a trial, the layers let it train."""
    import keras
    import numpy as np

    from zoo.training.model import assemble, check_shape

    labels = np.arange(len(policy.images())) % 2
    tried, places = 0, policy.usable_places(all_sizes=True)
    for place in policy.in_time(places):
        layers = policy.make(place.parameters, policy.seed)
        try:
            check_shape(layers, place.shape)
            head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, activation="softmax")]
            network = keras.Sequential([keras.Input(place.shape), *head])
            model, _ = assemble(network, layers, place.shape)
            model.compile("sgd", "sparse_categorical_crossentropy")
            history = model.fit(policy.images(place.shape) * 255, labels, verbose=0).history
            loss = history["loss"][0]
        except Exception as error:
            text = f"expected to train one step with the layers in front, but that raised {told(error)}"
            raise policy.found(place, text, error) from error
        if not np.isfinite(loss):
            raise policy.found(place, f"expected a finite loss, but it is {loss}")
        tried += 1
    return counted_of(tried, len(places), "model")


@SUITE.check("training_step")
def random(policy: Policy) -> str:
    """In training, at the defaults, every call gives other images, compiled too; unless there are no layers.

    NumPy draws its random numbers while a function is compiled, and never again.
    """
    import numpy as np

    layers = policy.make(policy.defaults, policy.seed)
    if not layers:
        return "no layers, nothing to vary"

    def eager(images: Array) -> Array:
        return applied(layers, images, training=True)

    in_model = compiled(policy.make(policy.defaults, policy.seed), policy.shape)
    for apply, how in ((eager, ""), (in_model, " once compiled; draw with keras.random and a SeedGenerator")):
        first = apply(policy.images())
        # Several, since a policy that flips a coin may well repeat itself once.
        if all(np.array_equal(first, apply(policy.images())) for _ in range(_CALLS - 1)):
            text = f"expected other images at each call in training, but {_CALLS} calls gave the same{how}"
            raise policy.found(policy.place(), text)
    return ""


@SUITE.check("training_step", "repeatable")
def independent(policy: Policy) -> None:
    """What comes of an image depends on no other image of its batch, compiled too: labels are not mixed."""
    import numpy as np

    images = policy.images()
    others = images.copy()
    others[0] = 1 - others[0]

    def eager(images: Array, seed: int) -> Array:
        return applied(policy.make(policy.defaults, seed), images, training=True)

    def in_model(images: Array, seed: int) -> Array:
        return compiled(policy.make(policy.defaults, seed), policy.shape)(images)

    # Several seeds, since whoever shuffles a batch may well leave the first image in its place.
    for apply, seeds, how in ((eager, _CALLS, ""), (in_model, 1, " once compiled")):
        for seed in range(policy.seed, policy.seed + seeds):
            one, other = apply(images, seed)[1:], apply(others, seed)[1:]
            if not np.allclose(one, other, rtol=0, atol=_NEARLY):
                text = (
                    "expected every image to be changed by itself, since each has a label of its own, but "
                    f"another first image in the batch changes the others{how}"
                )
                raise policy.found(policy.place(), text)


@SUITE.check("shape", "dtype", "value_range")
def labels(policy: Policy) -> str:
    """Only with `probe`: what a classifier told apart before, it can still tell apart afterwards.

    The probe is a forest (Breiman 2001) that learns from some of the images, as they are and changed; on
    others that are changed, it has to be better than guessing by half as much as on those that are not.
    """
    if policy.probe is None:
        raise Skipped("no probe was given, such as probe=digits")
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    dataset = policy.probe()
    random_numbers = np.random.default_rng(policy.seed)
    chosen = random_numbers.permutation(len(dataset.train))[:_PROBED]
    images = np.asarray(dataset.train.images)[chosen].astype("float32") / 255
    truth = np.asarray(dataset.train.labels)[chosen]
    layers = policy.make(policy.defaults, policy.seed)

    def rows(augment: bool, part: slice) -> Array:
        taken = applied(layers, images[part], training=True) if augment else images[part]
        return taken.reshape(len(taken), -1)

    seen, held = slice(len(images) // 4, None), slice(len(images) // 4)
    forest = RandomForestClassifier(100, random_state=policy.seed)
    forest.fit(
        np.concatenate([rows(augment, seen) for augment in (False, True, True)]), np.tile(truth[seen], 3)
    )
    before, after = (float(forest.score(rows(augment, held), truth[held])) for augment in (False, True))
    guessing = float(np.bincount(truth[held]).max() / len(truth[held]))
    if before < guessing + 0.2:
        raise Skipped(f"the probe cannot tell the classes apart: {before:.0%}, guessing {guessing:.0%}")
    if after < guessing + (before - guessing) / 2:
        text = (
            f"expected the labels to survive, but a probe that is right on {before:.0%} of the images "
            f"is right on {after:.0%} of the changed ones (guessing: {guessing:.0%})"
        )
        raise policy.found(policy.place(), text)
    return f"a probe is right on {before:.0%} of the images, on {after:.0%} of the changed ones"


@SUITE.check("training_step", "value_range", "inference", "random", "repeatable")
def backends(policy: Policy) -> str:
    """Under TensorFlow and under JAX, as far as installed, it passes these checks."""
    import keras

    here = keras.backend.backend()
    others = other_backends(here)
    if not others:
        raise Skipped(f"only {here} is installed")
    origin = policy.found_elsewhere()
    for backend in others:
        options = {
            name: value for name, value in policy.given.items() if name not in ("probe", "input_shape")
        }
        options |= {"points": [], "input_shapes": [policy.shape]}
        names = SUITE.checks["backends"].needs
        child = spawn_worker(_children.under_backend, (backend, origin, SUITE.kind, options, names, None))
        results, error = _children.answer_of(child, f"under {backend}")
        if error is not None:
            raise policy.found(policy.place(), f"expected the same under {backend}, but {error}")
        for _, state, text in results:
            if state != "passed":
                text = f"expected the same under {backend}, but there {text.splitlines()[0]}"
                raise policy.found(policy.place(), text)
    return f"{here} and {', '.join(others)}"


def _sound(policy: Policy, portrait: Portrait) -> None:
    if portrait.broken:
        raise policy.found(portrait.place, portrait.broken, portrait.cause)
