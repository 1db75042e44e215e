"""The formats of `zoo export`: the conversion to each format, and the runtime of the result.

Every function here runs in a worker process. An exported model runs in its own process, which loads nothing
of the original model.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.errors import ModelError, one_line
from zoo.training import backend
from zoo.training.model import predict
from zoo.training.saved import load_file

if TYPE_CHECKING:
    import keras
    import onnx

_BATCH_SIZE = 32

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Format:
    """A format of exported models.

    Args:
        convert: `convert(model, model_path, target, details, calibration)` writes the model.
        run: `run(path, images)` returns the class probabilities of float32 images, in the format's runtime.
        suffix: the suffix of the file's name; "" for a folder.
        batch_size: the only batch size that the exported model takes; None for any.
        extra: the extra of zoo's distribution that installs `modules`.
        is_quantized: weights and activations are integers, in ranges that training images determine.
    """

    convert: Callable[[keras.Model, Path, Path, Mapping[str, Any], Array | None], None]
    run: Callable[[Path, Array], Array]
    suffix: str
    batch_size: int | None = None
    extra: str = ""
    modules: tuple[str, ...] = ()
    is_quantized: bool = False


def convert(
    name: str,
    model_path: Path,
    target: Path,
    details: Mapping[str, Any],
    images: Array,
    calibration: Array | None,
) -> Array:
    """Write the model in the format `name`, and return the original's probabilities for `images`."""
    import keras

    if keras.backend.backend() != "tensorflow" and name != "keras":
        raise ModelError(
            "only the Keras backend tensorflow converts models, got "
            f"{keras.backend.backend()}; set KERAS_BACKEND=tensorflow"
        )
    model = load_file(model_path)
    try:
        FORMATS[name].convert(model, model_path, target, details, calibration)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"the converter failed: {_reason(error, target)}") from error
    return predict(model, images.astype(np.float32))


def run(name: str, path: Path, images: Array) -> Array:
    """Return the probabilities for `images` of the model that was exported in the format `name`."""
    try:
        return np.asarray(FORMATS[name].run(path, images.astype(np.float32)), np.float32)
    except Exception as error:
        raise ModelError(f"the exported model does not run: {_reason(error, path)}") from error


def _reason(error: Exception, path: Path) -> str:
    """Return the type and the first 300 characters of an error, in one line, without the folder of `path`.

    For LiteRT's converter, return only the unsupported operations.
    """
    text = one_line(error).replace(str(path), path.name)
    operations = re.findall(r"(?:Flex|Custom) ops: (.*?) Details", text)
    if operations:
        return f"LiteRT does not support {', '.join(operations).replace('Flex', '')}"
    return f"{type(error).__name__}: {text[:300]}{' …' if len(text) > 300 else ''}"


def _export(model: keras.Model, target: Path, format: str, batch_size: int | None, **options: Any) -> None:
    """Export a model with Keras, in inference mode and with float32 images as input."""
    import keras

    images = keras.Input(model.input_shape[1:], batch_size, "float32", name="image")
    # Keras 3.15 exports a network inside a network, such as a pretrained base, in training mode (with dropout
    # and batch statistics) unless `training=False` is given.
    inference = keras.Model(images, model(images, training=False))
    signature = [keras.InputSpec(shape=images.shape, dtype="float32", name="image")]
    inference.export(target, format=format, input_signature=signature, verbose=False, **options)


def _to_keras(
    model: keras.Model, model_path: Path, target: Path, _: Mapping[str, Any], __: Array | None
) -> None:
    shutil.copyfile(model_path, target)


def _run_keras(path: Path, images: Array) -> Array:
    return predict(load_file(path), images)


def _to_saved_model(
    model: keras.Model, _: Path, target: Path, details: Mapping[str, Any], __: Array | None
) -> None:
    _export(model, target, "tf_saved_model", None)
    extra = target / "assets.extra"  # a folder that TensorFlow reserves for other programs
    extra.mkdir()
    (extra / "zoo.json").write_text(json.dumps(details, indent=1, ensure_ascii=False), encoding="utf-8")


def _run_saved_model(path: Path, images: Array) -> Array:
    import keras

    layer = keras.layers.TFSMLayer(str(path), call_endpoint="serve")
    return _in_batches(lambda batch: keras.ops.convert_to_numpy(layer(batch)), images)


def _to_onnx(model: keras.Model, _: Path, target: Path, details: Mapping[str, Any], __: Array | None) -> None:
    import onnx

    _export(model, target, "onnx", None)
    exported = onnx.load(target)
    _replace_erfc(exported.graph)
    # tf2onnx copies an operation of TensorFlow that it cannot convert.
    known = {one.name for one in onnx.defs.get_all_schemas()}
    if unknown := sorted({node.op_type for node in exported.graph.node if not node.domain} - known):
        raise ModelError(f"it uses {', '.join(unknown)}, which ONNX does not have; use --format saved_model")
    properties = {"class_names": details["class_names"] or [], "zoo": details}
    onnx.helper.set_model_props(
        exported, {key: json.dumps(value, ensure_ascii=False) for key, value in properties.items()}
    )
    onnx.save(exported, target)


def _replace_erfc(graph: onnx.GraphProto) -> None:
    """Replace Erfc(x), which TensorFlow uses for `gelu` and ONNX does not have, by 1 - Erf(x)."""
    import onnx

    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        graph.node.append(node)
        if node.op_type == "Erfc":
            erf, one, output = f"{node.name}/erf", f"{node.name}/one", node.output[0]
            graph.node[-1].op_type, graph.node[-1].output[0] = "Erf", erf
            graph.initializer.append(onnx.helper.make_tensor(one, onnx.TensorProto.FLOAT, (), [1.0]))
            graph.node.append(onnx.helper.make_node("Sub", [one, erf], [output], name=f"{node.name}/sub"))


def _run_onnx(path: Path, images: Array) -> Array:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return _in_batches(lambda batch: session.run(None, {name: batch})[0], images)


def _to_litert(
    model: keras.Model, _: Path, target: Path, details: Mapping[str, Any], calibration: Array | None
) -> None:
    _export(model, target, "litert", 1, **backend.litert_options(calibration))
    # An "associated file" of TensorFlow Lite: a zip archive after the model, which interpreters do not read.
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("labels.txt", "\n".join(details["class_names"] or []))
        archive.writestr("zoo.json", json.dumps(details, indent=1, ensure_ascii=False))


def _run_litert(path: Path, images: Array) -> Array:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path)).get_signature_runner()
    (name,) = runner.get_input_details()
    answers = [runner(**{name: image[None]}) for image in images]
    return np.concatenate([next(iter(answer.values())) for answer in answers])


def _in_batches(function: Callable[[Array], Array], images: Array) -> Array:
    starts = range(0, len(images), _BATCH_SIZE)
    return np.concatenate([function(images[start : start + _BATCH_SIZE]) for start in starts])


FORMATS = {
    "keras": Format(_to_keras, _run_keras, ".keras"),
    "saved_model": Format(_to_saved_model, _run_saved_model, ""),
    "onnx": Format(_to_onnx, _run_onnx, ".onnx", extra="onnx", modules=("tf2onnx", "onnx", "onnxruntime")),
    "tflite": Format(_to_litert, _run_litert, ".tflite", 1, "litert", ("ai_edge_litert",)),
    "litert-int8": Format(
        _to_litert, _run_litert, ".tflite", 1, "litert", ("ai_edge_litert",), is_quantized=True
    ),
}
