"""Lines written together are the lines that would have been written one by one, and tokens are masked in both."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provider_runtime.config import LogFormat
from provider_runtime.redaction import REDACTED
from provider_runtime.telemetry import LOGGER_NAME, configure_logging, log_event, log_events, mask_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provider_runtime.telemetry import LogValue

SHARED: dict[str, LogValue] = {"pod": "shop/api 0", "class": "shop/"}
EACH: tuple[dict[str, LogValue], ...] = (
    {"object": 'a "quoted"\nname', "age_seconds": 1.5},
    {"object": "", "age_seconds": 0.0},
    {"object": "x" * 300, "age_seconds": 2},
)
STARTS = ("eyJ", "ASIA", "AKIA", "FwoG", "IQoJ")


@pytest.fixture(params=list(LogFormat))
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What is logged, in each format."""
    stream = io.StringIO()
    level = logging.getLogger().level
    configure_logging(request.param, stream)
    yield stream
    configure_logging(LogFormat.TEXT)
    logging.getLogger().setLevel(level)


def _without_time(line: str) -> str:
    if not line.startswith("{"):
        return line.partition(" ")[2]
    return json.dumps({**json.loads(line), "time": ""})


def test_lines_written_together_are_the_lines_written_one_by_one(log: io.StringIO) -> None:
    logger = logging.getLogger(LOGGER_NAME)
    log_events(logger, logging.INFO, "delivered", EACH, **SHARED)
    together = log.getvalue().splitlines()
    log.truncate(log.seek(0))
    for more in EACH:
        log_event(logger, logging.INFO, "delivered", **SHARED, **more)
    assert [_without_time(line) for line in together] == [_without_time(line) for line in log.getvalue().splitlines()]


def test_no_line_is_written_for_nothing(log: io.StringIO) -> None:
    log_events(logging.getLogger(LOGGER_NAME), logging.INFO, "delivered", (), **SHARED)
    assert not log.getvalue()


def test_a_token_is_masked_in_every_line_that_is_written_together(log: io.StringIO) -> None:
    token = "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl"
    each: tuple[dict[str, LogValue], ...] = ({"object": token}, {"object": f"x {token}"})
    log_events(logging.getLogger(LOGGER_NAME), logging.INFO, "delivered", each, pod=token)
    lines = log.getvalue().splitlines()
    assert [line.count(REDACTED) for line in lines] == [2, 2]
    assert token not in log.getvalue()


@given(st.lists(st.sampled_from([*STARTS, "A" * 24, "a", ".", "/", " ", "\n", "ey", "J"]) | st.text(max_size=3)))
@example(["eyJ", "aaaaa", ".", "b", ".", "c"])
def test_the_quick_look_for_tokens_misses_none_that_the_full_one_finds(parts: list[str]) -> None:
    text = "".join(parts)
    # A start in front makes the quick look say yes; what follows must be masked as without it.
    assert mask_tokens(f"eyJ\n{text}") == f"eyJ\n{mask_tokens(text)}"
