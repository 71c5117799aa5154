"""Secrets never reach the log or what a job said; one event is one line with its ids."""

from __future__ import annotations

import json
import logging
import string
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from headway.logs import HIDDEN, SHORTEST_SECRET, configure_logging, redact, secrets_of
from headway.settings import Settings

TOKEN = 'tok"en\\with é quotes'


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def settings(**values: str) -> Settings:
    return Settings.model_validate({"headway_token": TOKEN, "hf_token": "hf_secret_value_of_mine", **values})


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://app:hunter2@db:5432/app", "hunter2"),
        ("redis://:hunter2@127.0.0.1:6379/0", "hunter2"),
        ("Authorization: Bearer abcdefgh.ijkl", "abcdefgh.ijkl"),
        ("{'Authorization': 'Bearer abcdefgh.ijkl'}", "abcdefgh.ijkl"),
        ('{"authorization": "Basic dXNlcjpwYXNz"}', "dXNlcjpwYXNz"),
        ("http://127.0.0.1:8400/?token=abc-DEF_1&tab=logs", "abc-DEF_1"),
        ("HF_TOKEN=hf_short", "hf_short"),
        ("password=hunter2, user=me", "hunter2"),
        ('{"token": "hunter2"}', "hunter2"),
        ("using hf_abcdefghijklmnopqrstuvwxyz", "hf_abcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, hidden: str) -> None:
    assert hidden not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "tokens=1000000 tokens/s=2500",
        "the next token: 'the'",
        "http://127.0.0.1:8400/jobs/abc?tab=logs",
        "see https://example.org:443/a@b",
        "loss=0.5 step 7 of 10",
        "12:30:05 a@b.example wrote",
    ],
)
def test_innocent_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@given(
    secret=st.text(string.ascii_letters + string.digits + "-_\"\\'é\n ", min_size=SHORTEST_SECRET, max_size=40),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
def test_given_secret_is_hidden_wherever_it_stands(secret: str, before: str, after: str) -> None:
    text = before + secret + after
    assert secret not in redact(text, [secret]) or secret in HIDDEN * 3
    assert json.dumps(secret)[1:-1] not in redact(json.dumps({"event": text}), [secret])


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


def test_empty_secret_hides_nothing() -> None:
    assert redact("abc", ["", "a"]) == "abc"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_event_is_one_json_line_with_its_ids(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings(), service="api")
    with structlog.contextvars.bound_contextvars(request_id="r1", job_id="j1", attempt=2):
        structlog.get_logger().info("several\nlines", phase="training")
    (line,) = lines(capsys)
    assert str(line.pop("ts")).endswith("Z")
    assert line == {
        "event": "several\nlines", "level": "info", "service": "api", "request_id": "r1", "job_id": "j1", "attempt": 2,
        "phase": "training",
    }  # fmt: skip


def test_other_libraries_log_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings(), service="worker")
    logging.getLogger("some.library").warning("took %d s", 3)
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["logger"], line["service"]) == (
        "took 3 s", "warning", "some.library", "worker",
    )  # fmt: skip


def test_exception_is_told_without_its_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings(), service="api")
    try:
        raise ValueError(f"no entry with {TOKEN} at postgresql://app:hunter2@db/app")
    except ValueError:
        structlog.get_logger().exception("failed", token=TOKEN, nested={"deep": [TOKEN]})
    text = capsys.readouterr().err
    assert "hunter2" not in text
    assert TOKEN not in text
    assert json.dumps(TOKEN)[1:-1] not in text
    assert json.dumps(TOKEN, ensure_ascii=False)[1:-1] not in text
    assert "ValueError: no entry with" in json.loads(text)["exception"]


def test_level_of_the_settings_holds(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings(headway_log_level="warning"), service="api")
    structlog.get_logger().info("quiet")
    logging.getLogger("x").info("quiet")
    assert capsys.readouterr().err == ""


def test_console_format_hides_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings(headway_log_format="console"), service="api")
    try:
        hidden = "hf_secret_value_of_mine"
        raise ValueError(hidden)
    except ValueError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    assert "failed" in text
    assert "hf_secret_value_of_mine" not in text


def test_secrets_are_those_of_the_settings() -> None:
    labelling = {
        "headway_label_endpoint": "http://l/v1",
        "headway_label_model": "m",
        "headway_label_token": "of labels",
    }
    assert set(secrets_of(settings(**labelling))) == {TOKEN, "hf_secret_value_of_mine", "of labels"}
