"""Keeps one comment per page of a stack's report: found again by its hidden first line, updated, removed when surplus.

Only comments of the poster itself are touched: anybody may write the marker into a comment of his own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lockstep.pull_request.github_api import Comment, GitHub, GitHubError

_NOT_FOUND = 404
_TOO_LONG = 422
_TOO_LONG_TEXT = "The report is too long for a comment; the run's summary and artifacts have it."


def post_pages(github: GitHub, pages: Mapping[str, str], *, author: str, prefixes: Sequence[str]) -> list[str]:
    """Bring the comments of a pull request to what the reports say.

    Args:
        github: The pull request.
        pages: Marker → body; every body begins with its marker.
        author: Who posts; comments of others are left alone.
        prefixes: Beginnings of the markers of the stacks that were reported: of these, other pages are removed.

    Returns:
        What was done, one line each.
    """
    own = [comment for comment in github.comments() if comment.author == author]
    done: list[str] = []
    for marker, body in pages.items():
        done.append(_post(github, _with_marker(own, marker), marker, body))
    for comment in own:
        first = comment.body.partition("\n")[0].strip()
        if first not in pages and first.startswith(tuple(prefixes)):
            github.delete(comment.id)
            done.append(f"removed {first}")
    return done


def _with_marker(comments: Iterable[Comment], marker: str) -> list[Comment]:
    return [comment for comment in comments if comment.body.partition("\n")[0].strip() == marker]


def _post(github: GitHub, existing: Sequence[Comment], marker: str, body: str) -> str:
    for surplus in existing[1:]:  # two runs at once may have made two
        github.delete(surplus.id)
    if existing and existing[0].body.strip() == body.strip():
        return f"kept {marker}"
    try:
        return f"{_put(github, existing, body)} {marker}"
    except GitHubError as error:
        if error.status != _TOO_LONG:
            raise
    # The forge takes less than a page: say where the whole is rather than nothing, in place of what was said before.
    _put(github, existing, f"{marker}\n{_TOO_LONG_TEXT}\n")
    return f"shortened {marker}"


def _put(github: GitHub, existing: Sequence[Comment], body: str) -> str:
    """Give the first comment this text, or make one when there is none or somebody deleted it."""
    if existing:
        try:
            github.update(existing[0].id, body)
        except GitHubError as error:
            if error.status != _NOT_FOUND:
                raise
        else:
            return "updated"
    github.create(body)
    return "created"
