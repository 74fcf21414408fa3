"""Questions about access, answered from specs alone: can this app read that, who can, what can it, what can a node.

Every answer is the evaluator's: grants only say from which line of a spec an allowance comes. Not known here is what
other tools granted to other roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from provider_runtime.secret_objects import SecretObject

from ..access import AppAccess, FleetAccess
from ..errors import Spot
from ..evaluator import PolicySource
from ..grants import Grant
from ..spec import Store
from .checks import Check, Verdict
from .inventory import Inventory, ObjectId, grants_by_object
from .reader import Reader, Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionAnswer:
    """One read: of one version of an object, in one region.

    Attributes:
        item: The object there.
        arn: Its ARN; six sample characters stand where no spec tells a secret's suffix.
        key: Customer key that decrypts it, or "".
        selector: Which version.
        checks: The read, then the decryption if there is a key.
    """

    item: ObjectId
    arn: str
    key: str
    selector: Selector
    checks: tuple[Check, ...]

    @property
    def passes(self) -> bool:
        """Whether IAM lets the role do it."""
        return all(check.passes for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAnswer:
    """Can one app read one object?

    Attributes:
        app: The app's access.
        item: The object, in the region of the environment where it is read there.
        identity: Whether the pods get the role.
        regions: One or more reads, the environment's region first; of this object alone, but of a mount all that it
            reads, which in a failover region may be an object of another name or account.
        grants: Of this object, in the order of the app's grants; their places are the lines of the spec.
        files: Where the pods see it: absolute paths.
        notes: What the answer takes for granted, and where specs disagree; sentences without their full stop.
    """

    app: AppAccess
    item: ObjectId
    identity: tuple[Check, ...]
    regions: tuple[RegionAnswer, ...]
    grants: tuple[Grant, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def is_allowed(self) -> bool:
        """Whether the pods get the role and it may read the object in at least one region."""
        return all(check.passes for check in self.identity) and any(region.passes for region in self.regions)

    @property
    def is_complete(self) -> bool:
        """Whether every region's read passes, so that a failover would work as well."""
        return self.is_allowed and all(region.passes for region in self.regions)

    @property
    def is_unclear(self) -> bool:
        """Whether it is not allowed, but only because something is not known."""
        checks = (*self.identity, *(check for region in self.regions for check in region.checks))
        return not self.is_allowed and not any(check.verdict is Verdict.DENIED for check in checks)

    @property
    def is_denied(self) -> bool:
        """Whether it is not allowed for certain."""
        return not self.is_allowed and not self.is_unclear

    @property
    def spots(self) -> tuple[Spot, ...]:
        """The lines of the spec that grant it, in file order."""
        return tuple(sorted({grant.at for grant in self.grants if grant.at is not None}))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """What a node's provider can reach while it serves some apps.

    Attributes:
        apps: Whose pods run there, sorted by name.
        answers: What each of them can read: one answer per app and object, sorted by object, then app.
    """

    apps: tuple[AppAccess, ...]
    answers: tuple[ReadAnswer, ...]

    def objects(self) -> Mapping[ObjectId, tuple[ReadAnswer, ...]]:
        """Return the objects, each with the answers of the apps that reach it."""
        found: dict[ObjectId, list[ReadAnswer]] = {}
        for answer in self.answers:
            # One app may read in its failover region only what another one reads in every region.
            known = next((item for item in found if item.is_same(answer.item)), answer.item)
            found.setdefault(known, []).append(answer)
        return {item: tuple(listed) for item, listed in found.items()}


class Answers:
    """Answers about one environment.

    Args:
        fleet: All its apps.
        boundaries: ARN of a permissions boundary → its document, where known.
    """

    def __init__(self, fleet: FleetAccess, boundaries: Mapping[str, PolicySource] | None = None) -> None:
        self.fleet = fleet
        self.inventory = Inventory.of(fleet)
        self._boundaries = boundaries or {}
        self._apps = {str(app.app): app for app in fleet.apps}
        self._known: dict[str, _KnownApp] = {}

    def app(self, name: str) -> AppAccess | None:
        """Return an app of the environment, or None."""
        return self._apps.get(name)

    def account_of(self, app: str) -> str:
        """Return the account whose secrets an app means by friendly names.

        Raises:
            KeyError: There is no such app.
        """
        return self._know(app).reader.account

    def identity_of(self, app: str) -> tuple[Check, ...]:
        """Return whether an app's pods get the role that reads.

        Raises:
            KeyError: There is no such app.
        """
        return self._know(app).reader.identity_checks()

    def can_read(
        self, app: str, item: ObjectId, selector: Selector | None = None, *, as_mount: bool = False
    ) -> ReadAnswer:
        """Answer whether an app can read an object.

        Args:
            app: Name of an app of this environment.
            item: As `Inventory.find` gives it, in the environment's region or another.
            selector: Which version; default: the ones that the app's classes ask for, else the current one.
            as_mount: Whether a mount asks, which reads by name; else the app's own reads by path count as well.

        Raises:
            KeyError: There is no such app.
        """
        known = self._know(app)
        asked = known.asked_for(item) if as_mount else known.reads_of(item)
        asked = asked or tuple(_plain(known.access, item))
        if selector is not None:
            asked = tuple((where, selector) for where, _ in asked)
        paths = {where: None if as_mount else known.path_to(where) for where, _ in asked}
        regions = tuple(self._region(known, where, chosen, paths[where]) for where, chosen in dict.fromkeys(asked))
        places = dict.fromkeys(paths[region.item] or region.item for region in regions)
        return ReadAnswer(
            app=known.access,
            item=item,
            identity=known.reader.identity_checks(),
            regions=regions,
            grants=tuple(grant for place in places for grant in known.grants.get(place, ())),
            files=known.files(dict.fromkeys((item, *(region.item for region in regions if region.item.is_same(item))))),
            notes=(*self._notes(known.reader, regions), *(() if as_mount else known.stand_ins(item))),
        )

    def path_to(self, app: str, item: ObjectId) -> ObjectId | None:
        """Return the path by which an app itself reads what it may not read by name; None without one.

        Raises:
            KeyError: There is no such app.
        """
        return self._know(app).path_to(item)

    def who_reads(self, item: ObjectId) -> tuple[ReadAnswer, ...]:
        """Return the answers of every app that can read an object, sorted by app; unclear ones too."""
        answers = (self.can_read(name, item) for name in sorted(self._apps))
        return tuple(answer for answer in answers if answer.is_allowed or answer.is_unclear)

    def what_reads(self, app: str) -> tuple[ReadAnswer, ...]:
        """Return one answer per object that the app's grants name, sorted by object.

        A failover region's object has an answer of its own where its name or account is another one.

        Raises:
            KeyError: There is no such app.
        """
        known = self._know(app)
        order = regions_of(known.access)
        firsts: dict[ObjectId, ObjectId] = {}
        for item in sorted(known.grants, key=lambda item: order.index(item.region)):
            firsts.setdefault(item.in_region(""), item)
        return tuple(self.can_read(app, item) for item in sorted(firsts.values()))

    def blast_radius(self, apps: Iterable[str]) -> BlastRadius:
        """Return what a node reaches that runs pods of these apps.

        Raises:
            KeyError: There is no such app.
        """
        names = sorted(set(apps))
        answers = [answer for name in names for answer in self.what_reads(name) if not answer.is_denied]
        answers.sort(key=lambda answer: (answer.item, answer.app.app))
        return BlastRadius(apps=tuple(self._apps[name] for name in names), answers=tuple(answers))

    def _know(self, app: str) -> _KnownApp:
        if app not in self._known:
            access = self._apps[app]
            boundary = self._boundaries.get(access.permissions_boundary or "")
            self._known[app] = _KnownApp(Reader(self.fleet, access, boundary), self.inventory)
        return self._known[app]

    def _region(
        self, known: _KnownApp, item: ObjectId, selector: Selector, path: ObjectId | None = None
    ) -> RegionAnswer:
        if path is not None:
            # The app's own SDK reads it with everything else below the path, and with the path's key.
            (grant,) = known.grants[path]
            checks = known.reader.object_checks(self.inventory.arn(item), item, grant.key, Selector(), grant.resource)
            return RegionAnswer(
                item=item, arn=self.inventory.arn(item), key=grant.key, selector=Selector(), checks=checks
            )
        own = [grant.key for grant in known.grants.get(item, ()) if grant.key]
        # Where the app's spec names no key but another app's does for the same object, that key is the one.
        key = min(own or self.inventory.keys(item), default="")
        arn = self.inventory.arn(item)
        checks = known.reader.object_checks(arn, item, key, selector)
        return RegionAnswer(item=item, arn=arn, key=key, selector=selector, checks=checks)

    def _notes(self, reader: Reader, regions: tuple[RegionAnswer, ...]) -> Iterator[str]:
        for place in dict.fromkeys(region.item for region in regions):
            keys = self.inventory.keys(place)
            if len(keys) > 1:
                yield f"specs name different keys for {place.shown} in {place.region}: {', '.join(keys)}"
        used = [arn for region in regions if region.passes for arn in (region.arn, region.key) if arn]
        yield from (f"taken for granted: {text}" for text in reader.assumptions(used))


class _KnownApp:
    """One app with what every question about it needs, worked out once."""

    def __init__(self, reader: Reader, inventory: Inventory) -> None:
        self.reader = reader
        self.access = reader.app
        self.grants = grants_by_object(reader.app.grants)
        self._asked: dict[ObjectId, list[tuple[ObjectId, Selector]]] = {}
        self._sources: dict[ObjectId, set[tuple[Store, str]]] = {}
        for listed in reader.app.objects:
            reads = tuple(_reads(listed, reader, inventory))
            for place in dict.fromkeys(place for place, _ in reads):
                self._asked.setdefault(place, []).extend(reads)
                self._sources.setdefault(place, set()).add((Store(listed.type.value), listed.name))

    def asked_for(self, item: ObjectId) -> tuple[tuple[ObjectId, Selector], ...]:
        """Return what the app's classes read when they mean this object, region by region; () when none does."""
        return tuple(self._asked.get(item, ()))

    def reads_of(self, item: ObjectId) -> tuple[tuple[ObjectId, Selector], ...]:
        """Return the reads of an object and of no other, in every region of the app; () when it is not read.

        An object of the app's first region stands for its name and account, wherever the app reads them.
        """
        regions = regions_of(self.access)
        own = self.asked_for(item)
        if not own and item.region != regions[0]:
            return ((item, Selector()),) if self.path_to(item) else ()
        found = [read for region in regions for read in self.asked_for(item.in_region(region)) if read[0].is_same(item)]
        if own or not (found or self.path_to(item)):
            found.sort(key=lambda read: regions.index(read[0].region))
            return tuple(found)
        return ((item, Selector()), *found)

    def stand_ins(self, item: ObjectId) -> Iterator[str]:
        """Yield what a failover region has under another name or account, as clauses."""
        for place, _ in dict.fromkeys(self.asked_for(item)):
            if place.region != item.region and not place.is_same(item):
                there = f"{place.shown} of {place.account}"
                yield f"{self.access.app} mounts as one {item.shown} in {item.region} and {there} in {place.region}"

    def path_to(self, item: ObjectId) -> ObjectId | None:
        """Return the path by which the app reads an object that it may not read by name; None without one."""
        if item.is_path and item in self.grants:
            return item
        if item in self.grants:
            return None
        return next((path for path in item.paths_above() if path in self.grants), None)

    def files(self, items: Iterable[ObjectId]) -> tuple[str, ...]:
        """Return the paths of the files that hold one of them."""
        sources = {source for item in items for source in self._sources.get(item, set())}
        return tuple(
            f"{mount.path}/{file.path}"
            for mount in self.access.mounts
            for file in mount.files
            if (file.store, file.source) in sources
        )


def regions_of(app: AppAccess) -> tuple[str, ...]:
    """Return the regions that the app reads from, the primary one first; without a class those of its grants."""
    if not app.mounts:
        return tuple(dict.fromkeys(grant.region for grant in app.grants))
    spec = app.mounts[0].secret_provider_class["spec"]
    assert isinstance(spec, dict)  # noqa: S101 - a class that we derived
    parameters: Mapping[str, str] = spec["parameters"]
    failover = parameters.get("failoverRegion") or parameters.get("failoverRegions") or ""
    return (parameters["region"], *(region.strip() for region in failover.split(",") if region.strip()))


def _reads(listed: SecretObject, reader: Reader, inventory: Inventory) -> Iterator[tuple[ObjectId, Selector]]:
    """Yield what a class's object means in each region."""
    store = Store(listed.type.value)
    for index, region in enumerate(regions_of(reader.app)):
        selector = Selector(stage=listed.version_label_in(index), version_id=listed.version_in(index))
        found = inventory.find(listed.name_in(region, index), account=reader.account, region=region, store=store)
        yield from ((place.in_region(region), selector) for place in found)


def _plain(app: AppAccess, item: ObjectId) -> Iterator[tuple[ObjectId, Selector]]:
    """Yield a read of the current version in each of the app's regions; an object of another region stays there."""
    regions = regions_of(app)
    for region in regions if item.region == regions[0] else (item.region,):
        yield item.in_region(region), Selector()
