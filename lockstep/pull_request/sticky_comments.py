"""Keeps one comment per page of a stack's report: found again by its hidden first line, updated, removed when surplus.

Only comments of the poster itself are touched: anybody may write the marker into a comment of his own.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from lockstep.pull_request.github_api import Comment, GitHub, GitHubError

#: Notices on top of a comment that is not of this run.
FAILED = "> [!CAUTION]\n> The access diff failed: see the run. What follows is of earlier commits."
GONE = "> [!NOTE]\n> The newest access report has no such part any more. What follows is of earlier commits."
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


def mark_outdated(
    github: GitHub, notice: str, *, author: str, prefixes: Sequence[str], current: Container[str]
) -> list[str]:
    """Put a notice on top of the comments that nothing of this run speaks for; what they say stays below it.

    Args:
        github: The pull request.
        notice: One of `FAILED` and `GONE`.
        author: Who posts; comments of others are left alone.
        prefixes: Beginnings of the markers that are looked at.
        current: Markers of this run's own pages.

    Returns:
        What was done, one line each.
    """
    done: list[str] = []
    for comment in github.comments():
        first, _, rest = comment.body.partition("\n")
        first = first.strip()
        if comment.author != author or first in current or not first.startswith(tuple(prefixes)):
            continue
        for known in (FAILED, GONE):
            rest = rest.removeprefix(known).lstrip()
        body = f"{first}\n{notice}\n\n{rest}"
        if body.strip() != comment.body.strip():
            _post(github, [comment], first, body)
            done.append(f"marked {first}")
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
