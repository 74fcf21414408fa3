"""Reads the keys of a stack's configuration and collects what is wrong with them.

Not done here: which keys there are (settings.py, platform_settings.py) and reading files (stack_config.py). A broken
key is reported once and gets a harmless stand-in, so that reading goes on and every problem is found in one run.

A value that is a mapping is read as a section: the same methods, with `lockstep:cluster.` before each name in messages.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from .stack_config import ConfigKey, ConfigValue, SettingsProblem

#: Namespace of this project's keys.
NAMESPACE = "lockstep"

#: Shortest refresh: below it every republish of kubelet (60 to 90 s a pod) would call AWS for nothing.
SHORTEST_REFRESH_SECONDS = 30

_DURATION = re.compile(r"(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(slots=True)
class SettingsReader:
    """Reads keys and collects problems.

    Attributes:
        values: Full key to value.
        file: The file to mend, for messages.
        prefix: What stands before the names in messages: `lockstep:`, or `lockstep:cluster.` in a section.
    """

    values: Mapping[ConfigKey, ConfigValue]
    file: str
    prefix: str = f"{NAMESPACE}:"
    problems: list[SettingsProblem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)

    def add(self, key: str, what: str, rule: str, fix: str, code: str) -> None:
        """Report a problem of a key."""
        full = self.full(key)
        self.broken.add(full)
        self.problems.append(SettingsProblem(file=self.file, key=full, what=what, rule=rule, fix=fix, code=code))

    def full(self, key: str) -> str:
        """Return a key as messages name it."""
        return key if ":" in key else f"{self.prefix}{key}"

    def is_broken(self, key: str) -> bool:
        """Whether a problem of this key is known already."""
        return self.full(key) in self.broken

    def value(self, key: str) -> ConfigValue:
        """Return the raw value and remember that the key is known."""
        self.known.add(self.full(key))
        return self.values.get(ConfigKey(self.full(key)))

    def section(self, key: str) -> SettingsReader | None:
        """Return a reader for the entries of a mapping; None when it is absent, empty or no mapping."""
        value = self._parsed(self.value(key), lambda parsed: isinstance(parsed, dict))
        if value in (None, "", {}):
            return None
        if not isinstance(value, dict):
            self.add(
                key, f"{value!r} is not a mapping", "It is a mapping", "write `name: value` lines below it", "CFG005"
            )
            return None
        full = self.full(key)
        entries = {ConfigKey(f"{full}.{name}"): entry for name, entry in value.items()}
        return SettingsReader(
            values=entries, file=self.file, prefix=f"{full}.", problems=self.problems, broken=self.broken
        )

    def names(self) -> tuple[str, ...]:
        """Return the names of a section's entries, in the file's order."""
        return tuple(str(key).removeprefix(self.prefix) for key in self.values)

    def text(self, key: str, default: str | None = None, *, how: str = "") -> str:
        """Read a text that must be there, unless there is a default; `how` says what to write where it is missing."""
        value = self.value(key)
        if value in (None, ""):
            if default is not None:
                return default
            fix = f"add `{self._shown(key)}: ...` to {self.file}" + (f" and {how}" if how else "")
            self.add(key, "it is missing", "It has no default", fix, "CFG006")
            return ""
        return self._as_text(key, value)

    def optional(self, key: str, pattern: re.Pattern[str] | None, rule: str) -> str | None:
        """Read a text that may be left out to have it looked up."""
        return self.optional_matching(key, pattern, rule, "correct it, or leave it out to have it looked up")

    def optional_matching(self, key: str, pattern: re.Pattern[str] | None, rule: str, fix: str) -> str | None:
        """Read a text that may be left out."""
        value = self.value(key)
        if value in (None, ""):
            return None
        text = self._as_text(key, value)
        if pattern is not None and not self.is_broken(key) and not pattern.fullmatch(text):
            self.add(key, f"{text!r} does not fit", rule, fix, "CFG007")
        return text

    def matching(self, key: str, pattern: re.Pattern[str], rule: str, fix: str) -> str:
        """Read a text of a form."""
        text = self.text(key, how=fix)
        if not self.is_broken(key) and not pattern.fullmatch(text):
            self.add(key, f"{text!r} does not fit", rule, fix, "CFG007")
        return text

    def boolean(self, key: str, *, default: bool | None = None) -> bool:
        """Read true or false."""
        value = self._parsed(self.value(key), lambda parsed: isinstance(parsed, bool))
        if value is None and default is not None:
            return default
        if not isinstance(value, bool):
            what = "it has no value" if value is None else f"{value!r} is not a boolean"
            self.add(key, what, "It is true or false", "write true or false", "CFG005")
            return False
        return value

    def integer(self, key: str, *, least: int, most: int, default: int | None = None) -> int:
        """Read a whole number between bounds, both included."""
        value = self._parsed(self.value(key), lambda parsed: type(parsed) is int)
        if value is None and default is not None:
            return default
        if type(value) is not int or not least <= value <= most:
            rule = f"It is a whole number from {least} to {most}"
            self.add(key, f"{value!r} does not fit", rule, f"write a number such as {default or least}", "CFG007")
            return default or least
        return value

    def texts(self, key: str, *, at_least: int) -> tuple[str, ...]:
        """Read a list of texts."""
        value = self._parsed(self.value(key), lambda parsed: isinstance(parsed, list))
        if value is None and not at_least:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.add(key, f"{value!r} is not a list of texts", "It is a list", "write one `- text` per line", "CFG005")
            return ()
        if len(value) < at_least:
            what = "the list is empty" if not value else f"the list has {len(value)} of them"
            fix = f"name {at_least} or more" if at_least > 1 else "name one"
            self.add(key, what, f"It has {at_least} or more entries", fix, "CFG007")
        return tuple(str(item) for item in value)

    def text_map(self, key: str) -> dict[str, str]:
        """Read a mapping of texts to texts, sorted; empty when it is absent."""
        section = self.section(key)
        return {name: section.text(name) for name in sorted(section.names())} if section else {}

    def choice(self, key: str, choices: type[Choice], fallback: Choice, *, default: Choice | None = None) -> Choice:
        """Read one of a closed set; `fallback` stands in for a broken value."""
        text = self.text(key, None if default is None else str(default.value))
        return fallback if self.is_broken(key) else self._chosen(key, text, choices, fallback)

    def choice_or_boolean(self, key: str, choices: type[Choice], *, no: Choice, yes: Choice) -> Choice:
        """Read one of a closed set that was true or false before: files that say so keep their meaning."""
        value = self._parsed(self.value(key), lambda parsed: isinstance(parsed, bool))
        if isinstance(value, bool):
            return yes if value else no
        return self.choice(key, choices, no)

    def choices(self, key: str, choices: type[Choice]) -> frozenset[Choice]:
        """Read a list of members of a closed set."""
        fallback = next(iter(choices))
        return frozenset(self._chosen(key, text, choices, fallback) for text in self.texts(key, at_least=0))

    def duration(self, key: str) -> int:
        """Read hours, minutes and seconds; return seconds."""
        text = self.text(key)
        found = _DURATION.fullmatch(text)
        if self.is_broken(key):
            return SHORTEST_REFRESH_SECONDS
        parts = {name: int(part) for name, part in (found.groupdict() if found else {}).items() if part}
        if not parts:
            rule = "It is hours, minutes and seconds in whole numbers"
            self.add(key, f"{text!r} is not a duration", rule, "write it like 120s or 2m", "CFG007")
            return SHORTEST_REFRESH_SECONDS
        seconds = parts.get("hours", 0) * 3600 + parts.get("minutes", 0) * 60 + parts.get("seconds", 0)
        if seconds < SHORTEST_REFRESH_SECONDS:
            rule = f"Below {SHORTEST_REFRESH_SECONDS}s nothing is fresher: kubelet asks for a pod every 60 to 90 s"
            self.add(key, f"{text!r} is too short", rule, "write 30s or more", "CFG007")
        return seconds

    def refuse_unknown(self) -> None:
        """Refuse keys below this prefix that nothing has read. Other packages' keys are theirs."""
        rule = "Pulumi.yaml lists the settings" if self.prefix == f"{NAMESPACE}:" else "The README lists the settings"
        names = sorted(known.removeprefix(self.prefix) for known in self.known if known.startswith(self.prefix))
        for key in sorted(self.values):
            if not key.startswith(self.prefix) or key in self.known:
                continue
            near = difflib.get_close_matches(key.removeprefix(self.prefix), names, n=1)
            fix = f"did you mean '{self.prefix}{near[0]}'?" if near else "remove it"
            self.add(key, "the key is unknown", rule, fix, "CFG011")

    def _chosen(self, key: str, text: str, choices: type[Choice], fallback: Choice) -> Choice:
        names: Sequence[str] = [str(member.value) for member in choices]
        if text in names:
            return choices(text)
        near = difflib.get_close_matches(text, names, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"write {names[0]}"
        self.add(key, f"{text!r} does not fit", f"It is one of {', '.join(names)}", fix, "CFG007")
        return fallback

    def _shown(self, key: str) -> str:
        """Return what a line in the file begins with: the full key, or the name inside a section."""
        return self.full(key) if self.prefix == f"{NAMESPACE}:" else key

    def _as_text(self, key: str, value: ConfigValue) -> str:
        if isinstance(value, str):
            return value
        what = f"{value!r} is not text"
        self.add(key, what, "It is text; YAML reads it as something else", "put it in quotes", "CFG005")
        return ""

    @staticmethod
    def _parsed(value: ConfigValue, fits: Callable[[ConfigValue], bool]) -> ConfigValue:
        """Return what a text from Pulumi stands for when it is JSON of the wanted kind, else the value itself."""
        if not isinstance(value, str):
            return value
        try:
            parsed: ConfigValue = json.loads(value)
        except ValueError:
            return value
        return parsed if fits(parsed) else value
