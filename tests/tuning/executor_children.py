"""Stand-ins for a trial, imported by the processes that the executor's tests start."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

from zoo.errors import ModelError
from zoo.events import EpochEnd, Finished, Started
from zoo.process import call_at_sigterm, enter_worker, sign_of_life
from zoo.training.cores import VARIABLE, CoresTimed
from zoo.training.saved import check_loadable


def run_trial_process(
    connection, config, cache, folder, environment, study, number, plugin_files=(), log_path=None
):
    """Call the function of this module that the configuration's architecture names."""
    enter_worker(environment, log_path or folder / "output.log")
    if log_path:
        print("prepared by", os.getpid())
        connection.recv()
    globals()[config["architecture"]["name"]](connection)


def call_process(connection, function, arguments, log_path, environment, plugin_files=()):
    """Stand in for a process that loads a model; a file beside the model says what happens."""
    enter_worker(environment, log_path)
    assert function is check_loadable
    (model_path,) = arguments
    if (model_path.parent / "crashes").exists():
        os.kill(os.getpid(), signal.SIGSEGV)
    if (model_path.parent / "hangs").exists():
        signal.pause()
    error = ModelError("the model cannot be loaded: a Lambda layer")
    connection.send((None, error if (model_path.parent / "unloadable").exists() else None))


def end(**facts):
    return Finished(time.time(), "complete", summary={"pid": os.getpid(), "parent": os.getppid(), **facts})


def good(connection):
    print("printed by the trial")
    print("warned by the trial", file=sys.stderr)
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS")
    connection.send(Started(time.time(), str(os.getpid()), threads))
    connection.send(EpochEnd(time.time(), 1, {}))
    connection.send(end(answer=connection.recv(), best_epoch=1))


def measures_its_cores(connection):
    assert VARIABLE in os.environ
    connection.send(CoresTimed(12.0))
    connection.send(EpochEnd(time.time(), 1, {}))
    connection.recv()


def shows_its_gpu(connection):
    connection.send(Started(time.time(), os.environ.get("CUDA_VISIBLE_DEVICES", "")))
    connection.recv()


def sends_epochs_until_stopped(connection):
    epoch = 0
    should_continue = True
    while should_continue:
        epoch += 1
        connection.send(EpochEnd(time.time(), epoch, {"pid": os.getpid()}))
        should_continue = connection.recv()
    connection.send(end(epochs=epoch))


def chatters(connection):
    sys.stdout.write(("x" * 99 + "\n") * 10_000)
    sys.stdout.flush()
    connection.send(Started(time.time(), str(os.getpid())))
    connection.recv()


def waits_for_an_answer(connection):
    """Send the process's id, then wait for an answer that never comes."""
    connection.send(Started(time.time(), str(os.getpid())))
    connection.recv()


def exits(connection):
    sys.exit(3)


def exits_with_255(connection):
    sys.exit(-1)


def sends_and_is_killed(connection):
    connection.send(Started(time.time()))
    os.kill(os.getpid(), signal.SIGKILL)


def closes_its_pipe(connection):
    connection.close()
    signal.pause()


def hangs(connection):
    connection.send(Started(time.time(), str(os.getpid())))
    hang_here()


def hang_here():
    time.sleep(600)


def hangs_in_native_code(connection):
    """Sleep with Python's lock held, so that no other thread and no Python signal handler runs."""
    connection.send(Started(time.time(), str(os.getpid())))
    ctypes.PyDLL(None).sleep(600)


def is_slow(connection):
    """Send nothing for a while after the start, but show signs of life in two ways."""
    connection.send(Started(time.time(), str(os.getpid())))
    for second in range(8):
        time.sleep(0.5)
        print(second, flush=True) if second % 2 else sign_of_life()
    connection.send(end())


def sleeps(connection):
    connection.send(Started(time.time(), str(os.getpid())))
    time.sleep(5)
    connection.send(end())


def writes_at_sigterm(connection):
    """Hang in native code, with all signals blocked in the main thread; write a file at SIGTERM."""
    call_at_sigterm(lambda: print("checkpoint", flush=True))
    connection.send(Started(time.time(), str(os.getpid())))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    while True:
        time.sleep(3600)


def never_finishes_its_checkpoint(connection):
    call_at_sigterm(lambda: time.sleep(3600))
    connection.send(Started(time.time(), str(os.getpid())))
    connection.recv()
