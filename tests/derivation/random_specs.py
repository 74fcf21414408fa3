"""Random valid specs: YAML texts that use every feature of version 1 in every combination, with what they ask for."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

REGION = "eu-west-1"
ACCOUNT = "111122223333"
SECOND_ACCOUNT = "999988887777"
OTHER_ACCOUNT = "444455556666"
SECOND_ROLE = f"arn:aws:iam::{SECOND_ACCOUNT}:role/readers/second"
SUFFIX = "-Ab12Cd"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/ci/deployer"
BREAK_GLASS = f"arn:aws:iam::{ACCOUNT}:role/break-glass"
#: Of an earlier name of an app: longer than any app's name.
EARLIER = "-as-it-was-before"

_LOWER, _LOWER_ALNUM = string.ascii_lowercase, string.ascii_lowercase + string.digits
_ALNUM = string.ascii_letters + string.digits


def _joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Put parts after one another. Drawn by the part: from_regex draws by the letter, a third of a spec's time."""
    return st.tuples(*parts).map("".join)


def _at_most_two(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(part, max_size=2).map("".join)


def _letters(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


_PATH_PARTS = _at_most_two(_letters(f"{_ALNUM}_.-", 1, 8).map("/{}".format))
#: [a-z](?:[a-z0-9-]{0,10}[a-z0-9])?
LABEL = _joined(
    st.sampled_from(_LOWER), st.just("") | _joined(_letters(f"{_LOWER_ALNUM}-", 0, 10), st.sampled_from(_LOWER_ALNUM))
)
#: (?:[a-z0-9]{1,4}/){0,2}[a-zA-Z0-9_+=.@-]{1,12}(?:-config|-Zz9Zz9)? Some end in what could be a random suffix.
SECRET_NAME = _joined(
    _at_most_two(_letters(_LOWER_ALNUM, 1, 4).map("{}/".format)),
    _letters(f"{_ALNUM}_+=.@-", 1, 12),
    st.sampled_from(["", "-config", "-Zz9Zz9"]),
)
#: /?[a-z0-9]{1,5}(?:/[a-zA-Z0-9_.-]{1,8}){0,2}
PARAMETER_NAME = _joined(st.sampled_from(["", "/"]), _letters(_LOWER_ALNUM, 1, 5), _PATH_PARTS)
#: /tree-[0-9](?:/[a-zA-Z0-9_.-]{1,8}){0,2}
PATH = _joined(st.sampled_from(string.digits).map("/tree-{}".format), _PATH_PARTS)
MODE = st.sampled_from(["0400", "0440", "0444", "0600", "0644"])
#: Names below each other to any depth, and what is no plain name.
JSON_PATH = st.sampled_from(["db.port", "a.b.c", 'a."b-c".d.e', "list[0].name", "@"])
KEY_ID = st.uuids().map(str)
STAGES = ("AWSCURRENT", "AWSPREVIOUS", "AWSPENDING")
VERSIONS = ("a" * 32, "b" * 36)


@dataclass(frozen=True, kw_only=True)
class AskedRead:
    """One object in one region, as the spec asks for it; `arn` is the whole ARN that AWS would give it."""

    is_secret: bool
    region: str
    name: str
    arn: str
    key: str
    stage: str = ""
    version_id: str = ""
    is_optional: bool = False
    is_suffix_known: bool = False
    is_path: bool = False


@dataclass(frozen=True, kw_only=True)
class SpecText:
    """A spec as text with what a test may want to know of it."""

    text: str
    app: str
    reads: tuple[AskedRead, ...]
    failover: tuple[str, ...]
    mounted: tuple[tuple[str, str], ...]
    settings: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objects in file order."""
        return tuple(read.name for read in self.reads if read.region == REGION and not read.is_path)


@dataclass
class _Draft:
    failover: tuple[str, ...]
    account: str
    reads: list[AskedRead] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    plain: dict[str, list[str]] = field(default_factory=dict)
    mounted: list[tuple[str, str]] = field(default_factory=list)
    may_restrict: bool = False


@st.composite
def spec_texts(draw: st.DrawFn, app: st.SearchStrategy[str] = LABEL, *, plain: bool = False) -> SpecText:
    """Return the text of one valid app. `plain` leaves out second roles, so that its own role reads."""
    name = draw(app)
    failover = tuple(draw(st.lists(st.sampled_from(["us-west-2", "ap-south-1"]), unique=True, max_size=2)))
    lines = ["version: 1", f"app: {name!r}", f"namespace: {draw(LABEL)!r}"]
    identity, settings = draw(_identities(plain=plain))
    lines += identity
    # A session policy has room for little.
    failover, most = ((), 1) if "sessionPolicy" in settings else (failover, 4)
    if draw(st.booleans()):
        lines.append(f"renamedFrom: [{name}{EARLIER}]")
        settings |= {"renamed"}
    if failover:
        lines.append(f"failoverRegions: [{', '.join(failover)}]")
    for line in (
        "owner: payments-team",
        "refreshInterval: 90s",
        "podLabels: {compute: batch}",
        f"serviceAccount: {name}-sa",
    ):
        if draw(st.booleans()):
            lines.append(line)
    if draw(st.booleans()):
        lines += ["suppress:", "  - {rule: LS802, reason: known}"]
    draft = _Draft(failover=failover, account=SECOND_ACCOUNT if "chain" in settings else ACCOUNT)
    draft.may_restrict = "owner: payments-team" in lines and "chain" not in settings
    secrets = draw(st.lists(SECRET_NAME, unique=True, max_size=most))
    parameters = draw(
        st.lists(PARAMETER_NAME, unique_by=lambda n: n.strip("/"), min_size=0 if secrets else 1, max_size=most)
    )
    for title, names in (("secrets", secrets), ("parameters", parameters)):
        if names:
            lines.append(f"{title}:")
            for item in names:
                lines += _entry(draw, item, draft, is_secret=title == "secrets")
    lines += _paths(draw, draft, most=most // 2)
    lines += _mounts(name, draft.mounted, sync=draw(st.booleans()))
    return SpecText(
        text="\n".join(lines) + "\n",
        app=name,
        reads=tuple(draft.reads),
        failover=failover,
        mounted=tuple(draft.mounted),
        settings=settings,
    )


@st.composite
def _identities(draw: st.DrawFn, *, plain: bool) -> tuple[list[str], frozenset[str]]:
    """Return the lines of an app's identity, and words for what they say."""
    identity = draw(st.sampled_from(["irsa", "podIdentity"]))
    lines, settings = [f"identity: {identity}"], {identity}
    chain = draw(st.sampled_from(["none"] if plain else ["none", "none", "provider", "external", "eks"]))
    if identity == "podIdentity" and draw(st.booleans()):
        scope = draw(st.sampled_from(["role", "sessionPolicy", "sessionTags"]))
        settings.add(scope)
        lines += ["podIdentity:", f"  scope: {scope}", f"  shareAcrossPods: {draw(st.sampled_from(['true', 'false']))}"]
        if chain == "eks":
            lines.append(f"  targetRole: {SECOND_ROLE}")
            settings |= {"chain", "eks"}
    if chain in {"provider", "external"}:
        lines += ["assumeRole:", f"  role: {SECOND_ROLE}"]
        lines += ["  externalId: lockstep/${environment}"] if chain == "external" else []
        settings |= {"chain", chain}
    return lines, frozenset(settings)


def _entry(draw: st.DrawFn, name: str, draft: _Draft, *, is_secret: bool) -> list[str]:
    reads, lines = _reads(draw, name, draft, is_secret=is_secret)
    file = _new_file(draw, draft)
    mount = draw(st.sampled_from(["", "tls", "more"]))
    draft.mounted.append((mount, file))
    lines.append(f"    file: {file}")
    lines += [f"    mount: {mount}"] if mount else []
    chosen = [
        line
        for line in ('mode: "0400"', "owner: platform", "encoding: base64", "nonText: refuse")
        if draw(st.booleans())
    ]
    lines += [f"    {line}" for line in chosen]
    plain = draft.plain.setdefault(mount, [])
    plain.append(file)
    keys = draw(st.sampled_from(["none", "all", "some"]))
    if keys == "all":
        lines.append('    keys: "*"')
    elif keys == "some":
        first, second = _new_file(draw, draft), _new_file(draw, draft)
        plain += [first, second]
        lines += ["    keys:", f"      username: {first}"]
        path = json.dumps(draw(JSON_PATH))
        lines.append(f'      {path}: {{file: {second}, mode: "{draw(MODE)}", encoding: base64, nonText: render}}')
    if draw(st.booleans()):
        text = f"a=${{{draw(st.sampled_from(plain))}}}\n$${{literal}} $HOME é\n"
        lines += ["    template:", f"      file: {_new_file(draw, draft)}", f"      text: {json.dumps(text)}"]
    is_own = is_secret and all(read.arn.split(":")[4] == ACCOUNT for read in reads)
    if draft.may_restrict and is_own and "owner: platform" not in chosen and draw(st.booleans()):
        lines.append(f"    restrict: {{breakGlass: ['{BREAK_GLASS}'], adopt: true}}")
        draft.reads += reads
        return lines
    may_be_missing = not is_secret or not any(is_suffix_like(part) for part in _names_of(name, reads))
    if may_be_missing and draw(st.booleans()):
        lines.append("    optional: true")
        reads = [_optional(read) for read in reads]
    draft.reads += reads
    return lines


def _paths(draw: st.DrawFn, draft: _Draft, *, most: int) -> Iterator[str]:
    """Yield the lines of what the app reads by path; the paths lie beside every parameter."""
    paths = draw(st.lists(PATH, unique=True, max_size=most))
    yield from ["parameterPaths:"] if paths else []
    for path in paths:
        yield f"  - path: {path}"
        yield "    reason: the library reads the tree"
        key = draw(st.sampled_from(["", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{draw(KEY_ID)}"]))
        yield from [f"    kmsKey: {key}"] if key else []
        arn = _arn(path, REGION, draft.account, is_secret=False)
        draft.reads.append(AskedRead(is_secret=False, is_path=True, region=REGION, name=path, arn=arn, key=key))


def is_suffix_like(name: str) -> bool:
    """Say whether a name ends in what could be the random suffix of a shorter one."""
    return re.search(r"-[A-Za-z0-9]{6}\Z", name) is not None


def _names_of(name: str, reads: list[AskedRead]) -> Iterator[str]:
    """Yield the name and what failover regions call it."""
    yield name
    yield from (read.arn.removesuffix(SUFFIX) for read in reads)


def _optional(read: AskedRead) -> AskedRead:
    return replace(read, is_optional=True)


def _reads(draw: st.DrawFn, name: str, draft: _Draft, *, is_secret: bool) -> tuple[list[AskedRead], list[str]]:
    """Return the reads of one object in each region, and the lines that ask for them."""
    form = draw(st.sampled_from(["name", "own-arn", "foreign-arn"]))
    account = OTHER_ACCOUNT if form == "foreign-arn" else draft.account
    regions = (REGION, *draft.failover)
    arns = {region: _arn(name, region, account, is_secret=is_secret) for region in regions}
    asked = name if form == "name" else arns[REGION]
    selector = draw(st.sampled_from(["none", "stage", "versionId"] if is_secret else ["none", "version", "label"]))
    keys, key_lines, failover_keys = _keys(draw, regions, needed=form == "foreign-arn" and is_secret)
    lines = [f"  - name: {asked!r}", *key_lines]
    values = {region: _selector_value(draw, selector) for region in regions}
    if selector in {"version", "versionId"}:
        values = dict.fromkeys(regions, values[REGION])
    if selector != "none":
        lines.append(f"    {selector}: {values[REGION]}")
    differs = [region for region in draft.failover if values[region] != values[REGION]]
    renamed = [region for region in draft.failover if form == "name" and draw(st.booleans())]
    if differs or renamed or failover_keys:
        lines.append("    failover:")
    # A secret of another account needs a customer key.
    owned = [region for region in renamed if (not is_secret or bool(keys.get(region))) and draw(st.booleans())]
    ending = draw(st.sampled_from(["x", "-apikey"])) if renamed and is_secret else "x"
    for region in draft.failover:
        inner = [f"{selector}: {values[region]}"] if region in differs else []
        if region in owned:
            arns[region] = _arn(f"{name}{ending}", region, OTHER_ACCOUNT, is_secret=is_secret)
            inner.append(f"name: {json.dumps(arns[region])}")
        elif region in renamed:
            arns[region] = _arn(f"{name}{ending}", region, account, is_secret=is_secret)
            inner.append(f"name: {json.dumps(f'{name}{ending}')}")
        inner += [f"kmsKey: '{failover_keys[region]}'"] if region in failover_keys else []
        if inner:
            lines.append(f"      {region}: {{{', '.join(inner)}}}")
    reads = [
        AskedRead(
            is_secret=is_secret,
            region=region,
            name=asked,
            arn=arns[region],
            key=keys.get(region, ""),
            stage=str(values[region]) if selector == "stage" else "",
            version_id=str(values[region]) if selector == "versionId" else "",
            is_suffix_known=form != "name" or region in owned,
        )
        for region in regions
    ]
    return reads, lines


def _selector_value(draw: st.DrawFn, selector: str) -> str | int:
    choices: dict[str, tuple[str | int, ...]] = {
        "stage": STAGES,
        "versionId": VERSIONS,
        "version": (3, 7),
        "label": ("blue", "green"),
        "none": ("",),
    }
    return draw(st.sampled_from(choices[selector]))


def _arn(name: str, region: str, account: str, *, is_secret: bool) -> str:
    if is_secret:
        return f"arn:aws:secretsmanager:{region}:{account}:secret:{name}{SUFFIX}"
    return f"arn:aws:ssm:{region}:{account}:parameter/{name.removeprefix('/')}"


def _keys(
    draw: st.DrawFn, regions: tuple[str, ...], *, needed: bool
) -> tuple[dict[str, str], list[str], dict[str, str]]:
    """Return the key of each region, the lines that name them, and what stands below `failover` instead.

    Unless a key is needed, some regions have AWS's own, which is said as "aws" where others have another one.
    """
    kind = draw(
        st.sampled_from(["multi", "map", "failover"] if needed else ["none", "own", "multi", "map", "failover"])
    )
    if kind in {"none", "own"}:
        return {}, ["    kmsKey: aws"] if kind == "own" else [], {}
    if kind == "multi":
        key = f"mrk-{draw(KEY_ID).replace('-', '')}"
        arns = {region: f"arn:aws:kms:{region}:{ACCOUNT}:key/{key}" for region in regions}
        return arns, [f"    kmsKey: arn:aws:kms:${{region}}:${{account}}:key/{key}"], {}
    is_own = {region: not needed and draw(st.booleans()) for region in regions}
    arns = {region: f"arn:aws:kms:{region}:{OTHER_ACCOUNT}:key/{draw(KEY_ID)}" for region in regions}
    words = {region: "aws" if is_own[region] else arn for region, arn in arns.items()}
    customers = {region: arn for region, arn in arns.items() if not is_own[region]}
    if kind == "map":
        return customers, ["    kmsKey:", *(f"      {region}: {word}" for region, word in words.items())], {}
    first, *others = regions
    return customers, [f"    kmsKey: {words[first]}"], {region: words[region] for region in others}


def _mounts(app: str, mounted: list[tuple[str, str]], *, sync: bool) -> Iterator[str]:
    names = sorted({mount for mount, _ in mounted})
    if any(names):
        yield "mounts:"
        yield from (f"  {name}: /etc/{name}" for name in names if name)
    if not sync:
        return
    yield "sync:"
    for name in names:
        yield f"  - secret: {app}-env{name}"
        yield from [f"    mount: {name}"] if name else []
        yield "    data:"
        own = (file for mount, file in mounted if mount == name)
        yield from (f"      KEY_{index}: {file}" for index, file in enumerate(own))


def _new_file(draw: st.DrawFn, draft: _Draft) -> str:
    folder = draw(st.sampled_from(["", "tls/", "a/b/"]))
    file = f"{folder}file{len(draft.files)}.{draw(st.sampled_from(['json', 'txt', 'y', '1']))}"
    draft.files.append(file)
    return file
