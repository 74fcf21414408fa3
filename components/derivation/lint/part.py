"""YAML and JSON that somebody else wrote, as parts that know their place and their characters.

A spec is read strictly (yaml_source.py); manifests and policies are read as their own readers take them: aliases, odd
types and repeated keys are there to be found, not to be refused. A `Part` points at one node; asking for what is not
there gives an absent part at the same place, so that a rule reads like the document. Nothing is decided here.

Text inside text (the `objects` document of a class, a policy as a JSON string) becomes parts of its own whose places
are those of the outer file, wherever the outer style lets characters be told apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

from ..errors import Spot
from ..yaml_depth import nests_too_deeply

#: A `kubectl get -A -o json` of a big cluster is some megabytes.
LIMIT_BYTES: Final = 32 * 1024 * 1024
#: Nodes after aliases are written out: a few aliases can stand for gigabytes.
NODE_LIMIT: Final = 2_000_000

_KINDS = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:null": "nothing",
}


class UnreadableError(Exception):
    """A text is no YAML or JSON, or is out of bounds. `spot` says where, `what` in words."""

    def __init__(self, spot: Spot, what: str) -> None:
        """Keep place and words."""
        self.spot, self.what = spot, what
        super().__init__(f"{spot}: {what}")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A text with a name. A nested one also knows the scalar that holds it.

    Attributes:
        name: The file as the user named it.
        text: The characters that marks count.
        written: The same in the file, character by character; "" means: as `text`.
        outer: The part whose value the text is, or None for a file.
        indent: Of a literal block in its file, in characters; None when characters cannot be mapped one by one.
    """

    name: str
    text: str
    written: str = ""
    outer: Part | None = None
    indent: int | None = None

    def spot(self, line: int, column: int, path: str) -> Spot:
        """Return the place of a 0-based line and column, in the file."""
        if self.outer is None:
            return Spot(source=self.name, line=line + 1, column=column + 1, field=path)
        outside = self.outer.spot
        if self.indent is None:
            return Spot(source=outside.source, line=outside.line, column=outside.column, field=path)
        return Spot(source=outside.source, line=outside.line + 1 + line, column=self.indent + column + 1, field=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replace the characters `start` to `end` (exclusive, counted in `source.text`) by `text`."""

    source: Source
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """One node of a document, or the absence of one."""

    source: Source = field(repr=False)
    node: yaml.Node | None = field(repr=False)
    path: str
    parent_spot: Spot | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.node is not None

    @property
    def spot(self) -> Spot:
        """The place of the node; of an absent one, the place where it was looked for."""
        if self.node is None:
            assert self.parent_spot is not None  # noqa: S101 - absent parts are made by `get` alone
            return self.parent_spot
        mark = self.node.start_mark
        return self.source.spot(mark.line, mark.column, self.path)

    @property
    def kind(self) -> str:
        """One of text, number, boolean, nothing, list, mapping, absent, or the YAML tag of anything else."""
        match self.node:
            case None:
                return "absent"
            case yaml.SequenceNode():
                return "list"
            case yaml.MappingNode():
                return "mapping"
            case node:
                return _KINDS.get(str(node.tag), str(node.tag))

    @property
    def text(self) -> str:
        """The text of a scalar as written; "" for anything else and for null."""
        return str(self.node.value) if isinstance(self.node, yaml.ScalarNode) and self.kind != "nothing" else ""

    @property
    def is_true(self) -> bool:
        """Whether the scalar is a YAML or JSON `true`."""
        return self.kind == "boolean" and self.text.lower() in {"true", "yes", "on"}

    def get(self, *keys: str) -> Part:
        """Return the value below one key after the other. Of a repeated key the last counts, as in Go and JSON."""
        part = self
        for key in keys:
            found = [value for name, value in part.entries() if name.text == key]
            path = f"{part.path}.{key}" if part.path else key
            part = found[-1] if found else Part(part.source, None, path, part.spot)
        return part

    def key(self, name: str) -> Part:
        """Return the key itself, as a part."""
        found = [key for key, _ in self.entries() if key.text == name]
        return found[-1] if found else Part(self.source, None, self.path, self.spot)

    def entries(self) -> Iterator[tuple[Part, Part]]:
        """Yield keys and values of a mapping, in order; nothing for anything else."""
        if isinstance(self.node, yaml.MappingNode):
            for key, value in self.node.value:
                text = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
                path = f"{self.path}.{text}" if self.path else text
                yield Part(self.source, key, path), Part(self.source, value, path)

    def items(self) -> Iterator[Part]:
        """Yield the items of a list, in order; nothing for anything else."""
        if isinstance(self.node, yaml.SequenceNode):
            for index, item in enumerate(self.node.value):
                yield Part(self.source, item, f"{self.path}[{index}]")

    def each(self) -> Iterator[Part]:
        """Yield the items of a list, or the one scalar or mapping that stands in its place (IAM allows both)."""
        if isinstance(self.node, yaml.SequenceNode):
            yield from self.items()
        elif self.node is not None and self.kind != "nothing":
            yield self

    def texts(self) -> tuple[str, ...]:
        """Return the scalars of `each`, as texts."""
        return tuple(part.text for part in self.each() if isinstance(part.node, yaml.ScalarNode))

    def at(self, path: str) -> Part:
        """Follow a path such as `[1].jmesPath[0].path` as far as it leads."""
        part = self
        for step in path.replace("[", ".[").split("."):
            if step.startswith("["):
                index = step.strip("[]")
                items = list(part.items())
                found = items[int(index)] if index.isdigit() and int(index) < len(items) else None
            else:
                found = part.get(step) if step else part
            if not found:
                break
            part = found
        return part

    # ------------------------------------------------------------------------------------------------------ characters

    def replaced(self, text: str) -> Edit | None:
        """Return the edit that gives a one-line scalar another value, in its own quoting; None when it cannot."""
        node = self.node
        if not isinstance(node, yaml.ScalarNode) or node.start_mark.line != node.end_mark.line or "\n" in text:
            return None
        style = node.style or ("" if _is_plain(text, self) else '"')
        new = {"'": "'" + text.replace("'", "''") + "'", '"': json.dumps(text, ensure_ascii=False), "": text}.get(style)
        if new is None:
            return None
        return Edit(source=self.source, start=node.start_mark.index, end=node.end_mark.index, text=new)

    def quoted(self) -> Edit | None:
        """Return the edit that puts a plain scalar of one line into double quotes, its characters unchanged."""
        node = self.node
        if not isinstance(node, yaml.ScalarNode) or node.style or not node.value:
            return None
        text = json.dumps(str(node.value), ensure_ascii=False)
        return Edit(source=self.source, start=node.start_mark.index, end=node.end_mark.index, text=text)

    def with_member(self, name: str, text: str) -> Edit | None:
        """Return the edit that puts `name: text` before the first member of a mapping; None for an empty one."""
        node = self.node
        if not isinstance(node, yaml.MappingNode) or not node.value:
            return None
        start = node.value[0][0].start_mark
        if node.flow_style:
            json_like = self.source.text[start.index] == '"'
            line = f'"{name}": {text}, ' if json_like else f"{name}: {text}, "
        else:
            line = f"{name}: {text}\n{' ' * start.column}"
        return Edit(source=self.source, start=start.index, end=start.index, text=line)


def _is_plain(text: str, part: Part) -> bool:
    """Say whether YAML reads the text without quotes as the same text, where the part stands."""
    if any(char in text for char in "{}[],&*?|>!%@`#\"'") or text != text.strip():
        return False
    try:
        node = yaml.compose(f"k: {text}", Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return False
    value = node.value[0][1] if isinstance(node, yaml.MappingNode) else None
    return isinstance(value, yaml.ScalarNode) and value.value == text and Part(part.source, value, "").kind == "text"


def read_documents(text: str, source: str) -> tuple[Part, ...]:
    """Read every document of a YAML or JSON text.

    Returns:
        The roots that are not empty, in order.

    Raises:
        UnreadableError: No YAML, larger than `LIMIT_BYTES`, or of more than `NODE_LIMIT` nodes.
    """
    return _compose(Source(source, _without_tabs(text), written=text))


def nested(part: Part) -> tuple[Part, ...]:
    """Read the text of a scalar as a document of its own.

    Raises:
        UnreadableError: As `read_documents`; the place is the file's.
    """
    node = part.node
    assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - callers ask for texts only
    indent = _block_indent(part, node) if node.style == "|" else None
    return _compose(Source(part.source.name, str(node.value), outer=part, indent=indent))


def _block_indent(part: Part, node: yaml.ScalarNode) -> int | None:
    """Return the indentation of a literal block that stands in a file; None when it stands in another text."""
    if part.source.outer is not None or any(char in node.value for char in "\r\x85\u2028\u2029"):
        return None
    lines = part.source.text.splitlines()[node.start_mark.line + 1 : node.end_mark.line + 1]
    for outside, inside in zip(lines, str(node.value).splitlines(), strict=False):
        if inside.strip():
            return len(outside) - len(inside) if outside.endswith(inside) else None
    return None


def _without_tabs(text: str) -> str:
    """JSON may be indented by tabs, YAML not. A valid JSON text has no raw tab inside a string."""
    if "\t" in text and text.lstrip()[:1] in {"{", "["}:
        try:
            json.loads(text)
        except ValueError:
            return text
        return text.replace("\t", " ")
    return text


def _compose(source: Source) -> tuple[Part, ...]:
    top = source.spot(0, 0, "")
    if len(source.text.encode("utf-8", "surrogatepass")) > LIMIT_BYTES:
        raise UnreadableError(top, f"the text is larger than {LIMIT_BYTES // 1024 // 1024} MiB")
    if nests_too_deeply(source.text):
        raise UnreadableError(top, "the nesting is too deep")
    try:
        roots = list(yaml.compose_all(source.text, Loader=yaml.CSafeLoader))
        if sum(_size(root, {}) for root in roots) > NODE_LIMIT:
            raise UnreadableError(top, "its aliases stand for too many nodes")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        spot = source.spot(mark.line, mark.column, "") if mark else top
        detail = " ".join(" ".join(str(part) for part in (error.context, error.problem) if part).split())
        raise UnreadableError(spot, f"this is neither YAML nor JSON ({detail})") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise UnreadableError(top, f"this is neither YAML nor JSON ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise UnreadableError(top, "the nesting is too deep, or an alias holds itself") from None
    path = source.outer.path if source.outer else ""
    parts = (Part(source, root, path) for root in roots)
    return tuple(part for part in parts if part.kind != "nothing")


def _size(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Count nodes as if aliases were written out."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = NODE_LIMIT  # an alias that holds itself counts as too many
        children = (
            [child for pair in node.value for child in pair] if isinstance(node, yaml.MappingNode) else node.value
        )
        known[id(node)] = 1 + sum(_size(child, known) for child in children)
    return known[id(node)]
