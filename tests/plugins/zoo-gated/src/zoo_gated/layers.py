"""The layer of `gated`, in a module of its own since it imports Keras."""

import os
import time
from pathlib import Path

import keras


@keras.saving.register_keras_serializable(package="zoo-gated")
class Gate(keras.layers.Layer):
    """Passes its inputs on; training waits before an epoch that the gate file does not allow."""

    supports_jit = False  # XLA cannot call Python

    def call(self, inputs, training=False):
        if "GATE_FILE" not in os.environ:
            return inputs
        import tensorflow as tf

        wait = tf.numpy_function(_before_batch, [bool(training)], tf.bool)
        with tf.control_dependencies([wait]):
            return tf.identity(inputs)


class _Epochs:
    """The epochs that this process has trained. An epoch ends with its validation."""

    finished = 0
    is_training = False


def _before_batch(training):
    if training and not _Epochs.is_training:
        if _Epochs.finished >= _num_allowed():
            Path(f"{os.environ['GATE_FILE']}-{os.getpid()}").touch()  # zoo has handled the epoch before
        while _Epochs.finished >= _num_allowed():
            time.sleep(0.01)
    if _Epochs.is_training and not training:
        _Epochs.finished += 1
    _Epochs.is_training = bool(training)
    return training


def _num_allowed():
    """Return how many epochs a process may train: the number in the gate file; without a file, any number."""
    try:
        return int(Path(os.environ["GATE_FILE"]).read_text())
    except FileNotFoundError:
        return float("inf")
