"""The document of `pulumi preview --json` to the resources on both sides of it: as they are, and as they would be.

Not done here: what a resource means (preview_documents.py). Values that are not known before a deployment, or that the
document hides as secrets, become `Undecided`; nothing tries to guess them.

Source: pulumi `pkg/display/json.go` (steps), `sdk/go/common/resource/plugin/rpc.go` (sentinels of unknown values).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .documents import Undecided

#: Pulumi's texts for values that are not known at preview, one per type of value.
UNKNOWN_TEXTS = (
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
)
BLINDED = "[secret]"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
#: Steps that change nothing: what they show is there before and after. An import only takes what exists into the state.
_BOTH = frozenset({"same", "read", "refresh", "import"})
#: Steps about leftovers that are no part of either side.
_NEITHER = frozenset({"discard", "discard-replaced", "remove-pending-replace", "read-discard"})
_STACK = "pulumi:pulumi:Stack"
#: The setting that names a stack's environment; rows are named after it, whatever the stack is called.
_ENVIRONMENT = "lockstep:environment"


class NotAPreviewError(ValueError):
    """Data that `pulumi preview --json` did not write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource on one side.

    Attributes:
        properties: Inputs over outputs: after a change the outputs may still be the old ones.
        computed: Names of properties that only the outputs have.
        needs: Property → URNs that its value came from.
    """

    urn: str
    type: str
    properties: Mapping[str, object] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    parent: str = ""
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Logical name."""
        return self.urn.rpartition("::")[2]

    def text(self, key: str) -> str:
        """Return a property that is a known text, else ""."""
        value = self.properties.get(key, "")
        return value if isinstance(value, str) and undecided(value) is None else ""

    def asked(self, key: str) -> object:
        """Return a property that the program asks for; None when it only says what there is."""
        return None if key in self.computed else self.properties.get(key)

    def mapping(self, key: str) -> Mapping[str, object]:
        """Return a property that is a mapping, else an empty one."""
        value = self.properties.get(key)
        return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both sides of a preview.

    Attributes:
        environment: As the stack's settings name it; the stack where they name none, as for a foreign program.
        is_whole: Whether resources that do not change are in the document too.
        left_out: How many are not.
    """

    stack: str
    environment: str = ""
    project: str
    before: tuple[Resource, ...]
    after: tuple[Resource, ...]
    is_whole: bool
    left_out: int = 0


def read_sides(document: object) -> Sides:
    """Read the document.

    Raises:
        NotAPreviewError: It is something else; the message says what is missing.
    """
    steps = document.get("steps") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(steps, list):
        raise NotAPreviewError("it has no list 'steps'")
    before: dict[str, Resource] = {}
    after: dict[str, Resource] = {}
    same = 0
    for index, step in enumerate(steps):
        if not isinstance(step, Mapping) or not isinstance(step.get("urn"), str):
            raise NotAPreviewError(f"steps[{index}] has no urn")
        if step["urn"].count("::") < 3:  # noqa: PLR2004 - urn:pulumi:<stack>::<project>::<type>::<name>
            raise NotAPreviewError(f"the urn of steps[{index}] is none of Pulumi's")
        same += step.get("op") == "same"
        old, new = _two(step)
        if old is not None:
            before.setdefault(old.urn, old)
        if new is not None:
            after[new.urn] = new
    summary = document.get("changeSummary")
    told = summary.get("same", 0) if isinstance(summary, Mapping) else 0
    left_out = max(0, int(told) - same) if isinstance(told, int) else 0
    stack, project = _names(steps)
    return Sides(
        stack=stack,
        environment=_environment(document) or stack,
        project=project,
        before=tuple(before[urn] for urn in sorted(before)),
        after=tuple(after[urn] for urn in sorted(after)),
        is_whole=left_out == 0,
        left_out=left_out,
    )


def _environment(document: Mapping[str, object]) -> str:
    config = document.get("config")
    name = config.get(_ENVIRONMENT, "") if isinstance(config, Mapping) else ""
    return name if isinstance(name, str) and undecided(name) is None else ""


def _names(steps: Iterable[Mapping[str, object]]) -> tuple[str, str]:
    for step in steps:
        parts = str(step["urn"]).split("::")
        if len(parts) > 2:  # noqa: PLR2004 - urn:pulumi:<stack>::<project>::<type>::<name>
            return parts[0].removeprefix("urn:pulumi:"), parts[1]
    return "", ""


def _two(step: Mapping[str, object]) -> tuple[Resource | None, Resource | None]:
    operation = step.get("op")
    if operation in _NEITHER:
        return None, None
    old, new = _resource(step, "oldState"), _resource(step, "newState")
    if operation in _BOTH:
        there = new or old
        return there, there
    if operation == "delete" and old is not None and _is_kept(step.get("oldState")):
        return old, old  # it leaves the state and stays in the account
    return old, _without_stale(old, new) if old is not None and new is not None else new


def _without_stale(old: Resource, new: Resource) -> Resource:
    """Leave out what the program no longer asks for: after an update the outputs may still be the old ones."""
    asked = old.properties.keys() - old.computed
    stale = {key for key in new.computed if key in asked and key != "name"}
    return replace(new, properties={key: value for key, value in new.properties.items() if key not in stale})


def _is_kept(state: object) -> bool:
    return isinstance(state, Mapping) and state.get("retainOnDelete") is True


def _resource(step: Mapping[str, object], key: str) -> Resource | None:
    state = step.get(key)
    if not isinstance(state, Mapping) or state.get("delete") is True:
        return None
    outputs, inputs = state.get("outputs"), state.get("inputs")
    properties = {
        # What only the cloud will say is no question about what the program asks for.
        **({k: v for k, v in outputs.items() if undecided(v) is None} if isinstance(outputs, Mapping) else {}),
        **(inputs if isinstance(inputs, Mapping) else {}),
    }
    kind = state.get("type")
    resource = Resource(urn=str(step["urn"]), type=str(kind or str(step["urn"]).split("::")[2].rpartition("$")[2]))
    needs = state.get("propertyDependencies")
    return replace(
        resource,
        properties={str(name): value for name, value in properties.items()},
        computed=frozenset(map(str, properties.keys() - (inputs.keys() if isinstance(inputs, Mapping) else set()))),
        parent=str(state.get("parent") or ""),
        needs={
            str(name): tuple(str(urn) for urn in urns)
            for name, urns in (needs.items() if isinstance(needs, Mapping) else ())
            if isinstance(urns, list)
        },
    )


def undecided(value: object) -> Undecided | None:
    """Say why a value, or anything inside it, is not known; None when all of it is."""
    if isinstance(value, str):
        if any(text in value for text in UNKNOWN_TEXTS):
            return Undecided(reason="it is known only after the deployment")
        return Undecided(reason="the preview hides it as a secret") if value == BLINDED else None
    if isinstance(value, Mapping):
        if _SIGNATURE in value:
            return Undecided(reason="the preview hides it as a secret")
        return next((found for item in value.values() if (found := undecided(item))), None)
    if isinstance(value, list):
        return next((found for item in value if (found := undecided(item))), None)
    return None
