"""The images in the body of a request."""

from __future__ import annotations

import base64
import json

import pytest

from zoo.serving import _posted
from zoo.serving._posted import RequestError, posted_images

JSON, FORM = "application/json", "multipart/form-data; boundary=x-x"
CONTENT = bytes(range(256)) + b"\r\n--x\r\n\r\n--"  # line breaks, and a beginning of the boundary


def text(content=CONTENT):
    return base64.b64encode(content).decode()


def part(content, disposition):
    header = f"Content-Disposition: form-data; {disposition}\r\nContent-Type: image/png"
    return b"--x-x\r\n" + header.encode() + b"\r\n\r\n" + content + b"\r\n"


def form(*parts):
    return b"".join(part(*one) for one in parts) + b"--x-x--\r\n"


def document(**keys):
    return json.dumps(keys).encode()


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "IMAGE/PNG; a=b"])
def test_image_is_the_whole_body(kind):
    assert posted_images(kind, CONTENT) == [(0, CONTENT)]


class TestForm:
    def test_files_have_names_and_exact_content(self):
        body = form((CONTENT, 'name="a"; filename="a.png"'), (b"", 'name="b"; filename="b.jpg"'))
        assert posted_images(FORM, body) == [("a.png", CONTENT), ("b.jpg", b"")]
        assert posted_images(FORM, b"a preamble\r\n" + body) == [("a.png", CONTENT), ("b.jpg", b"")]

    @pytest.mark.parametrize(
        ("parameter", "name"),
        [
            ('filename="Kätzchen.png"', "Kätzchen.png"),
            ("filename*=utf-8''K%C3%A4tzchen.png", "Kätzchen.png"),
            ("filename=plain.png", "plain.png"),
            ('filename="a\\"b;c.png"', 'a"b;c.png'),
        ],
    )
    def test_name_is_decoded(self, parameter, name):
        assert posted_images(FORM, form((CONTENT, f'name="x"; {parameter}'))) == [(name, CONTENT)]

    def test_other_fields_are_left_out(self):
        body = form((b"hello", 'name="text"'), (b"", 'name="none"; filename=""'), (CONTENT, "filename=a"))
        assert posted_images(FORM, body) == [("a", CONTENT)]

    def test_quoted_boundary_is_found(self):
        body = form((CONTENT, "filename=a"))
        assert posted_images('multipart/form-data; boundary="x-x"', body) == [("a", CONTENT)]

    @pytest.mark.parametrize("body", [form(), form((b"hello", 'name="image"'))])
    def test_form_without_file_is_refused(self, body):
        with pytest.raises(RequestError, match=r"^the form has no file; expected a field with a file, as `c"):
            posted_images(FORM, body)

    @pytest.mark.parametrize("kind", ["multipart/form-data", FORM.replace("x-x", "other"), FORM[:-3]])
    def test_other_boundary_is_refused(self, kind):
        with pytest.raises(RequestError, match=r"^the form cannot be read: expected parts with the boundary"):
            posted_images(kind, form((CONTENT, "filename=a")))


class TestJson:
    def test_one_or_several_images_are_decoded(self):
        assert posted_images(JSON, document(image=text())) == [(0, CONTENT)]
        assert posted_images(JSON, document(images=[text(), text(b"b")])) == [(0, CONTENT), (1, b"b")]

    def test_line_breaks_and_data_urls_are_decoded(self):
        lines = base64.encodebytes(CONTENT).decode()
        assert posted_images(JSON, document(image=lines)) == [(0, CONTENT)]
        as_a_shell_writes_it = b'{"image": "' + lines.encode() + b'"}'
        assert posted_images(JSON, as_a_shell_writes_it) == [(0, CONTENT)]
        assert posted_images(JSON, document(image=f"data:image/png;base64,{text()}")) == [(0, CONTENT)]

    @pytest.mark.parametrize("body", [document(inputs=[[1]]), b"[", b"{}", document(a="image"), b'["image"]'])
    def test_other_documents_are_for_mlflow(self, body):
        assert posted_images(JSON, body) is None

    @pytest.mark.parametrize("value", ["no base64!", "YQ", 3, None, [], ["YQ=="], "ä"])
    def test_other_text_is_refused(self, value):
        with pytest.raises(RequestError, match=r"^image 0 is not a base64 text\.$"):
            posted_images(JSON, document(image=value))

    @pytest.mark.parametrize(
        "body",
        [
            document(image=text(), images=[text()]),
            document(image=text(), inputs=[[1]]),
            document(images=text()),
            document(images=[]),
            document(images={}),
        ],
    )
    def test_other_shape_is_refused(self, body):
        with pytest.raises(
            RequestError, match=r'^expected {"image": BASE64} or {"images": \[BASE64, …\]} an'
        ):
            posted_images(JSON, body)

    @pytest.mark.parametrize(
        "body", [b'{"image": "abc', b'{"image": ' + 100_000 * b"[", b'{"image": "\xff"}']
    )
    def test_damaged_document_is_refused(self, body):
        with pytest.raises(RequestError, match=r"^the body is not JSON: "):
            posted_images(JSON, body)


@pytest.mark.parametrize("kind", ["text/csv", "text/plain", "application/octet-stream", "", "image", "a/b/c"])
def test_other_formats_are_for_mlflow(kind):
    assert posted_images(kind, document(image=text())) is None


def test_too_many_images_are_refused(monkeypatch):
    monkeypatch.setattr(_posted, "_MAX_IMAGES", 3)
    parts = [(CONTENT, f"filename={number}") for number in range(5)]
    assert len(posted_images(FORM, form(*parts[:3]))) == 3
    for kind, body in ((FORM, form(*parts[:4])), (FORM, form(*parts)), (JSON, document(images=4 * ["YQ=="]))):
        with pytest.raises(RequestError, match=r"^the request has more than 3 images; send several requ"):
            posted_images(kind, body)
