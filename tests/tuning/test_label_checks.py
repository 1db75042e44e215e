"""Problems of a study that only the labels of its dataset show."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.data import Dataset, Split
from zoo.data.quality import OBJECTIVE, WEIGHTS, imbalance_warning
from zoo.data.store import save_dataset
from zoo.errors import StudyError
from zoo.registry import Registry
from zoo.study import parse_study
from zoo.tuning.label_checks import check_labels, warning_for_study

PLAIN = 'dataset = "digits"\narchitecture = "conv_net"\n'


@pytest.fixture
def check(tmp_path):
    """check(study, [0, 0, 1, 1]) checks a study on data with these training labels."""

    def split(labels):
        labels = np.asarray(labels, "int64")
        return Split(np.zeros((len(labels), 8, 8, 1), "uint8"), labels)

    def check(text, train, validation=None, class_names=("cat", "dog", "owl")):
        own = None if validation is None else split(validation)
        dataset = Dataset(split(train), class_names=class_names, validation=own, source="test")
        digest = save_dataset(tmp_path, dataset)
        check_labels(parse_study(PLAIN + text, Registry.load([]), "study"), tmp_path, digest)

    return check


def test_weight_of_an_unknown_class_is_an_error(check):
    study = "[training]\nclass_weight = {cats = 2.0}"
    with pytest.raises(
        StudyError, match=r"^\[training\] class_weight: the dataset has no class 'cats'\. Did"
    ):
        check(study, [0, 1, 2] * 2)


def test_weight_of_a_class_without_images_is_an_error(check):
    with pytest.raises(StudyError, match="the training split has no image of class 'owl'"):
        check("[training]\nclass_weight = {owl = 2.0}", [0, 1] * 2)


def test_auc_without_validation_images_of_a_class_is_an_error(check):
    study = 'objective = "val_auc"'
    with pytest.raises(StudyError, match=r"^val_auc: the validation split has no image of class 'owl', so"):
        check(study, [0, 1, 2], validation=[0, 1])
    with pytest.raises(StudyError, match="the validation split has no image of class 'owl'"):
        check(study, [0, 1, 0, 1])
    with pytest.raises(StudyError, match="fold 1 has no image of class 'owl'"):
        check(f"{study}\n[validation]\nfolds = 2", [0, 1, 0, 1])
    check(study, [0, 1, 2], validation=[0, 1, 2])
    check(f"{study}\n[validation]\nfolds = 2", [0, 1, 2] * 2)


def test_top5_of_five_classes_is_an_error(check):
    names, study = tuple("abcdef"), '[validation]\nmetrics = ["val_top5_accuracy"]'
    with pytest.raises(StudyError, match="expected a dataset with at least 6 classes, got 5"):
        check(study, [0, 1] * 2, class_names=names[:5])
    check(study, [0, 1] * 2, class_names=names)


@pytest.mark.parametrize("value", ['"balanced"', "{cat = 2.0}", '{choices = ["none", "balanced"]}'])
def test_valid_weights_pass(check, value):
    check(f"[training]\nclass_weight = {value}", [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("study", "left"),
    [
        ("", [WEIGHTS, OBJECTIVE]),
        ('[training]\nclass_weight = "none"', [WEIGHTS, OBJECTIVE]),
        ('[training]\nclass_weight = "balanced"', [OBJECTIVE]),
        ("[training]\nclass_weight = {cat = 2.0}", [OBJECTIVE]),
    ],
)
@pytest.mark.parametrize("objective", ["val_accuracy", "val_macro_f1"])
def test_followed_advice_on_imbalance_is_left_out(study, left, objective):
    labels = np.array([0] * 18 + [1])
    dataset = Dataset(Split(np.zeros((19, 1, 1, 1), np.uint8), labels), class_names=("cat", "dog"))
    definition = parse_study(f'objective = "{objective}"\n{PLAIN}{study}', Registry.load([]), "study")
    warning = warning_for_study(definition, imbalance_warning(dataset))
    left = [advice for advice in left if advice != OBJECTIVE or objective == "val_accuracy"]
    assert [advice for advice in (WEIGHTS, OBJECTIVE) if advice in warning] == left
    assert bool(warning) == bool(left)
