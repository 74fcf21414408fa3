"""Programs that show an engine's rules; test_engine_rules.py plays them.

A case is a row of programs that are deployed one after the other; REMOVE stands for a destroy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

REMOVE: Final = ""

PRELUDE: Final = """
import pulumi
from pulumi import Alias, CustomTimeouts, ResourceOptions as Opts

class Box(pulumi.CustomResource):
    serial: pulumi.Output[int]
    note: pulumi.Output[str]
    def __init__(self, name, opts=None, **inputs):
        super().__init__("toy:index:Box", name, {"serial": None, "note": None, **inputs}, opts)

class Lid(pulumi.CustomResource):
    def __init__(self, name, opts=None, **inputs):
        super().__init__("toy:index:Lid", name, inputs, opts)

class Shelf(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("toy:index:Shelf", name, {}, opts)
        self.register_outputs({})

class Toys(pulumi.ProviderResource):
    def __init__(self, name, opts=None, **settings):
        super().__init__("toy", name, settings, opts)

config = pulumi.Config("proj")
"""

_COVERED = """
box = Box("a", label="{label}", place="{place}")
Lid("lid", box=box.id, label="lid")
pulumi.export("serial", box.serial)
"""
_IN_PLACE = """
box = Box("a", label="one", place="{place}", opts=Opts(delete_before_replace=True))
Lid("lid", box=box.id, label="lid")
Box("c", label=box.serial.apply(str))
"""
_SECRET = """
box = Box("a", label="one", note=pulumi.Output.secret("{value}"))
Box("b", label=pulumi.Output.concat("x-", box.note))
pulumi.export("note", box.note)
"""
_OWN_PROVIDER = """
toys = Toys("toys", place="{place}", n=1)
shelf = Shelf("shelf", Opts(providers=[toys]))
Box("a", label="one", opts=Opts(parent=shelf))
Box("b", label="two", opts=Opts(provider=toys))
Box("c", label="three")
"""
_RENAMED = """
box = Box("{name}", label="one", opts=Opts(aliases=[Alias(name="a")]))
Lid("lid", box=box.id, label="lid")
"""
_FAMILY = """
outer = Shelf("{name}", Opts(aliases=[Alias(name="a")]))
inner = Shelf("{name}-inner", Opts(parent=outer))
box = Box("{name}-box", label="one", opts=Opts(parent=inner))
Box("other", label="two", opts=Opts(parent=inner, aliases=[Alias(name="{name}-odd")]))
Lid("lid", box=box.id, label="lid")
"""

#: Cases whose plans have the same steps, and old records under another name: Pulumi's under the old one.
RENAMING: Final = frozenset({"a renamed box", "a renamed shelf with shelves in it", "a box that moves under a shelf"})

CASES: Final[Mapping[str, tuple[str, ...]]] = {
    "a box with a lid, changed, left alone and removed": (
        _COVERED.format(label="one", place="here"),
        _COVERED.format(label="two", place="here"),
        _COVERED.format(label="two", place="here"),
        "Box('b', label='two')",
        REMOVE,
    ),
    "parents, dependencies and the options of a component": (
        """
        shelf = Shelf("shelf", Opts(retain_on_delete=True))
        first = Box("first", label="1", opts=Opts(parent=shelf))
        second = Box("second", label="2", opts=Opts(parent=shelf, depends_on=[first], retain_on_delete=False))
        Box("third", label="3", opts=Opts(parent=second, deleted_with=first))
        Box("fourth", label="4", opts=Opts(depends_on=[shelf]))
        """,
        "Shelf('shelf')",
        REMOVE,
    ),
    "a box in another place is another box": (
        _COVERED.format(label="one", place="here"),
        _COVERED.format(label="one", place="there"),
        REMOVE,
    ),
    "the old box goes first": (
        _IN_PLACE.format(place="here"),
        _IN_PLACE.format(place="there"),
        REMOVE,
    ),
    "what is protected stays": (
        "Box('a', label='one', opts=Opts(protect=True))",
        "Box('b', label='two')",
        "Box('a', label='one', place='there', opts=Opts(protect=True))",
        "Box('a', label='one')",
        REMOVE,
    ),
    "secrets stay secret": (
        _SECRET.format(value="canary"),
        _SECRET.format(value="canary-2"),
        REMOVE,
    ),
    "additional secret outputs": (
        "Box('a', label='one', opts=Opts(additional_secret_outputs=['serial']))",
        "Box('a', label='two', opts=Opts(additional_secret_outputs=['serial']))",
    ),
    "ignored changes": (
        "Box('a', label='one', note='n', opts=Opts(ignore_changes=['label']))",
        "Box('a', label='two', note='m', opts=Opts(ignore_changes=['label']))",
        "Box('a', note='m', opts=Opts(ignore_changes=['label']))",
    ),
    "timeouts of its own": (
        "Box('a', label='one', opts=Opts(custom_timeouts=CustomTimeouts(create='1h30m', delete='90s')))",
        "Box('a', label='one', opts=Opts(custom_timeouts=CustomTimeouts(update='2.5m')))",
        "Box('a', label='two')",
    ),
    "options alone change": (
        "Box('a', label='one')",
        """
        Box("a", label="one", opts=Opts(ignore_changes=["note"], additional_secret_outputs=["serial"], protect=True,
            retain_on_delete=True, deleted_with=Box("b", label="b"), delete_before_replace=True))
        """,
        """
        b = Box("b", label="b")
        Box("a", label="one", opts=Opts(ignore_changes=["note", "place"], depends_on=[b]))
        """,
        "Box('b', label='b')",
    ),
    "what is deleted with another": (
        """
        b = Box("b", label="b")
        Box("a", label="one", opts=Opts(deleted_with=b))
        """,
        "Box('c', label='one')",
    ),
    "what a component hands down": (
        """
        b = Box("b", label="b")
        shelf = Shelf("shelf", Opts(deleted_with=b, protect=True, ignore_changes=["label"], delete_before_replace=True))
        Box("a", label="one", opts=Opts(parent=shelf))
        Box("c", label="one", opts=Opts(parent=Shelf("inner", Opts(parent=shelf, protect=False))))
        """,
        """
        b = Box("b", label="b")
        shelf = Shelf("shelf", Opts(retain_on_delete=True))
        Box("a", label="two", opts=Opts(parent=shelf))
        """,
        REMOVE,
    ),
    "a renamed box": (
        _RENAMED.format(name="a"),
        _RENAMED.format(name="b"),
        REMOVE,
    ),
    "a box that moves under a shelf": (
        "Box('a', label='one')",
        """
        Box("a", label="one", opts=Opts(parent=Shelf("shelf"), aliases=[Alias(parent=pulumi.ROOT_STACK_RESOURCE)]))
        """,
    ),
    "a renamed shelf with shelves in it": (_FAMILY.format(name="a"), _FAMILY.format(name="b"), REMOVE),
    "a provider of its own": (
        _OWN_PROVIDER.format(place="here"),
        _OWN_PROVIDER.format(place="there"),
        REMOVE,
    ),
    "a provider that fails": (
        "Box('good', label='good')",
        """
        good = Box("good", label="good")
        bad = Box("bad", label="broken", opts=Opts(depends_on=[good]))
        Box("last", label="last", opts=Opts(depends_on=[bad]))
        """,
        "Box('good', label='good')",
    ),
    "an input that is refused": ("Box('a', lable='one')",),
    "a program that fails": (
        "Box('a', label='one')",
        """
        Box("b", label="two")
        raise pulumi.RunError("mend the spec")
        """,
        """
        Box("a", label="one")
        raise KeyError("nothing here")
        """,
    ),
    "a box that cannot be removed": (
        "Box('a', label='one', note='nailed down'); Box('b', label='two')",
        "Box('b', label='two')",
    ),
    "functions, configuration and stack": (
        """
        found = pulumi.runtime.invoke("toy:index:weigh", {"label": "a"})
        pulumi.export("grams", found.value["grams"])
        pulumi.export("label", config.require("label"))
        pulumi.export("sizes", config.require_object("sizes"))
        pulumi.export("more", config.get("more"))
        pulumi.export("where", [pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack()])
        """,
    ),
}
