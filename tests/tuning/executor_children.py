"""What the executor's tests run in place of a trial; imported by the processes it starts."""

from __future__ import annotations

import os
import signal
import sys
import time

from zoo.process import enter_worker


def run_trial_process(connection, config, cache, folder, environment):
    """Do what the configuration's architecture is called."""
    enter_worker(environment, folder / "output.log")
    globals()[config["architecture"]["name"]](connection)


def evaluation_process(connection, model, cache, digest, log, environment):
    enter_worker(environment, log)
    if model.exists():
        connection.send({"test_accuracy": 0.5, "pid": os.getpid()})
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def end(**facts):
    summary = {"pid": os.getpid(), "parent": os.getppid(), **facts}
    return {"event": "finished", "time": time.time(), "state": "complete", "reason": "", "summary": summary}


def good(connection):
    print("said by the trial")
    print("warned by the trial", file=sys.stderr)
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS")
    connection.send({"event": "started", "time": time.time(), "threads": threads})
    connection.send({"event": "epoch", "time": time.time(), "epoch": 1, "metrics": {}})
    connection.send(end(answer=connection.recv()))


def talks_until_told(connection):
    epoch = 0
    go_on = True
    while go_on:
        epoch += 1
        place = {"epoch": epoch, "pid": os.getpid()}
        connection.send({"event": "epoch", "time": time.time(), **place, "metrics": {}})
        go_on = connection.recv()
    connection.send(end(epochs=epoch))


def listens(connection):
    """Says where it is, then waits for an answer that never comes."""
    connection.send({"event": "started", "time": time.time(), "pid": os.getpid()})
    connection.recv()


def exits(connection):
    sys.exit(3)


def says_and_is_killed(connection):
    connection.send({"event": "started", "time": time.time()})
    os.kill(os.getpid(), signal.SIGKILL)


def closes_its_end(connection):
    connection.close()
    signal.pause()
