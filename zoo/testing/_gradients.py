"""Training steps of a network under test, and the weights that its gradients reach."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.testing._network import Network
from zoo.testing._searched import BATCH_SIZE, Array, SamplePoint
from zoo.training.model import predict

LEARNING_RATE = 0.05
_STEPS = 3  # a weight behind one that starts at zero gets its gradient after the first step
_SEEDS = 3  # a few ReLUs may all be off by chance


def labels_for(net: Network) -> Array:
    return np.arange(BATCH_SIZE) % int(net.options.num_classes)


def loss(network: Any, images: Array, labels: Array) -> float:

    true_class = predict(network, images).astype("float64")[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true_class, 1e-300, 1)).mean())


def check_gradients(net: Network, point: SamplePoint) -> None:
    """Raise Violation if a trainable weight never gets a gradient."""
    missing: dict[int, str] = {}
    for attempt in range(_SEEDS):
        network = net.build(point, net.options.seed + attempt)
        unreached = _unreached(net, network, point)
        missing = {number: path for number, path in unreached.items() if number in missing or not attempt}
        if not missing:
            return
    names = ", ".join(f"'{path}'" for path in list(missing.values())[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    text = f"expected a gradient for every trainable weight, but none reaches {names}{more}"
    raise net.violation(point, text)


def _unreached(net: Network, network: Any, point: SamplePoint) -> dict[int, str]:
    """Return number -> path of each trainable weight whose gradient is zero in every step."""
    import keras

    unreached = {number: weight.path for number, weight in enumerate(network.trainable_weights)}

    class WatchingOptimizer(keras.optimizers.SGD):  # type: ignore[misc]
        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            for number, gradient in enumerate(grads):
                if gradient is not None and np.any(keras.ops.convert_to_numpy(gradient) != 0):
                    unreached.pop(number, None)
            if any(gradient is not None for gradient in grads):
                super().apply(grads, trainable_variables)

    optimizer = WatchingOptimizer(LEARNING_RATE)
    network.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    with net.no_exception(point, "to train it"):
        for _ in range(_STEPS):
            if unreached:
                network.train_on_batch(net.images(point.shape), labels_for(net))
    return unreached
