"""A variant of an app in its environment: variables replaced, and everything checked that only then can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .app_checks import check_app
from .arn import Arn
from .environment import Environment
from .errors import ProblemList, Spot
from .object_checks import FileSet, FileSets, check_file, check_name, default_file
from .place_checks import check_places
from .shape import Text
from .spec import (
    AppVariant,
    ChainEntry,
    FailoverEntry,
    ObjectEntry,
    PathEntry,
    PodIdentityEntry,
    RestrictEntry,
    SyncEntry,
)
from .spec_shape import EXTERNAL_ID, LABEL, PARAMETER_PATH_NAME, ROLE_ARN, SUBDOMAIN
from .template_checks import check_template
from .variables import substitute
from .yaml_source import Scalar


def resolve(variant: AppVariant, environment: Environment, problems: ProblemList) -> AppVariant:
    """Replace the variables and check the result; problems are added, none is raised."""
    resolved = _Resolver(environment, problems).variant(variant)
    check_app(resolved, environment, problems)
    check_places(resolved, reader_account(resolved, environment), environment, problems)
    return resolved


def second_role(variant: AppVariant) -> str:
    """Return the ARN of the role that reads instead of the app's own; "" without."""
    if variant.chain:
        return variant.chain.role
    return (variant.pod_identity and variant.pod_identity.target_role) or ""


def reader_account(variant: AppVariant, environment: Environment) -> str:
    """Return the account of the role that reads: names without an ARN mean objects of this account."""
    arn = Arn.parse(second_role(variant))
    return arn.account if arn else environment.account


class _Resolver:
    def __init__(self, environment: Environment, problems: ProblemList) -> None:
        self._values: Mapping[str, str] = environment.variables()
        self._problems = problems

    def variant(self, variant: AppVariant) -> AppVariant:
        files = FileSets()
        objects = tuple(self._object(entry, files.of(entry.mount)) for entry in variant.objects)
        for entry in objects:
            if entry.template:
                check_template(entry.template, files.of(entry.mount), self._problems)
        return replace(
            variant,
            namespace=self._checked(LABEL, variant.namespace, variant.at),
            service_account=self._checked(SUBDOMAIN, variant.service_account, variant.at),
            objects=objects,
            paths=self._paths(variant.paths),
            sync=tuple(self._sync(entry) for entry in variant.sync),
            chain=self._chain(variant.chain),
            pod_identity=self._pod_identity(variant.pod_identity),
        )

    def _text(self, template: str) -> str:
        return substitute(template, self._values)

    def _checked(self, shape: Text, template: str, at: Spot) -> str:
        text = self._text(template)
        shape.read(Scalar(text=text, kind="text", at=at), self._problems)
        return text

    def _object(self, entry: ObjectEntry, files: FileSet) -> ObjectEntry:
        name = self._text(entry.name)
        if name != entry.name:
            check_name(name, entry.store, entry.at, self._problems)
        file = entry.file or default_file(name)
        if check_file(file, entry.file_at, self._problems, derived_from_name=entry.file is None):
            files.add(file, entry.file_at, self._problems)
        for key in entry.keys:
            files.add(key.file, key.at, self._problems)
        if entry.all_keys:
            files.complete = False
        if entry.template:
            files.add(entry.template.file, entry.template.at, self._problems)
            files.templates.add(entry.template.file)
        return entry.resolved(
            name=name,
            file=file,
            kms_keys=tuple([replace(key, arn=self._text(key.arn)) for key in entry.kms_keys]),
            failover=tuple([self._failover(item, entry) for item in entry.failover]),
            restrict=self._restrict(entry.restrict),
        )

    def _failover(self, item: FailoverEntry, entry: ObjectEntry) -> FailoverEntry:
        if item.name is None:
            return item
        name = self._text(item.name)
        if name != item.name:
            check_name(name, entry.store, item.at, self._problems)
        return replace(item, name=name)

    def _paths(self, paths: tuple[PathEntry, ...]) -> tuple[PathEntry, ...]:
        resolved: dict[str, PathEntry] = {}
        for entry in paths:
            path = self._checked(PARAMETER_PATH_NAME, entry.path, entry.at)
            if path in resolved:
                what = f"the path {path!r} stands in line {resolved[path].at.line} too"
                self._problems.add(entry.at, "SPEC019", what, "A path is named once", "join the two entries")
            resolved[path] = replace(entry, path=path, kms_key=self._text(entry.kms_key))
        return tuple(resolved.values())

    def _sync(self, entry: SyncEntry) -> SyncEntry:
        # A default file name follows its object's name: a reference may carry the same variables.
        return replace(entry, data=tuple(replace(item, file=self._text(item.file)) for item in entry.data))

    def _chain(self, chain: ChainEntry | None) -> ChainEntry | None:
        if chain is None:
            return None
        external_id = self._checked(EXTERNAL_ID, chain.external_id, chain.at) if chain.external_id else ""
        return replace(chain, role=self._checked(ROLE_ARN, chain.role, chain.at), external_id=external_id)

    def _pod_identity(self, settings: PodIdentityEntry | None) -> PodIdentityEntry | None:
        if settings is None or settings.target_role is None:
            return settings
        return replace(settings, target_role=self._checked(ROLE_ARN, settings.target_role, settings.at))

    def _restrict(self, restrict: RestrictEntry | None) -> RestrictEntry | None:
        if restrict is None:
            return None
        rotation = restrict.rotation_role
        return replace(
            restrict,
            break_glass=tuple(self._text(role) for role in restrict.break_glass),
            rotation_role=None if rotation is None else self._text(rotation),
            readers=tuple(self._text(role) for role in restrict.readers),
        )
