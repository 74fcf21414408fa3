"""The project as it stands in files: its stacks, each with its environment and app specs. No Pulumi CLI is needed.

Not done here: what settings mean (components/settings.py) and what specs become (components/derivation). Offline, an
issuer that a stack leaves to be looked up is unknown; such a stack is refused with the line to add.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.derivation import AppAccess, AppSpec, Environment, FleetAccess
from components.settings import StackSettings, load_settings
from components.stack_config import SettingsErrors, SettingsProblem, stack_file
from lockstep.spec_reading import load_fleet, load_specs


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStack:
    """One stack of the project, offline.

    Attributes:
        name: Such as `prod`.
        settings: Everything that its configuration says.
        environment: What access is derived from.
        app_paths: Spec files and folders, absolute.
    """

    name: str
    settings: StackSettings
    environment: Environment
    app_paths: tuple[Path, ...]

    def specs(self) -> tuple[AppSpec, ...]:
        """Read the stack's specs; raises `SpecErrors`."""
        return load_specs(self.app_paths)

    def fleet(self) -> FleetAccess:
        """Read and derive the stack's apps and what only all of them together show; raises `SpecErrors`."""
        return load_fleet(self.app_paths, self.environment)

    def derive(self) -> tuple[AppAccess, ...]:
        """Read and derive the stack's apps, sorted by name; raises `SpecErrors`."""
        return self.fleet().apps


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSpecs:
    """Spec files in an environment that flags give, asked in place of a stack.

    Attributes:
        environment: What access is derived from; its name stands for a stack's.
        app_paths: Spec files and folders.
    """

    environment: Environment
    app_paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Name of the environment."""
        return self.environment.name

    def fleet(self) -> FleetAccess:
        """Read and derive the apps and what only all of them together show; raises `SpecErrors`."""
        return load_fleet(self.app_paths, self.environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder with a Pulumi.yaml.

    Attributes:
        folder: As the user named it; messages name files below it.
        stack_names: Sorted.
    """

    folder: Path
    stack_names: tuple[str, ...]

    def stack(self, name: str) -> ProjectStack:
        """Read one stack.

        Raises:
            SettingsErrors: Everything that is wrong with its configuration, or no issuer is written down.
        """
        settings = load_settings(self.folder, name)
        if settings.oidc_issuer is None:
            raise SettingsErrors((missing_issuer(stack_file(self.folder, name)),))
        return ProjectStack(
            name=name,
            settings=settings,
            environment=settings.environment(settings.oidc_issuer),
            app_paths=tuple(self.folder / path for path in settings.apps),
        )

    def all_stacks(self) -> tuple[ProjectStack, ...]:
        """Read every stack, sorted by name.

        Raises:
            SettingsErrors: With the problems of all stacks.
        """
        stacks: list[ProjectStack] = []
        problems: list[SettingsProblem] = []
        for name in self.stack_names:
            try:
                stacks.append(self.stack(name))
            except SettingsErrors as errors:
                problems += errors.problems
        if problems:
            raise SettingsErrors(tuple(problems))
        return tuple(stacks)


def missing_issuer(file: str) -> SettingsProblem:
    """Return what is wrong with a stack that leaves its issuer to be looked up, where nobody can be asked."""
    return SettingsProblem(
        file=file,
        key="lockstep:oidcIssuer",
        what="it is missing",
        rule="Without AWS credentials the issuer of the cluster cannot be looked up",
        fix="write down what `aws eks describe-cluster --query cluster.identity.oidc.issuer` prints",
        code="CFG012",
    )


def load_project(folder: Path) -> Project:
    """Find the stacks of a project: every `Pulumi.<stack>.yaml` in its `stackConfigDir`.

    Raises:
        SettingsErrors: There is no readable Pulumi.yaml, or no stack.
    """
    pattern = stack_file(folder, "*")
    names = tuple(sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in folder.glob(pattern)))
    if not names:
        problem = SettingsProblem(
            file="Pulumi.yaml",
            key="",
            what="the project has no stack",
            rule=f"A stack is a file {pattern}",
            fix="write one, or name another folder with --project",
            code="CFG001",
        )
        raise SettingsErrors((problem,))
    return Project(folder=folder, stack_names=names)
