"""Events as lines of JSON, and an event log that survives damage."""

from __future__ import annotations

import json

import pytest

from zoo.events import EpochEnd, EventLog, Finished, Progress, Scored, Started, from_json, to_json

EVENTS = [
    Started(1.0, "cpu", "tensorflow", 1234),
    Progress(1, 0.5),
    Progress(2, 0.25, fold=3),
    EpochEnd(2.0, 1, {"loss": 0.5, "val_accuracy": 0.75}),
    EpochEnd(3.0, 2, {"loss": 0.25}, fold=1, is_last=True),
    Finished(4.0, "complete", summary={"best_val_accuracy": 0.75, "best_epoch": 1}),
    Finished(5.0, "failed", "interrupted", is_interrupted=True),
    Finished(5.5, "failed", "KeyError", is_plugin_error=True),
    Scored(6.0, {"test_accuracy": 0.5, "test_loss": 1.5}),
]


@pytest.fixture
def log(tmp_path):
    return EventLog(tmp_path / "events.jsonl")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_event_survives_one_line_of_json(event):
    line = to_json(event)
    assert "\n" not in line
    assert json.loads(line)["version"] == 3
    assert from_json(line) == event


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Finished(1.0, "complete", summary={"best_epoch": 1}), "complete"),
        (Finished(1.0, "pruned", "pruned after epoch 2", {"best_epoch": 1}), "pruned"),
        (Finished(1.0, "pruned", "impossible parameters", {"parameters": 9}), "rejected"),
        (Finished(1.0, "failed", "KeyError"), "failed"),
        (Finished(1.0, "failed", "stopped", is_interrupted=True), "interrupted"),
    ],
)
def test_shown_state_names_rejected_and_interrupted(event, expected):
    assert event.shown_state == expected


def test_default_values_are_not_written():
    document = json.loads(to_json(Progress(1, 0.5)))
    assert document.pop("zoo.check").startswith("65 ")
    assert document == {"version": 3, "event": "progress", "epoch": 1, "fraction": 0.5}


def test_best_mark_is_not_written():
    assert from_json(to_json(Scored(1.0, {}, is_best=True))) == Scored(1.0, {})


def test_lines_of_version_1_are_read():
    lines = [
        '{"event": "started", "time": 1.0, "device": "cpu", "backend": "jax", "parameters": 7}',
        '{"event": "epoch", "time": 2.0, "epoch": 1, "metrics": {"loss": 1.0}, "last": true, "fold": 2}',
        '{"event": "finished", "time": 3.0, "state": "failed", "reason": "x", "summary": {"parameters": 7},'
        ' "interrupted": true}',
        '{"event": "tested", "time": 4.0, "metrics": {"test_accuracy": 1.0}}',
    ]
    assert [from_json(line) for line in lines] == [
        Started(1.0, "cpu", "jax", 7),
        EpochEnd(2.0, 1, {"loss": 1.0}, fold=2, is_last=True),
        Finished(3.0, "failed", "x", {"parameters": 7}, is_interrupted=True),
        Scored(4.0, {"test_accuracy": 1.0}),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1, 2]",
        "null",
        b"\xff\xfe",
        b"\0" * 40,
        '{"event": "started"}',
        '{"event": "unknown", "time": 1.0}',
        '{"version": 3, "event": "started", "time": 1.0}',  # without its checksum
        '{"version": 4, "event": "started", "time": 1.0}',
        '{"version": 2, "event": "epoch", "time": 1.0, "epoch": 1, "metrics": {}}',
        '{"event": "epoch", "time": 1.0, "epoch": "1", "metrics": {}}',
        '{"event": "epoch", "time": 1.0, "epoch": 1, "metrics": null}',
    ],
)
def test_other_lines_are_rejected(line):
    with pytest.raises(ValueError):
        from_json(line)


def test_fields_of_later_minor_versions_are_ignored():
    assert from_json('{"version": 2, "event": "started", "time": 1.0, "color": "red"}') == Started(1.0)


def test_lines_of_version_2_are_read():
    line = (
        '{"version": 2, "event": "finished", "time": 3.0, "state": "complete", "summary": {"best_epoch": 9}}'
    )
    assert from_json(line) == Finished(3.0, "complete", "", {"best_epoch": 9})


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_no_changed_bit_is_read_as_an_event(event):
    line = to_json(event).encode()
    for position in range(len(line)):
        for bit in range(8):
            changed = bytearray(line)
            changed[position] ^= 1 << bit
            with pytest.raises(ValueError):
                from_json(bytes(changed))


class TestEventLog:
    def test_appended_events_are_read_in_order(self, log):
        for event in EVENTS:
            log.append(event)
        assert log.read() == EVENTS
        assert log.damaged_lines() == []

    def test_missing_log_is_empty(self, log):
        assert (log.read(), log.damaged_lines()) == ([], [])

    @pytest.mark.parametrize("cut", range(2, 60, 7))
    def test_torn_last_line_is_left_out(self, log, cut):
        log.append(EVENTS[0])
        log.append(EVENTS[3])
        log.path.write_bytes(log.path.read_bytes()[:-cut])
        assert log.read() == [EVENTS[0]]
        assert log.damaged_lines() == []

    def test_last_line_without_line_break_is_read_if_whole(self, log):
        log.append(EVENTS[0])
        log.path.write_bytes(log.path.read_bytes()[:-1])
        assert log.read() == [EVENTS[0]]
        log.append(EVENTS[3])
        assert log.read() == [EVENTS[0], EVENTS[3]]

    def test_torn_line_that_was_appended_to_is_reported(self, log):
        log.append(EVENTS[0])
        log.append(EVENTS[3])
        log.path.write_bytes(log.path.read_bytes()[:-10])
        log.append(EVENTS[5])
        assert log.read() == [EVENTS[0], EVENTS[5]]
        assert log.damaged_lines() == [2]

    def test_last_line_that_is_no_event_is_damaged(self, log):
        log.append(EVENTS[0])
        log.path.write_bytes(log.path.read_bytes() + b"\x9c\x01 not json")
        assert log.read() == [EVENTS[0]]
        assert log.damaged_lines() == [2]

    def test_changed_digit_loses_only_its_line(self, log):
        for event in EVENTS:
            log.append(event)
        log.path.write_bytes(log.path.read_bytes().replace(b'"val_accuracy": 0.75', b'"val_accuracy": 0.95'))
        assert log.load() == ([*EVENTS[:3], *EVENTS[4:]], [4])

    @pytest.mark.parametrize(
        "garbage", [b"garbage", b"null", b"\0\0\0\0", b'{"event": "epoch"}', b"\xc3\x28", b"7"]
    )
    def test_damaged_middle_line_loses_only_itself(self, log, garbage):
        for event in EVENTS:
            log.append(event)
        lines = log.path.read_bytes().split(b"\n")
        lines[3] = garbage
        log.path.write_bytes(b"\n".join(lines))
        assert log.read() == [*EVENTS[:3], *EVENTS[4:]]
        assert log.damaged_lines() == [4]
