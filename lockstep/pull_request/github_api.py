"""The few calls of GitHub's REST API that comments and labels need: all pages, patient with rate limits.

Source: GitHub REST API, Issues (comments, labels), pagination (`Link`), rate limits (`retry-after`,
`x-ratelimit-remaining`, `x-ratelimit-reset`; secondary limits answer 403 or 429).
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_ATTEMPTS = 5
_LONGEST_WAIT_SECONDS = 120.0
_TIMEOUT_SECONDS = 30
_PAGE_LIMIT = 1000
_SERVER_ERROR = 500


class GitHubError(Exception):
    """A call that did not succeed. `status` is 0 when nothing answered; the text holds no token."""

    def __init__(self, what: str, status: int) -> None:
        """Keep the status."""
        self.status = status
        super().__init__(what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """One comment of a pull request."""

    id: int
    body: str
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """One pull request.

    Attributes:
        api: Such as `https://api.github.com`.
        repository: `owner/name`.
        number: Of the pull request.
        sleep: Waits; the tests replace it.
    """

    api: str
    repository: str
    number: int
    token: str = field(repr=False)
    sleep: Callable[[float], None] = time.sleep

    def comments(self) -> list[Comment]:
        """Return all comments, of every page."""
        found: list[Comment] = []
        for page in range(1, _PAGE_LIMIT + 1):
            answer, has_next = self._call("GET", f"issues/{self.number}/comments?per_page=100&page={page}")
            found += _comments(answer)
            if not has_next:
                break
        return found

    def create(self, body: str) -> None:
        """Add a comment."""
        self._call("POST", f"issues/{self.number}/comments", {"body": body})

    def update(self, comment: int, body: str) -> None:
        """Replace a comment's text; 404 when somebody deleted it."""
        self._call("PATCH", f"issues/comments/{comment}", {"body": body})

    def delete(self, comment: int) -> None:
        """Remove a comment; one that is gone is fine."""
        self._call("DELETE", f"issues/comments/{comment}", accepted=frozenset({404}))

    def add_label(self, name: str) -> None:
        """Put a label on the pull request."""
        self._call("POST", f"issues/{self.number}/labels", {"labels": [name]})

    def remove_label(self, name: str) -> None:
        """Take a label off; one that is not there is fine."""
        path = f"issues/{self.number}/labels/{urllib.parse.quote(name, safe='')}"
        self._call("DELETE", path, accepted=frozenset({404}))

    def _call(
        self, method: str, path: str, body: object = None, *, accepted: frozenset[int] = frozenset()
    ) -> tuple[Any, bool]:
        """Make one call, again while GitHub asks to wait or fails; return its answer and whether a page follows."""
        what = f"{method} {path.partition('?')[0]}"
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._once(method, path, body)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in accepted:
                    return None, False
                wait = _wait_seconds(error, attempt)
                if wait is None or attempt == _ATTEMPTS:
                    raise GitHubError(f"{what} was refused with {error.code} {error.reason}", error.code) from None
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                wait = float(attempt)
                # A POST may have been done although its answer was lost; a second comment is worse than none.
                if attempt == _ATTEMPTS or method == "POST":
                    raise GitHubError(f"{what} got no answer ({type(error).__name__})", 0) from None
            self.sleep(wait)
        raise AssertionError("unreachable")

    def _once(self, method: str, path: str, body: object) -> tuple[Any, bool]:
        request = urllib.request.Request(  # noqa: S310 - the address is the forge's own, from its runner
            f"{self.api}/repos/{self.repository}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "Content-Type": "application/json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "lockstep",
            },
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            text = answer.read()
            return (json.loads(text) if text else None), 'rel="next"' in answer.headers.get("Link", "")


def _wait_seconds(error: urllib.error.HTTPError, attempt: int) -> float | None:
    """Return how long to wait before trying again; None when trying again is useless."""
    headers = error.headers
    if error.code >= _SERVER_ERROR:
        return float(attempt)
    limited = headers.get("x-ratelimit-remaining") == "0" or headers.get("retry-after") is not None
    if error.code not in {403, 429} or not (limited or error.code == 429):  # noqa: PLR2004 - HTTP's own numbers
        return None
    told = headers.get("retry-after", "")
    if told.isdigit():
        return min(float(told), _LONGEST_WAIT_SECONDS)
    reset = headers.get("x-ratelimit-reset", "")
    seconds = float(reset) - time.time() if reset.isdigit() else 2.0**attempt
    return min(max(seconds, 1.0), _LONGEST_WAIT_SECONDS)


def _comments(answer: Any) -> Iterator[Comment]:  # noqa: ANN401 - GitHub's JSON
    for item in answer or []:
        author = (item.get("user") or {}).get("login", "")
        yield Comment(id=int(item["id"]), body=str(item.get("body") or ""), author=str(author))
