"""Random valid specs: YAML texts that use every feature of version 1 in every combination."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

LABEL = st.from_regex(r"[a-z](?:[a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
SECRET_NAME = st.from_regex(r"(?:[a-z0-9]{1,4}/){0,2}[a-zA-Z0-9_+=.@-]{1,12}", fullmatch=True)
PARAMETER_NAME = st.from_regex(r"/[a-z0-9]{1,5}(?:/[a-zA-Z0-9_.-]{1,8}){0,2}", fullmatch=True)
MODE = st.sampled_from(["0400", "0440", "0444", "0600", "0644"])
KEY_ID = st.uuids().map(str)


@dataclass(frozen=True, kw_only=True)
class SpecText:
    """A spec as text with what a test may want to know of it."""

    text: str
    app: str
    secret_names: tuple[str, ...]
    parameter_names: tuple[str, ...]
    failover: tuple[str, ...]
    files: tuple[str, ...] = field(default=())
    mounted: tuple[tuple[str, str], ...] = field(default=())


@st.composite
def spec_texts(draw: st.DrawFn) -> SpecText:
    """Return the text of one valid app."""
    app = draw(LABEL)
    failover = tuple(draw(st.lists(st.sampled_from(["us-west-2", "ap-south-1"]), unique=True, max_size=2)))
    lines = ["version: 1", f"app: {app!r}", f"namespace: {draw(LABEL)!r}"]
    if draw(st.booleans()):
        lines.append(f"serviceAccount: {draw(LABEL)!r}")
    if draw(st.booleans()):
        lines.append(f"identity: {draw(st.sampled_from(['irsa', 'podIdentity']))}")
    if draw(st.booleans()):
        lines += ["owner: payments-team", f"refreshInterval: {draw(st.sampled_from(['90s', '5m', '1h30m']))}"]
    if failover:
        lines.append(f"failoverRegions: [{', '.join(failover)}]")
    secrets = draw(st.lists(SECRET_NAME, unique=True, max_size=4))
    parameters = draw(st.lists(PARAMETER_NAME, unique=True, min_size=0 if secrets else 1, max_size=4))
    files: list[str] = []
    mounted: list[tuple[str, str]] = []
    for title, names in (("secrets", secrets), ("parameters", parameters)):
        if names:
            lines.append(f"{title}:")
            for name in names:
                lines += _entry(draw, name, files, mounted, failover, parameter=title == "parameters")
    lines += _mounts(app, mounted, sync=draw(st.booleans()))
    return SpecText(
        text="\n".join(lines) + "\n",
        app=app,
        secret_names=tuple(secrets),
        parameter_names=tuple(parameters),
        failover=failover,
        files=tuple(files),
        mounted=tuple(mounted),
    )


def _entry(
    draw: st.DrawFn,
    name: str,
    files: list[str],
    mounted: list[tuple[str, str]],
    failover: tuple[str, ...],
    *,
    parameter: bool,
) -> list[str]:
    lines = [f"  - name: {name!r}", f"    file: {_new_file(draw, files)}"]
    mount = draw(st.sampled_from(["", "tls", "more"]))
    mounted.append((mount, files[-1]))
    if mount:
        lines.append(f"    mount: {mount}")
    if draw(st.booleans()):
        lines.append("    owner: platform")
    if draw(st.booleans()):
        lines.append(f'    mode: "{draw(MODE)}"')
    key = draw(st.sampled_from(["none", "multi", "map"]))
    if key == "multi":
        lines.append(f"    kmsKey: arn:aws:kms:${{region}}:${{account}}:key/mrk-{draw(KEY_ID).replace('-', '')}")
    if key == "map":
        lines.append("    kmsKey:")
        regions = ("eu-west-1", *failover)
        lines += [f"      {region}: arn:aws:kms:{region}:111122223333:key/{draw(KEY_ID)}" for region in regions]
    if draw(st.booleans()):
        lines.append("    keys:")
        lines.append(f"      username: {_new_file(draw, files)}")
        lines.append(f'      "db.port": {{file: {_new_file(draw, files)}, mode: "{draw(MODE)}"}}')
    if parameter:
        lines += draw(st.sampled_from([[], ["    version: 3"], ["    label: blue"]]))
    return lines


def _mounts(app: str, mounted: list[tuple[str, str]], *, sync: bool) -> list[str]:
    names = sorted({mount for mount, _ in mounted})
    further = [f"  {name}: /etc/{name}" for name in names if name]
    lines = ["mounts:", *further] if further else []
    if sync:
        lines.append("sync:")
    for name in names if sync else ():
        lines += [f"  - secret: {app}-env{name}", *([f"    mount: {name}"] if name else []), "    data:"]
        own = (file for mount, file in mounted if mount == name)
        lines += [f"      KEY_{index}: {file}" for index, file in enumerate(own)]
    return lines


def _new_file(draw: st.DrawFn, files: list[str]) -> str:
    folder = draw(st.sampled_from(["", "tls/", "a/b/"]))
    file = f"{folder}file{len(files)}.{draw(st.sampled_from(['json', 'txt', 'y', '1']))}"
    files.append(file)
    return file
