"""The installed `zoo serve`, with real clients."""

from __future__ import annotations

import http.client
import json
import shlex
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytestmark = pytest.mark.timeout(240)


def post(server, content, kind="image/png", **headers):
    """Post a body to /invocations; return the status and the JSON of the answer."""
    request = urllib.request.Request(
        f"{server.address}/invocations", content, {"Content-Type": kind, **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def best_class(answer):
    return answer["predictions"][0]["classes"][0]["class"]


def test_address_and_example_are_printed(server):
    assert server.address.startswith("http://127.0.0.1:")
    assert server.lines == [
        "loading the model …",
        "serving mlruns/zoo/example/trials/001; press Ctrl-C to stop",
        f"curl -F image=@photo.jpg {server.address}/invocations",
    ]


def test_printed_example_works(server, files, labels, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    shutil.copy(files[1], tmp_path / "photo.jpg")
    done = subprocess.run(
        [*shlex.split(server.lines[-1]), "-sS"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert answer["predictions"][0]["image"] == "photo.jpg"
    assert best_class(answer) == labels[1]


def test_twenty_parallel_requests_get_their_own_answers(server, files, labels, classifier, pixels):
    """Half of them are images, half arrays, which MLflow answers."""
    expected = classifier.model.predict(pixels, verbose=0)
    bodies = [json.dumps({"inputs": pixels[number : number + 1].tolist()}).encode() for number in range(5)]
    barrier = threading.Barrier(20)

    def request(number):
        barrier.wait()
        if number % 2:
            return post(server, files[number % 5].read_bytes())
        return post(server, bodies[number % 5], "application/json")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(request, range(20)))
    for number, (status, answer) in enumerate(answers):
        assert status == 200
        if number % 2:
            assert best_class(answer) == labels[number % 5]
        else:
            np.testing.assert_allclose(answer["predictions"][0], expected[number % 5], rtol=1e-4, atol=1e-7)


def test_client_reads_the_answer_to_a_large_body(server):
    status, answer = post(server, bytes(8_000_000))
    assert (status, answer["message"][:36]) == (413, "the request has more than 1 MB; send")
    assert post(server, b"no image")[0] == 400  # the server still answers


def test_large_body_in_chunks_is_refused(server):
    chunks = (bytes(100_000) for _ in range(30))
    assert post(server, chunks, **{"Transfer-Encoding": "chunked"})[0] == 413


def test_connection_is_kept_for_the_next_request(server, files, labels):
    connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=120)
    for file, label in zip(files, labels, strict=True):
        connection.request("POST", "/invocations?top=1", file.read_bytes(), {"Content-Type": "image/png"})
        assert best_class(json.load(connection.getresponse())) == label
    connection.close()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_wrong_method_is_status_405(server, method):
    connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=120)
    connection.request(method, "/invocations")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    connection.close()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_server_with_status_0(start_server, files, signum):
    server = start_server()
    kept = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=120)
    kept.request("GET", "/ping")
    assert kept.getresponse().read() == b"\n"
    post(server, files[0].read_bytes())
    server.process.send_signal(signum)
    _, log = server.process.communicate(timeout=120)
    assert server.process.returncode == 0
    kept.close()
    requests = [line.split(" - ")[1] for line in log.splitlines()]
    assert requests == ['"GET /ping HTTP/1.1" 200', '"POST /invocations HTTP/1.1" 200']
