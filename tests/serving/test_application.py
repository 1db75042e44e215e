"""The answers of the application, without a network."""

from __future__ import annotations

import asyncio
import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest
from shared_tools import ask

from zoo.models import Classifier
from zoo.training.info import ModelInfo, add_info

PNG = {"content-type": "image/png"}
JSON = {"content-type": "application/json"}
UPLOAD = {"type": "http", "method": "POST", "path": "/invocations", "headers": [(b"host", b"localhost")]}


@pytest.fixture
def application(make_application, classifier):
    return make_application(classifier)


def classes_of(answer):
    """Return the most probable class of each image in an answer."""
    return [one["classes"][0]["class"] for one in answer["predictions"]]


class TestImages:
    def test_image_has_all_classes_by_probability(self, application, files, classifier):
        status, headers, answer = ask(application, "POST", "/invocations", PNG, files[0].read_bytes())
        (prediction,) = classifier.predictions(files[:1])
        assert (status, headers["content-type"]) == (200, "application/json")
        (document,) = answer["predictions"]
        named = [{"class": name, "probability": p} for name, p in classifier.top_classes(prediction, 10)]
        assert document == {"image": 0, "classes": named}

    def test_top_limits_the_classes(self, application, files):
        content = files[0].read_bytes()
        for top, number in (("1", 1), ("3", 3), ("999", 10)):
            _, _, answer = ask(application, "POST", f"/invocations?top={top}", PNG, content)
            assert len(answer["predictions"][0]["classes"]) == number

    @pytest.mark.parametrize("top", ["0", "-1", "x", "1.5", "", "9" * 5000])
    def test_invalid_top_is_refused(self, application, files, top):
        status, _, answer = ask(application, "POST", f"/invocations?top={top}", PNG, files[0].read_bytes())
        assert (status, answer["message"]) == (400, f"top: expected an integer >= 1, got '{top}'")

    def test_base64_is_answered_like_the_file(self, application, files, labels):
        texts = [base64.b64encode(file.read_bytes()).decode() for file in files]
        _, _, answer = ask(application, "POST", "/invocations", JSON, json.dumps({"images": texts}).encode())
        assert classes_of(answer) == labels
        assert [one["image"] for one in answer["predictions"]] == [0, 1, 2, 3, 4]

    def test_form_is_answered_with_the_names(self, application, files, labels):
        parts = [
            f'--x\r\nContent-Disposition: form-data; filename="{file.name}"\r\n\r\n'.encode()
            + file.read_bytes()
            for file in files
        ]
        kind = {"content-type": "multipart/form-data; boundary=x"}
        _, _, answer = ask(application, "POST", "/invocations", kind, b"\r\n".join([*parts, b"--x--"]))
        assert classes_of(answer) == labels
        assert [one["image"] for one in answer["predictions"]] == [file.name for file in files]

    @pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n0000"])
    def test_broken_image_is_status_400(self, application, content):
        status, _, answer = ask(application, "POST", "/invocations", PNG, content)
        assert (status, answer["error_code"]) == (400, "BAD_REQUEST")
        assert answer["message"].startswith("image 0 cannot be read: ")
        assert "\n" not in answer["message"]

    def test_broken_file_is_named(self, application, files):
        body = b'--x\r\nContent-Disposition: form-data; filename="a.jpg"\r\n\r\nhello\r\n--x--'
        kind = {"content-type": "multipart/form-data; boundary=x"}
        status, _, answer = ask(application, "POST", "/invocations", kind, body)
        assert (status, answer["message"]) == (400, "'a.jpg' cannot be read: not an image")

    def test_model_for_arrays_only_refuses_images(self, make_application, saved, files):
        application = make_application(Classifier(saved((4, 4, 2))))
        status, _, answer = ask(application, "POST", "/invocations", PNG, files[0].read_bytes())
        assert status == 400
        assert "takes images with 2 channels, but image files are read with 1" in answer["message"]
        arrays = json.dumps({"inputs": np.zeros((1, 4, 4, 2)).tolist()}).encode()
        assert ask(application, "POST", "/invocations", JSON, arrays)[0] == 200


@pytest.fixture
def saved(tmp_path):
    """saved(shape, class_names) -> the file of a small model for images of that shape."""
    import keras

    def save(shape, class_names=("a", "b")):
        pixels = keras.Input(shape)
        hidden = keras.layers.GlobalAveragePooling2D()(pixels)
        outputs = keras.layers.Dense(len(class_names), activation="softmax")(hidden)
        keras.Model(pixels, outputs).save(tmp_path / "model.keras")
        add_info(tmp_path / "model.keras", ModelInfo(class_names=tuple(class_names)))
        return tmp_path / "model.keras"

    return save


class TestMlflow:
    @pytest.mark.parametrize("key", ["inputs", "instances"])
    @pytest.mark.parametrize("dtype", [int, float])
    def test_arrays_are_scored_as_mlflow_does(self, application, classifier, pixels, key, dtype):
        body = json.dumps({key: pixels.astype(dtype).tolist()}).encode()
        status, _, answer = ask(application, "POST", "/invocations", JSON, body)
        assert status == 200
        expected = classifier.model.predict(pixels, verbose=0)
        np.testing.assert_allclose(answer["predictions"], expected, rtol=1e-4, atol=1e-7)

    @pytest.mark.parametrize("form", ["split", "records", "csv", "parquet"])
    def test_rows_of_a_table_are_images(self, application, classifier, pixels, form):
        import pandas as pd

        table = pd.DataFrame(pixels.reshape(len(pixels), -1)).rename(columns=str)
        kind, body = "text/csv", table.to_csv(index=False).encode()
        if form == "parquet":
            kind, body = "application/vnd.apache.parquet", table.to_parquet()
        elif form != "csv":
            document = {f"dataframe_{form}": json.loads(table.to_json(orient=form))}
            kind, body = "application/json", json.dumps(document).encode()
        status, _, answer = ask(application, "POST", "/invocations", {"content-type": kind}, body)
        assert status == 200
        expected = classifier.model.predict(pixels, verbose=0)
        scored = [list(row.values()) for row in answer["predictions"]]
        np.testing.assert_allclose(scored, expected, rtol=1e-4, atol=1e-7)

    def test_other_paths_answer(self, application):
        import mlflow

        assert ask(application, "GET", "/ping")[0] == ask(application, "GET", "/health")[0] == 200
        assert ask(application, "GET", "/version")[::2] == (200, mlflow.__version__)

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/invocations", 405),
            ("PUT", "/invocations", 405),
            ("POST", "/", 405),
            ("GET", "/nothing", 404),
            ("GET", "/docs", 404),
            ("GET", "/redoc", 404),
        ],
    )
    def test_wrong_method_or_path_is_refused(self, application, method, path, status):
        answered, _, answer = ask(application, method, path, PNG)
        code = "ENDPOINT_NOT_FOUND" if status == 404 else "BAD_REQUEST"
        assert (answered, answer["error_code"], bool(answer["message"])) == (status, code, True)

    @pytest.mark.parametrize(
        ("kind", "body", "status"),
        [
            ("text/plain", b"x", 415),
            ("application/json", b"[1]", 400),
            ("application/json", b'{"inputs": [1]}', 400),
        ],
    )
    def test_invalid_bodies_are_refused_by_mlflow(self, application, kind, body, status):
        answered, _, answer = ask(application, "POST", "/invocations", {"content-type": kind}, body)
        assert (answered, {"error_code", "message"} <= set(answer)) == (status, True)

    def test_request_without_content_type_is_refused(self, application):
        status, _, answer = ask(application, "POST", "/invocations", {}, b"x")
        assert (status, answer["message"][:42]) == (415, "the request has no Content-Type; expected ")


class TestLimits:
    def test_too_large_body_is_status_413(self, application):
        message = "the request has more than 1 MB; send a smaller one, or start `zoo serve` with a larger "
        for path in ("/invocations", "/ping"):
            status, _, answer = ask(application, "POST", path, PNG, bytes(1_000_001))
            assert (status, answer["message"]) == (413, message + "--max-request-mb.")
        assert ask(application, "POST", "/invocations", PNG, bytes(1_000_000))[0] == 400  # no image

    @pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
    def test_request_of_another_site_is_refused(self, application, files, headers):
        for method, path in (("POST", "/invocations"), ("GET", "/")):
            status, received, answer = ask(application, method, path, PNG | headers, files[0].read_bytes())
            assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")
            assert not [name for name in received if name.startswith("access-control")]

    def test_server_that_stops_cancels_a_request_silently(self, application):
        async def stop():
            request = asyncio.create_task(application(UPLOAD, asyncio.Event().wait, None))
            await asyncio.sleep(0)
            request.cancel()
            await request

        asyncio.run(stop())

    def test_client_that_leaves_gets_no_answer(self, application):
        async def receive():
            return {"type": "http.disconnect"}

        asyncio.run(application(UPLOAD, receive, None))


class TestUnexpectedErrors:
    @pytest.fixture
    def broken(self, make_application, classifier, monkeypatch):
        """An application whose model fails, but not when it is started."""
        application = make_application(classifier)

        def fail(*_, **__):
            raise ValueError("no memory\nleft")

        monkeypatch.setattr(classifier, "model", SimpleNamespace(predict_on_batch=fail, predict=fail))
        return application

    def test_error_of_the_model_is_status_500(self, broken, files, caplog):
        status, _, answer = ask(broken, "POST", "/invocations", PNG, files[0].read_bytes())
        assert (status, answer) == (
            500,
            {"error_code": "INTERNAL_ERROR", "message": "ValueError: no memory left"},
        )
        assert caplog.messages == ["the request failed: ValueError: no memory left"]

    def test_error_in_mlflows_format_is_its_own(self, broken, pixels):
        body = json.dumps({"inputs": pixels.tolist()}).encode()
        status, _, answer = ask(broken, "POST", "/invocations", JSON, body)
        assert (status, answer["error_code"]) == (400, "BAD_REQUEST")


class TestPage:
    def test_page_names_model_and_address(self, application):
        status, headers, page = ask(application, "GET", "/")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "<h1>" in page
        assert "10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9." in page
        assert "scaled to 8×8 pixels and converted to grayscale" in page
        assert "curl -F image=@photo.jpg http://127.0.0.1:8000/invocations" in page

    def test_page_escapes_the_model_name(self, make_application, saved):
        path = saved((6, 9, 3)).rename(saved((6, 9, 3)).with_name("<b>.keras"))
        page = ask(make_application(Classifier(path)), "GET", "/")[2]
        assert "<b>.keras" not in page
        assert "&lt;b&gt;.keras" in page
        assert "2 classes: a, b." in page
        assert "scaled to 9×6 pixels, as in training" in page
