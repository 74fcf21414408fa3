"""Log lines: one per mount, one per event of the process, text or JSON, never a value or a token.

Not done here: metrics (`metrics`), the audit line (`audit`), traces, events. Three guards keep secrets out: the lines
are built from names and numbers only; the SDK's loggers, whose debug lines hold requests and answers, stay above debug
whatever the environment says; and a filter masks what looks like a token or a key in any line that gets through.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TextIO

from provider_runtime.config import LogFormat
from provider_runtime.errors import shown
from provider_runtime.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from provider_runtime.ports import MountReport

LOGGER_NAME: Final = "provider_runtime"
_QUIET_LOGGERS: Final = ("botocore", "boto3", "urllib3", "grpc", "asyncio")
_TOKEN_LIKE: Final = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]+\.[\w-]+"  # a JSON web token
    r"|(?:ASIA|AKIA)[A-Z0-9]{12,}"  # an AWS access key id
    r"|FwoG[\w+/=]{20,}|IQoJ[\w+/=]{20,}"  # an AWS session token
)
_TOKEN_STARTS: Final = ("eyJ", "ASIA", "AKIA", "FwoG", "IQoJ")
"""One of these stands in everything that _TOKEN_LIKE matches; looking for them is some twenty times as fast."""
_PLAIN_WORD: Final = re.compile(r"[\w./:@+-]+")
_TEXT_LIMIT_CHARACTERS: Final = 4_000
_REMEMBERED_CHARACTERS: Final = 256

LogValue = str | int | float


class RedactionFilter(logging.Filter):
    """Masks tokens and keys in the finished line; the last guard, not the first."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and let it pass."""
        record.msg = mask_tokens(record.getMessage())
        record.args = None
        return True


class LineFormatter(logging.Formatter):
    """One record, one line: a sentence and named values; or one line for each of several that share their beginning.

    Args:
        log_format: `text`: time, level, sentence, name=value; `json`: one object.
    """

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self._log_format = log_format

    def format(self, record: logging.LogRecord) -> str:
        """Render the line or lines; exceptions appear by type and place only, their text may hold anything."""
        when = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        fields: dict[str, LogValue] = dict(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = describe_exception(record.exc_info[1])
        if self._log_format is LogFormat.JSON:
            line = json.dumps({"time": when, "level": record.levelname, "event": record.getMessage(), **fields})
        else:
            line = f"{when} {record.levelname} {shown(record.getMessage(), _TEXT_LIMIT_CHARACTERS)}{_render(fields)}"
        each: Sequence[Mapping[str, LogValue]] = getattr(record, "each", ())
        if not each:
            return mask_tokens(line)
        if self._log_format is LogFormat.JSON:
            return mask_tokens("\n".join([f"{line[:-1]}, {json.dumps(more)[1:]}" for more in each]))
        return mask_tokens("\n".join([f"{line}{_render(more)}" for more in each]))


def mask_tokens(text: str) -> str:
    """Mask what looks like a token or a key."""
    return _TOKEN_LIKE.sub(REDACTED, text) if any(start in text for start in _TOKEN_STARTS) else text


def configure_logging(log_format: LogFormat, stream: TextIO | None = None) -> logging.Logger:
    """Send every log line of the process to `stream` (default stderr) and return the daemon's logger."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(log_format))
    handler.addFilter(RedactionFilter())
    root = logging.getLogger()
    for old in tuple(root.handlers):
        if isinstance(old.formatter, LineFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    return logging.getLogger(LOGGER_NAME)


def log_event(logger: logging.Logger, level: int, message: str, **fields: LogValue) -> None:
    """Log one sentence with named values."""
    logger.log(level, "%s", message, extra={"fields": fields})


def log_events(
    logger: logging.Logger, level: int, message: str, each: Sequence[Mapping[str, LogValue]], **shared: LogValue
) -> None:
    """Log one sentence once for each of `each`, written together: the shared values are rendered once.

    Args:
        logger: Where to.
        level: Of all lines.
        message: The sentence.
        each: One line each, at least one value in each; names other than the shared ones.
        shared: What stands first in every line.
    """
    if each:
        logger.log(level, "%s", message, extra={"fields": shared, "each": each})


def describe_exception(error: BaseException) -> str:
    """Describe an exception by its type and places; its text may hold anything, so it is left out."""
    places = []
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    inner = ""
    if isinstance(error, BaseExceptionGroup):
        inner = "".join(f" [{describe_exception(one)}]" for one in error.exceptions)
    return f"{type(error).__name__} at {' < '.join(reversed(places)) or '?'}{inner}"


class LoggingObserver:
    """A `MountObserver` that writes one line per mount."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def mount_finished(self, report: MountReport) -> None:
        """Log who, what, how it ended, how long it took and what it cost."""
        is_fine = report.outcome == "OK"
        fields: dict[str, LogValue] = {
            "outcome": report.outcome,
            "pod": f"{report.namespace}/{report.pod}",
            "class": f"{report.namespace}/{report.class_name}",
            "objects": report.object_count,
            "seconds": round(report.seconds, 3),
            "aws_calls": report.aws_calls,
            "remembered": report.remembered,
            "stale": report.stale,
            "oldest_seconds": round(report.oldest_seconds, 1),
            "is_remount": report.is_remount,
        }
        if report.absent:
            fields["absent"] = ", ".join(report.absent)
        if not is_fine:
            fields |= {"code": report.error_code, "culprit": report.culprit, "error": report.error_text}
        level = logging.INFO if is_fine and not report.stale else logging.WARNING
        log_event(self._logger, level, "mount" if is_fine else "mount failed", **fields)


def _render(fields: Mapping[str, LogValue]) -> str:
    return "".join([f" {name}={_render_value(value)}" for name, value in fields.items()])


def _render_value(value: LogValue) -> str:
    if not isinstance(value, str):
        return str(value)
    return _quote(value) if len(value) <= _REMEMBERED_CHARACTERS else _quote.__wrapped__(value)


@lru_cache(maxsize=4096)
def _quote(text: str) -> str:
    """Names and versions come again with every mount."""
    return text if _PLAIN_WORD.fullmatch(text) else json.dumps(text, ensure_ascii=False)
