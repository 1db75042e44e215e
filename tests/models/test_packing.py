"""Packing a model into one file, and unpacking it without trust."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import shutil
import stat
import zipfile
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import zoo
from zoo.data.store import open_dataset
from zoo.errors import ModelError, ZooError
from zoo.models import find_model, pack_model, packing, unpack_model
from zoo.record import run_in
from zoo.registry import kept_path, short_digest, using_plugins

TRIAL = "mlruns/zoo/example/trials/001"
MEMBERS = ["SHA256SUMS", "model.keras", "info.json", "README.md", "config.json"]


@pytest.fixture
def packed(in_study, tmp_path):
    """A pack of the best trial."""
    pack_model(find_model(TRIAL), tmp_path / "pack.zip")
    return tmp_path / "pack.zip"


@pytest.fixture
def rewritten(packed, tmp_path):
    """rewritten(change) -> a pack whose members {name: bytes} `change` has changed, with right checksums."""

    def write(change, compression=zipfile.ZIP_STORED, kind=stat.S_IFREG):
        with zipfile.ZipFile(packed) as archive:
            members = {name: archive.read(name) for name in archive.namelist()[1:]}
        change(members)
        sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items())
        with zipfile.ZipFile(tmp_path / "other.zip", "w", compression) as archive:
            for name, data in {"SHA256SUMS": sums.encode(), **members}.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (kind | 0o644) << 16
                archive.writestr(info, data, compression)
        return tmp_path / "other.zip"

    return write


class TestPack:
    def test_unpacked_folder_is_a_model(self, packed, tmp_path, monkeypatch):
        run = run_in(find_model(TRIAL).path.parent)
        images = np.asarray(open_dataset(run.cache_dir, run.config.digest).test.images[:5])
        expected = zoo.Classifier(TRIAL).predict(images)
        info = find_model(TRIAL).info
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        unpacked = unpack_model(packed, tmp_path / "elsewhere" / "digits")
        assert (unpacked.class_names, unpacked.digest) == (info.class_names, info.digest)
        assert zoo.Classifier("./digits").predict(images).equals(expected)

    def test_pack_has_all_that_is_known(self, packed, tmp_path):
        found = find_model(TRIAL)
        with zipfile.ZipFile(packed) as archive:
            assert archive.namelist() == MEMBERS
            assert json.loads(archive.read("info.json")) == found.info.as_json()
            assert json.loads(archive.read("config.json")) == found.run.config.as_json()
            assert archive.read("model.keras") == found.path.read_bytes()
            card = archive.read("README.md").decode()
        assert card.startswith("# example, trial 1\n\nA classifier of images into 10 classes: conv_net, ")
        assert f"- digest `{found.info.digest}`\n" in card
        assert "not scored" not in card  # a pack does not know
        assert "\n- `zoo predict FOLDER IMAGE…`, `zoo.Classifier('FOLDER')`\n" in card

    def test_study_definition_is_packed(self, in_study, tmp_path, monkeypatch):
        shutil.copytree(in_study / "mlruns" / "zoo", tmp_path / "mlruns" / "zoo")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mlruns" / "zoo" / "example" / "study.toml").write_text("dataset = 'digits'\n")
        assert pack_model(find_model(TRIAL), tmp_path / "x.zip") == [*MEMBERS, "study.toml"]
        unpack_model(tmp_path / "x.zip", tmp_path / "x")
        assert (tmp_path / "x" / "study.toml").read_text() == "dataset = 'digits'\n"

    @pytest.fixture
    def with_plugin_file(self, in_study, tmp_path, monkeypatch):
        """The best trial, as if its layers were in `my_net.py`; returns the model, and the copy in the "
        "record."""
        shutil.copytree(in_study / "mlruns" / "zoo", tmp_path / "mlruns" / "zoo")
        monkeypatch.chdir(tmp_path)
        digest = hashlib.sha256(b"x = 1\r\n").hexdigest()
        copy = kept_path(tmp_path / "mlruns" / "zoo" / "example", "my_net.py", short_digest(digest))
        copy.parent.mkdir(parents=True)
        copy.write_bytes(b"x = 1\r\n")
        found = find_model(TRIAL)
        return replace(found, info=replace(found.info, plugin_files={"my_net.py": digest})), copy

    def test_plugin_file_is_packed(self, with_plugin_file, tmp_path):
        found, _ = with_plugin_file
        assert pack_model(found, tmp_path / "x.zip") == [*MEMBERS, "my_net.py"]
        unpack_model(tmp_path / "x.zip", tmp_path / "x")
        assert (tmp_path / "x" / "my_net.py").read_bytes() == b"x = 1\r\n"
        shutil.rmtree(tmp_path / "mlruns")  # on another machine, the unpacked folder can be packed again
        pack_model(replace(find_model(tmp_path / "x"), info=found.info), tmp_path / "y.zip")
        with zipfile.ZipFile(tmp_path / "y.zip") as archive:
            assert archive.read("my_net.py") == b"x = 1\r\n"

    def test_missing_plugin_file_is_refused(self, with_plugin_file, tmp_path):
        found, copy = with_plugin_file
        copy.write_bytes(b"x = 2\n")
        with pytest.raises(
            ModelError, match=r"needs the plugin file my_net\.py .* add `--plugin my_net\.py`"
        ):
            pack_model(found, tmp_path / "x.zip")
        (tmp_path / "my_net.py").write_bytes(b"x = 1\r\n")
        with using_plugins([tmp_path / "my_net.py"]):
            assert pack_model(found, tmp_path / "x.zip") == [*MEMBERS, "my_net.py"]

    def test_registered_model_has_its_card_and_configuration(self, in_study, tmp_path, monkeypatch):
        found = find_model(TRIAL)
        shutil.copy(found.path, tmp_path / "copy.keras")  # as MLflow sends it
        sent = replace(found, path=tmp_path / "copy.keras", run=None, address="models:/example/3")
        version = SimpleNamespace(description="# the card")
        monkeypatch.setattr(packing, "find_registered", {"models:/example/3": version}.__getitem__)
        assert pack_model(sent, tmp_path / "x.zip") == MEMBERS
        with zipfile.ZipFile(tmp_path / "x.zip") as archive:
            assert archive.read("README.md") == b"# the card"
            assert json.loads(archive.read("config.json")) == found.run.config.as_json()

    def test_other_model_gets_no_configuration(self, in_study, tmp_path):
        found = find_model(TRIAL)
        shutil.copy(found.path, tmp_path / "other.keras")
        with zipfile.ZipFile(tmp_path / "other.keras", "a") as archive:
            archive.writestr("note", "another model of this trial")
        other = find_model(tmp_path / "other.keras")
        assert pack_model(other, tmp_path / "x.zip") == MEMBERS[:-1]

    def test_unwritable_file_is_an_error(self, in_study, tmp_path, monkeypatch):
        def full(path):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(packing, "atomic_path", full)
        with pytest.raises(ZooError, match=r"x\.zip cannot be written: No space left on device$"):
            pack_model(find_model(TRIAL), tmp_path / "x.zip")

    def test_damaged_model_is_not_packed(self, in_study, tmp_path):
        data = bytearray(find_model(TRIAL).path.read_bytes())
        with zipfile.ZipFile(find_model(TRIAL).path) as archive:
            config = archive.read("config.json")
        data[data.index(config) + config.index(b"conv")] ^= 1
        (tmp_path / "damaged.keras").write_bytes(data)
        with pytest.raises(ModelError, match=r"is damaged, so it is not packed: .*config\.json"):
            pack_model(replace(find_model(TRIAL), path=tmp_path / "damaged.keras"), tmp_path / "x.zip")
        assert not (tmp_path / "x.zip").exists()

    def test_same_model_gives_same_bytes(self, packed, tmp_path):
        pack_model(find_model(TRIAL), tmp_path / "second.zip")
        assert (tmp_path / "second.zip").read_bytes() == packed.read_bytes()

    def test_pack_of_an_unpacked_folder_loses_nothing(self, packed, tmp_path):
        unpack_model(packed, tmp_path / "first")
        pack_model(find_model(tmp_path / "first"), tmp_path / "again.zip")
        with zipfile.ZipFile(tmp_path / "again.zip") as archive:
            assert archive.read("model.keras") == (tmp_path / "first" / "model.keras").read_bytes()

    def test_existing_file_is_replaced_only_if_asked(self, packed):
        before = packed.read_bytes()
        packed.write_bytes(b"mine")
        with pytest.raises(
            ZooError, match=r"pack\.zip exists already\. Give another name, or add --overwrite"
        ):
            pack_model(find_model(TRIAL), packed)
        assert packed.read_bytes() == b"mine"
        pack_model(find_model(TRIAL), packed, overwrite=True)
        assert packed.read_bytes() == before

    def test_missing_folder_is_an_error(self, in_study, tmp_path):
        with pytest.raises(ZooError, match=r"^FILE .*/no/x\.zip: cannot be written \(No such file"):
            pack_model(find_model(TRIAL), tmp_path / "no" / "x.zip")


class TestUnpack:
    def test_existing_folder_is_never_changed(self, packed, tmp_path):
        (tmp_path / "mine").mkdir()
        with pytest.raises(ZooError, match=r"mine exists already\. Give another folder with --output"):
            unpack_model(packed, tmp_path / "mine")
        assert list((tmp_path / "mine").iterdir()) == []

    @pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + bytes(40)])
    def test_other_files_are_refused(self, tmp_path, content):
        (tmp_path / "x.zip").write_bytes(content)
        refuses(tmp_path / "x.zip", "is damaged or no pack, so nothing was unpacked: File is not a zip file")

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
    def test_folder_or_pipe_is_refused(self, tmp_path, make):
        make(tmp_path / "x.zip")
        refuses(tmp_path / "x.zip", r"x\.zip is not a file\. Expected a pack")

    def test_model_with_invalid_facts_is_refused(self, rewritten, tmp_path):
        shutil.copy(f"{TRIAL}/model.keras", tmp_path / "odd.keras")
        with zipfile.ZipFile(tmp_path / "odd.keras") as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(tmp_path / "odd.keras", "w") as archive:
            for name, content in {**members, "zoo.json": b'{"keras_version": "3", "modules": [1]}'}.items():
                archive.writestr(name, content)
        content = (tmp_path / "odd.keras").read_bytes()
        pack = rewritten(lambda members: members.update({"model.keras": content}))
        refuses(pack, r"nothing was unpacked: model\.keras is not .* saved: modules: expected dict")

    def test_missing_file_is_an_error(self, tmp_path):
        refuses(tmp_path / "x.zip", r"there is no file .*x\.zip\. Expected a pack")

    def test_damaged_pack_never_unpacks_other_content(self, packed, tmp_path, seed):
        """Flip a byte, or cut the file, at random places: the pack is refused, or its content is right."""
        unpack_model(packed, tmp_path / "right")
        right = {path.name: path.read_bytes() for path in (tmp_path / "right").iterdir()}
        data, choice = packed.read_bytes(), random.Random(seed)
        small = [*range(400), *range(len(data) - 6000, len(data))]  # headers, texts and the directory
        for number in range(150):
            broken = bytearray(data)
            position = choice.choice(small) if number % 2 else choice.randrange(len(data))
            if number % 5:
                broken[position] ^= choice.randrange(1, 256)
            else:
                del broken[position:]
            (tmp_path / "broken.zip").write_bytes(broken)
            target = tmp_path / f"out{number}"
            with suppress(ModelError):
                unpack_model(tmp_path / "broken.zip", target)
            if target.exists():
                assert {path.name: path.read_bytes() for path in target.iterdir()} == right
        assert not list(tmp_path.glob(".*"))

    def test_wrong_checksum_is_named(self, packed, tmp_path):
        with zipfile.ZipFile(packed) as source, zipfile.ZipFile(tmp_path / "x.zip", "w") as target:
            for name in source.namelist():
                target.writestr(name, b"# other" if name == "README.md" else source.read(name))
        refuses(tmp_path / "x.zip", r"the checksum of README\.md is wrong\. Get it again")

    @pytest.mark.parametrize(
        "name", ["../evil", "/tmp/evil", "a/b", "events.jsonl", "model.pkl", "..", "C:\\x"]
    )
    def test_members_of_other_names_are_refused(self, rewritten, name):
        refuses(
            rewritten(lambda members: members.update({name: b"x"})), r"it has the member '.*', which no pack"
        )

    def test_compressed_members_are_refused(self, rewritten):
        bomb = rewritten(lambda members: members.update({"README.md": bytes(1 << 22)}), zipfile.ZIP_DEFLATED)
        refuses(bomb, "is a link or is compressed; a pack has plain members")

    def test_links_are_refused(self, rewritten):
        link = rewritten(lambda members: members.update({"README.md": b"/etc/passwd"}), kind=stat.S_IFLNK)
        refuses(link, "is a link or is compressed")

    def test_large_texts_are_refused(self, rewritten):
        refuses(
            rewritten(lambda members: members.update({"README.md": bytes((1 << 22) + 1)})), "is too large"
        )

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_member_that_comes_twice_is_refused(self, packed):
        with zipfile.ZipFile(packed, "a") as archive:
            archive.writestr("README.md", "# other")
        refuses(packed, r"expected one SHA256SUMS and one model\.keras")

    def test_pack_without_a_model_is_refused(self, rewritten):
        refuses(
            rewritten(lambda members: members.pop("model.keras")), r"expected one SHA256SUMS and one model"
        )

    def test_model_that_keras_did_not_save_is_refused(self, rewritten, tmp_path):
        with zipfile.ZipFile(tmp_path / "evil.keras", "w") as archive:
            archive.writestr("x", "y")
        content = (tmp_path / "evil.keras").read_bytes()
        pack = rewritten(lambda members: members.update({"model.keras": content}))
        refuses(pack, r"model\.keras is not a file that Keras saved")

    def test_model_that_is_a_bomb_is_refused(self, rewritten, tmp_path, monkeypatch):
        monkeypatch.setattr("zoo.models.packing._MAX_GROWTH", 1 << 20)
        shutil.copy(f"{TRIAL}/model.keras", tmp_path / "bomb.keras")
        with zipfile.ZipFile(tmp_path / "bomb.keras", "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("zeros", bytes(1 << 22))
        content = (tmp_path / "bomb.keras").read_bytes()
        refuses(
            rewritten(lambda members: members.update({"model.keras": content})),
            r"model\.keras has [0-9,]+ bytes of content",
        )

    def test_code_in_a_model_is_never_run(self, rewritten, tmp_path):
        import keras

        image = keras.Input((4, 4, 1))
        code = keras.layers.Lambda(lambda x: keras.ops.reshape(x, (-1, 16)))
        keras.Model(image, keras.layers.Dense(2, activation="softmax")(code(image))).save(
            tmp_path / "l.keras"
        )
        content = (tmp_path / "l.keras").read_bytes()
        pack = rewritten(lambda members: members.update({"model.keras": content}))
        unpack_model(pack, tmp_path / "unpacked")
        with pytest.raises(ModelError, match=r"cannot be loaded: .*Lambda"):
            zoo.load_model(tmp_path / "unpacked")


def refuses(pack, message):
    """Assert that `pack` is refused in one line, and that nothing is left beside it."""
    before = set(pack.parent.iterdir())
    with pytest.raises(ModelError, match=message) as caught:
        unpack_model(pack, pack.parent / "unpacked")
    assert "\n" not in str(caught.value)
    assert set(pack.parent.iterdir()) == before
