"""The configuration of a stack as it stands in files: `Pulumi.yaml` defaults under `stacks/Pulumi.<stack>.yaml`.

Not done here: what the keys mean (settings.py). Nothing of Pulumi is imported: the command line, the embedded engine
and the tests read a stack's configuration without a Pulumi program running.

Source: pulumi `sdk/go/common/workspace/project.go` (config of a project: a bare default, or `{type, description,
default, value}`; keys without a namespace belong to the project) and `project_stack.go` (`config`, `secure`).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NewType, TypeAlias, cast

import yaml

from .derivation.yaml_depth import nests_too_deeply

ConfigKey = NewType("ConfigKey", str)
ConfigValue: TypeAlias = "bool | int | float | str | list[ConfigValue] | dict[str, ConfigValue] | None"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SettingsProblem:
    """One thing that is wrong with a stack's configuration.

    Attributes:
        file: The file to mend, as seen from the project's folder.
        key: Full key, `lockstep:refreshInterval`; empty when the file itself is the problem.
        what: What is wrong, with the value (no setting is a secret).
        rule: What is allowed.
        fix: What to do.
        code: Stable, `CFGnnn`.
    """

    file: str
    key: str
    what: str
    rule: str
    fix: str
    code: str

    def __str__(self) -> str:
        place = f"{self.file} {self.key}" if self.key else self.file
        fix = self.fix if self.fix.endswith("?") else f"{self.fix}."
        return f"{place}: {self.what}. {self.rule}. Fix: {fix} [{self.code}]"


class SettingsErrors(Exception):  # noqa: N818 - it holds every problem of one stack, and reads as such
    """All problems of one stack's configuration; `str()` is the whole report, one line per problem."""

    def __init__(self, problems: tuple[SettingsProblem, ...]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """What a program of this project sees on one stack.

    Attributes:
        project: Name of the project, also the namespace of its own keys.
        file: The stack's file, as seen from the project's folder.
        values: Full key to value: the stack's where it has one, else the project's default.
    """

    project: str
    stack: str
    file: str
    values: Mapping[ConfigKey, ConfigValue]

    def as_text(self) -> dict[str, str]:
        """Return the values the way Pulumi hands them to a program: text as it is, everything else as JSON."""
        return {
            str(key): value if isinstance(value, str) else json.dumps(value)
            for key, value in sorted(self.values.items())
            if value is not None
        }


def project_name(project_dir: Path) -> str:
    """Return the name of the project; "" where it has none."""
    return str(_load_mapping(project_dir / "Pulumi.yaml", "Pulumi.yaml").get("name", "") or "")


def stack_file(project_dir: Path, stack: str) -> str:
    """Return the path of a stack's file as seen from the project's folder; it need not exist."""
    project = _load_mapping(project_dir / "Pulumi.yaml", "Pulumi.yaml")
    return _stack_file(project, stack)


def load_stack_config(project_dir: Path, stack: str, overrides: Mapping[str, ConfigValue] | None = None) -> StackConfig:
    """Read `Pulumi.yaml` and the stack's file.

    Args:
        project_dir: Folder of `Pulumi.yaml`.
        stack: Such as `dev`.
        overrides: Full key to value, over both files.

    Raises:
        SettingsErrors: A file is missing or is not what it must be, or a value is encrypted.
    """
    project = _load_mapping(project_dir / "Pulumi.yaml", "Pulumi.yaml")
    name = str(project.get("name", ""))
    file = _stack_file(project, stack)
    if not (project_dir / file).is_file():
        raise SettingsErrors((_missing_stack(project_dir, file, stack),))
    document = _load_mapping(project_dir / file, file)
    values = _project_defaults(project, name)
    problems: list[SettingsProblem] = []
    for key, value in _config_of(document, file).items():
        if ":" not in key:
            what, fix = f"the key {key!r} has no namespace", f"write `{name}:{key}`"
            problems.append(_problem(file, key, what, "Keys of a stack are `<namespace>:<name>`", fix, "CFG003"))
        elif isinstance(value, dict) and set(value) == {"secure"}:
            rule = "Only the Pulumi CLI can decrypt it, and Lockstep has no secret settings"
            problems.append(_problem(file, key, "the value is encrypted", rule, "write it in the clear", "CFG004"))
        else:
            values[ConfigKey(key)] = value
    if problems:
        raise SettingsErrors(tuple(problems))
    values.update({ConfigKey(key): value for key, value in (overrides or {}).items()})
    return StackConfig(project=name, stack=stack, file=file, values=values)


def _problem(file: str, key: str, what: str, rule: str, fix: str, code: str) -> SettingsProblem:
    return SettingsProblem(file=file, key=key, what=what, rule=rule, fix=fix, code=code)


def _stack_file(project: Mapping[str, ConfigValue], stack: str) -> str:
    folder = str(project.get("stackConfigDir", "") or "")
    return f"{folder}/Pulumi.{stack}.yaml" if folder else f"Pulumi.{stack}.yaml"


def _missing_stack(project_dir: Path, file: str, stack: str) -> SettingsProblem:
    found = sorted((project_dir / file).parent.glob("Pulumi.*.yaml"))
    names = [path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in found]
    near = difflib.get_close_matches(stack, names, n=1)
    rule = f"The stacks here are: {', '.join(names)}" if names else "There is no stack here"
    fix = f"did you mean {near[0]!r}?" if near else f"write {file} or name another stack"
    return _problem(file, "", f"there is no stack {stack!r}", rule, fix, "CFG001")


def _project_defaults(project: Mapping[str, ConfigValue], name: str) -> dict[ConfigKey, ConfigValue]:
    """Return the values that a project gives its stacks. `value` is fixed, `default` may be overridden."""
    values: dict[ConfigKey, ConfigValue] = {}
    for key, entry in _config_of(project, "Pulumi.yaml").items():
        full = ConfigKey(key if ":" in key else f"{name}:{key}")
        if not isinstance(entry, dict):
            values[full] = entry
        elif "value" in entry or "default" in entry:
            values[full] = entry.get("value", entry.get("default"))
    return values


def _config_of(document: Mapping[str, ConfigValue], file: str) -> dict[str, ConfigValue]:
    config = document.get("config") or {}
    if not isinstance(config, dict):
        problem = _problem(
            file,
            "",
            "`config` is not a mapping",
            "It maps keys to values",
            "write `config:` and indented keys",
            "CFG002",
        )
        raise SettingsErrors((problem,))
    return config


_TOO_DEEP = object()


def _load_mapping(path: Path, shown: str) -> dict[str, ConfigValue]:
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.load(text, Loader=_OnceLoader) if not nests_too_deeply(text) else _TOO_DEEP  # noqa: S506 - a SafeLoader
    except FileNotFoundError as error:
        rule, fix = "A project is a folder with a Pulumi.yaml", "name its folder with --project"
        raise SettingsErrors((_problem(str(path), "", "there is no such file", rule, fix, "CFG001"),)) from error
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        what = f"the file cannot be read ({' '.join(str(error).split())})"
        problem = _problem(shown, "", what, "It is YAML in UTF-8 with each key once", "mend it at that place", "CFG002")
        raise SettingsErrors((problem,)) from error
    if document is _TOO_DEEP:
        what, rule = "the nesting is too deep", "Settings nest a few levels"
        raise SettingsErrors((_problem(shown, "", what, rule, "check the brackets", "CFG002"),))
    if not isinstance(document, dict):
        problem = _problem(shown, "", "the file is empty or no mapping", "It is a YAML mapping", "fill it", "CFG002")
        raise SettingsErrors((problem,))
    return cast("dict[str, ConfigValue]", document)


#: libyaml's loader where PyYAML was built with it: ten times faster, and a comparison reads every stack's files twice.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _OnceLoader(_Loader):  # type: ignore[misc,valid-type] # decided when PyYAML was built
    """PyYAML keeps the last of two equal keys; a setting that loses silently is refused instead, as Pulumi does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            text = str(getattr(key, "value", ""))
            if text in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {text!r} stands twice", key.start_mark)
            seen.add(text)
        return cast("dict[Hashable, object]", super().construct_mapping(node, deep))
