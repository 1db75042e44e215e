"""The cache of prepared datasets: a digest of all content, whole or absent folders, parallel processes."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from cache_helpers import die, dying_at_line, in_a_fork, labelled, leftovers, same, small_dataset

from zoo.data import Dataset, Split, store
from zoo.data.reporting import report_to
from zoo.data.store import digest_of, image_names, open_dataset, save_dataset
from zoo.data.validation import cut_validation
from zoo.errors import DataError

# The digest


def test_changed_byte_changes_the_digest():
    dataset = small_dataset()
    seen = {digest_of(dataset)}
    changes = 0
    for name in ("train", "test"):
        for part in ("images", "labels"):
            original = getattr(getattr(dataset, name), part)
            raw = np.ascontiguousarray(original).view(np.uint8).reshape(-1)
            for position in range(raw.size):
                flipped = raw.copy()
                flipped[position] ^= 1 << (position % 8)
                array = flipped.view(original.dtype).reshape(original.shape)
                split = replace(getattr(dataset, name), **{part: array})
                seen.add(digest_of(replace(dataset, **{name: split})))
                changes += 1
    assert changes == (6 + 3) * (6 + 8)
    assert len(seen) == changes + 1


def test_digest_covers_class_names_shapes_and_splits():
    dataset = small_dataset()
    wide = Split(dataset.train.images.reshape(6, 2, 3, 1), dataset.train.labels)
    fewer = Split(dataset.train.images[:3], dataset.train.labels[:3])
    others = [
        replace(dataset, class_names=("ant", "bee", "cow")),
        replace(dataset, class_names=("bee", "ant", "cat")),
        replace(dataset, class_names=("ant, bee", "", "cat")),
        replace(dataset, train=wide),
        replace(dataset, train=fewer),
        replace(dataset, test=None),
        replace(dataset, test=None, validation=dataset.test),
        replace(dataset, validation=dataset.test),
        replace(dataset, train=dataset.test, test=dataset.train),
    ]
    assert len({digest_of(one) for one in (dataset, *others)}) == len(others) + 1


def test_digest_does_not_depend_on_memory_layout(tmp_path):
    dataset = small_dataset()
    images = dataset.train.images
    every_second = np.repeat(images, 2, axis=0)[::2]
    np.save(tmp_path / "images.npy", images)
    for same_images in (
        np.asfortranarray(images),
        every_second,
        np.load(tmp_path / "images.npy", mmap_mode="r"),
    ):
        assert digest_of(replace(dataset, train=replace(dataset.train, images=same_images))) == digest_of(
            dataset
        )
    for kind in (np.uint8, np.int32, ">i8"):
        labels = dataset.train.labels.astype(kind)
        assert digest_of(replace(dataset, train=replace(dataset.train, labels=labels))) == digest_of(dataset)
    assert digest_of(replace(dataset, class_names=["ant", "bee", "cat"])) == digest_of(dataset)


# Saving and opening


def test_saved_dataset_is_opened_memory_mapped(tmp_path):
    dataset = small_dataset()
    digest = save_dataset(tmp_path / "deep" / "cache", dataset)
    opened = open_dataset(tmp_path / "deep" / "cache", digest)
    assert digest == digest_of(dataset) == digest_of(opened)
    assert same(opened, dataset)
    assert (opened.source, opened.warning, opened.validation) == ("made up", "not real", None)
    assert isinstance(opened.train.images, np.memmap)
    assert not opened.train.images.flags.writeable
    assert opened.train.labels.dtype == np.int64


def test_licence_is_kept(tmp_path):
    digest = save_dataset(tmp_path, replace(small_dataset(), licence="CC0"))
    assert open_dataset(tmp_path, digest).licence == "CC0"
    path = tmp_path / digest / "dataset.json"
    facts = json.loads(path.read_text())
    del facts["licence"]  # as an older version of zoo wrote the file
    path.write_text(json.dumps(facts))
    assert open_dataset(tmp_path, digest).licence == ""


def test_changed_facts_of_a_cached_dataset_are_saved(tmp_path):
    save_dataset(tmp_path, small_dataset())
    digest = save_dataset(tmp_path, replace(small_dataset(), licence="CC0", warning="two images are equal"))
    opened = open_dataset(tmp_path, digest)
    assert (opened.source, opened.licence, opened.warning) == ("made up", "CC0", "two images are equal")


def test_saving_twice_writes_once(tmp_path):
    digest = save_dataset(tmp_path, small_dataset())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / digest).iterdir()}
    assert save_dataset(tmp_path, small_dataset()) == digest
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / digest).iterdir()} == before


def test_opening_a_missing_dataset_is_an_error(tmp_path):
    for cache in (tmp_path, tmp_path / "none"):
        with pytest.raises(
            DataError,
            match=r"prepared dataset 012345678901 is missing or damaged in .*\. Run the study again",
        ):
            open_dataset(cache, "0123456789012")


DAMAGES = {
    "a truncated array": lambda folder: truncate(folder / "train-images.npy"),
    "truncated labels": lambda folder: truncate(folder / "test-labels.npy"),
    "an array too long": lambda folder: (folder / "train-images.npy").open("ab").write(b"x"),
    "an array missing": lambda folder: (folder / "test-images.npy").unlink(),
    "facts missing": lambda folder: (folder / "dataset.json").unlink(),
    "truncated facts": lambda folder: truncate(folder / "dataset.json"),
    "facts empty": lambda folder: (folder / "dataset.json").write_text(""),
    "facts that are a list": lambda folder: (folder / "dataset.json").write_text("[1]"),
    "facts without names": lambda folder: (folder / "dataset.json").write_text('{"bytes": 3}'),
    "facts that are not UTF-8": lambda folder: (folder / "dataset.json").write_bytes(b"\xff"),
}


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_dataset_is_written_again(tmp_path, damage):
    dataset = small_dataset()
    digest = save_dataset(tmp_path, dataset)
    DAMAGES[damage](tmp_path / digest)
    with pytest.raises(DataError):
        open_dataset(tmp_path, digest)
    assert save_dataset(tmp_path, dataset) == digest
    assert same(open_dataset(tmp_path, digest), dataset)
    assert leftovers(tmp_path) == []


# Processes that die


@pytest.fixture
def fast_disk(monkeypatch):
    """A killed process loses nothing it wrote, flushed or not; only a machine that goes down does."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


real_write = store._write_array


def half_written(path, array, dtype):
    real_write(path, array, dtype)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    die()


def test_size_of_blocks_does_not_change_the_files(tmp_path, monkeypatch):
    dataset = small_dataset(7)
    whole = tmp_path / "whole" / save_dataset(tmp_path / "whole", dataset)
    monkeypatch.setattr(store, "BLOCK_SIZE", 13)
    transposed = np.asfortranarray(dataset.train.images)
    other = replace(dataset, train=Split(transposed, dataset.train.labels.astype("int16")))
    blocks = tmp_path / "blocks" / save_dataset(tmp_path / "blocks", other)
    assert whole.name == blocks.name
    for file in ("train-images.npy", "train-labels.npy", "test-images.npy"):
        assert (whole / file).read_bytes() == (blocks / file).read_bytes()
    np.save(tmp_path / "numpy.npy", dataset.train.images)
    assert (tmp_path / "numpy.npy").read_bytes() == (blocks / "train-images.npy").read_bytes()


@pytest.mark.faults
def test_killed_at_any_line_leaves_whole_or_nothing(tmp_path, fast_disk):
    dataset = small_dataset()
    digest = digest_of(dataset)
    killed = 0
    for number in range(1, 10_000):
        cache = tmp_path / str(number)
        status = in_a_fork(dying_at_line(number, lambda cache=cache: save_dataset(cache, dataset)))
        if status == 0:
            break
        killed += 1
        assert status == -signal.SIGKILL
        check_whole_or_absent(cache, digest, dataset)
    assert killed > 30


def check_whole_or_absent(cache, digest, dataset):
    try:
        assert same(open_dataset(cache, digest), dataset)
    except DataError:
        assert save_dataset(cache, dataset) == digest
        assert leftovers(cache) == []
    assert same(open_dataset(cache, digest), dataset)


def test_killed_within_a_file_leaves_whole_or_nothing(tmp_path, monkeypatch):
    dataset = small_dataset()
    with monkeypatch.context() as patch:
        patch.setattr(store, "_write_array", half_written)
        assert in_a_fork(lambda: save_dataset(tmp_path, dataset)) == -signal.SIGKILL
    assert len(leftovers(tmp_path)) == 1
    check_whole_or_absent(tmp_path, digest_of(dataset), dataset)
    assert leftovers(tmp_path) == []


@pytest.mark.faults
def test_killed_at_any_moment_leaves_whole_or_nothing(tmp_path, seed):
    """As above, but in the middle of a write too: the kernel ends the process at a random time."""
    chance = random.Random(seed)
    dataset = labelled(np.arange(200_000) % 10)
    digest = digest_of(dataset)
    began = time.perf_counter()
    save_dataset(tmp_path / "whole", dataset)
    seconds = time.perf_counter() - began

    def ended_by_alarm():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, delay)
        save_dataset(cache, dataset)

    for number in range(10):
        cache = tmp_path / str(number)
        delay = chance.uniform(0.001, seconds)
        assert in_a_fork(ended_by_alarm) in (-signal.SIGALRM, 0)
        check_whole_or_absent(cache, digest, dataset)


@pytest.mark.faults
def test_killed_while_replacing_a_damaged_dataset(tmp_path, fast_disk):
    dataset = small_dataset()
    for number in range(1, 10_000):
        cache = tmp_path / str(number)
        digest = save_dataset(cache, dataset)
        truncate(cache / digest / "train-images.npy")
        status = in_a_fork(dying_at_line(number, lambda cache=cache: save_dataset(cache, dataset)))
        check_whole_or_absent(cache, digest, dataset)
        if status == 0:
            break


# Processes at once


def save_at_once(barrier, cache, dataset, results):
    barrier.wait(240)
    digest = save_dataset(cache, dataset)
    cut_validation(cache, digest, dataset, {"fraction": 0.4, "seed": 0})
    results.put(same(open_dataset(cache, digest), dataset))


@pytest.mark.parametrize("damaged", [False, True])
def test_processes_can_save_the_same_dataset_at_once(tmp_path, damaged):
    dataset = small_dataset(images=60)
    digest = digest_of(dataset)
    if damaged:
        save_dataset(tmp_path, dataset)
        truncate(tmp_path / digest / "train-images.npy")
    fork = multiprocessing.get_context("fork")
    barrier, results = fork.Barrier(4), fork.Queue()
    processes = [
        fork.Process(target=save_at_once, args=(barrier, tmp_path, dataset, results)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    assert [results.get(timeout=240) for _ in processes] == [True] * 4
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0] * 4
    assert leftovers(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} - {"lock"} == {digest}


def test_dataset_json_has_names_and_sizes(tmp_path):
    digest = save_dataset(tmp_path, small_dataset())
    facts = json.loads((tmp_path / digest / "dataset.json").read_text(encoding="utf-8"))
    assert facts["class_names"] == ["ant", "bee", "cat"]
    assert set(facts["bytes"]) == {path.name for path in (tmp_path / digest).glob("*.npy")}


def test_dataset_without_recorded_names_has_none(tmp_path):
    digest = save_dataset(tmp_path, small_dataset())
    facts = json.loads((tmp_path / digest / "dataset.json").read_text())
    del facts["columns"]
    (tmp_path / digest / "dataset.json").write_text(json.dumps(facts))
    assert image_names(tmp_path, digest, "train") == []


def test_names_of_images_are_kept_and_replaced(tmp_path):
    """They are not part of the digest: a renamed file is the same image."""
    images, labels = np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1])
    digests = set()
    for names in (None, ["a.png", "b.png"], ["c.png", "d.png"]):
        split = Split(images, labels, names=None if names is None else np.array(names, object))
        digests.add(digest := save_dataset(tmp_path, Dataset(split, class_names=("x", "y"))))
        assert image_names(tmp_path, digest, "train") == (names or [])
        assert image_names(tmp_path, digest, "test") == []
    assert len(digests) == 1


def test_full_disk_is_waited_for(tmp_path, monkeypatch):
    lines, pauses, write = [], [], store._write

    def full_twice(folder, dataset):
        write(folder, dataset)
        if len(pauses) < 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "_write", full_twice)
    monkeypatch.setattr("zoo.disk_space.time.sleep", pauses.append)
    with report_to(lambda what, fraction: lines.append(what)):
        digest = save_dataset(tmp_path, small_dataset())
    same(open_dataset(tmp_path, digest), small_dataset())
    (line,) = [line for line in lines if "full" in line]
    assert line.startswith(f"the disk is full: {tmp_path / digest} cannot be written (")
    assert " MB are needed)" in line
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [digest]
