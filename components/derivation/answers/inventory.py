"""What all specs of an environment together say about each secret and parameter: its ARN, its keys, its owners.

A question names an object as people do, by friendly name or ARN; policies name it by ARN. A secret's ARN ends in six
random characters: where a spec tells them they are used, else a sample stands for them, because a derived policy
matches any six there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from ..access import FleetAccess
from ..arn import UNKNOWN_SUFFIX, Arn, has_random_suffix, parameter_arn, secret_pattern
from ..environment import Environment
from ..grants import Grant
from ..spec import Store
from ..variables import substitute

#: Stands for the six characters that nobody told.
SAMPLE_SUFFIX = "-AbCdEf"
_BELOW = "/*"
_SUFFIX_LENGTH = len(UNKNOWN_SUFFIX)
_SERVICES = {"secretsmanager": Store.SECRETS_MANAGER, "ssm": Store.PARAMETER_STORE}
_PREFIXES = {Store.SECRETS_MANAGER: "secret:", Store.PARAMETER_STORE: "parameter/"}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectId:
    """One secret or parameter of one account and region.

    Attributes:
        store: Secrets Manager or Parameter Store.
        account: Owner, 12 digits.
        region: Where it lies.
        name: Friendly name; of a secret without random suffix, of a parameter without leading slash. One that ends in
            `/*` stands for everything below a path of parameters, which is read as a whole.
    """

    store: Store
    account: str
    region: str
    name: str

    @property
    def shown(self) -> str:
        """The name as people write it."""
        return f"/{self.name}" if self.store is Store.PARAMETER_STORE and "/" in self.name else self.name

    @property
    def is_path(self) -> bool:
        """Whether it stands for everything below a path."""
        return self.store is Store.PARAMETER_STORE and self.name.endswith(_BELOW)

    def paths_above(self) -> Iterator[ObjectId]:
        """Yield the paths that a parameter lies below, the nearest first."""
        name = self.name.removesuffix(_BELOW)
        while self.store is Store.PARAMETER_STORE and "/" in name:
            name = name.rpartition("/")[0]
            yield replace(self, name=name + _BELOW)

    def in_region(self, region: str) -> ObjectId:
        """Return the object of that name in another region."""
        return replace(self, region=region)

    def is_same(self, other: ObjectId) -> bool:
        """Say whether the other one differs in nothing but its region."""
        return self.in_region(other.region) == other

    @classmethod
    def of_resource(cls, resource: str, store: Store) -> ObjectId:
        """Read the resource of a grant or a full ARN: a secret's ends in its suffix or in the pattern for it."""
        arn = Arn.parse(resource)
        assert arn is not None, resource  # noqa: S101 - grants are built from ARNs
        name = arn.resource.removeprefix(_PREFIXES[store])
        if store is Store.SECRETS_MANAGER:
            name = name[:-_SUFFIX_LENGTH]
        return cls(store=store, account=arn.account, region=arn.region, name=name)


@dataclass(frozen=True, slots=True)
class _Named:
    """What specs say about one object; "" stands for nothing said."""

    resources: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)


_NOT_NAMED = _Named()


class Inventory:
    """Every object that a spec names, in one environment."""

    def __init__(self, environment: Environment, grants: Iterable[Grant]) -> None:
        """Gather what the grants of all apps say."""
        self._environment = environment
        self._named: dict[ObjectId, _Named] = {}
        for grant in grants:
            named = self._named.setdefault(ObjectId.of_resource(grant.extent, grant.store), _Named())
            named.resources.add(grant.extent)
            named.keys.add(grant.key)
            named.owners.add(grant.owner)
        self._places: dict[ObjectId, list[ObjectId]] = {}
        for item in sorted(self._named):
            self._places.setdefault(item.in_region(""), []).append(item)

    @classmethod
    def of(cls, fleet: FleetAccess) -> Inventory:
        """Gather what the apps of a fleet say."""
        return cls(fleet.environment, (grant for app in fleet.apps for grant in app.grants))

    def objects(self) -> tuple[ObjectId, ...]:
        """Return every named object, sorted."""
        return tuple(sorted(self._named))

    def is_named(self, item: ObjectId) -> bool:
        """Say whether a spec names it."""
        return item in self._named

    def arn(self, item: ObjectId) -> str:
        """Return the object's ARN; a secret's with its suffix, or with a sample where no spec tells it."""
        place = {"partition": self._environment.partition, "region": item.region, "account": item.account}
        if item.store is Store.PARAMETER_STORE:
            return parameter_arn(item.name, **place)
        named = self._named.get(item, _NOT_NAMED)
        known = (resource for resource in named.resources if not resource.endswith(UNKNOWN_SUFFIX))
        sample = secret_pattern(item.name, **place).removesuffix(UNKNOWN_SUFFIX) + SAMPLE_SUFFIX
        return min(known, default=sample)

    def keys(self, item: ObjectId) -> tuple[str, ...]:
        """Return the customer keys that specs name for it, sorted: () for AWS's own, several where specs disagree."""
        return tuple(sorted(key for key in self._named.get(item, _NOT_NAMED).keys if key))

    def owners(self, item: ObjectId) -> tuple[str, ...]:
        """Return the owners that specs name for it in any region, sorted."""
        named = (self._named[place] for place in self._places.get(item.in_region(""), ()))
        return tuple(sorted({owner for one in named for owner in one.owners if owner}))

    def keys_anywhere(self, item: ObjectId) -> tuple[str, ...]:
        """Return the customer keys that specs name for it in any region, sorted."""
        return tuple(sorted({key for place in self._places.get(item.in_region(""), ()) for key in self.keys(place)}))

    def find(
        self, name: str, *, account: str = "", region: str = "", store: Store | None = None
    ) -> tuple[ObjectId, ...]:
        """Return what a name may mean.

        Args:
            name: Friendly name, ARN with or without random suffix; `${environment}` and the like are replaced. A
                parameter's `:version` or `:label` says nothing here: IAM does not know versions of parameters.
            account: Of a friendly name; default the environment's.
            region: Of a friendly name; default the environment's, or where specs name it when they do not there.
            store: Only this one.

        Returns:
            One object, or a secret and a parameter of that name when specs name both. A name that no spec names is a
            parameter if it begins with a slash, else a secret.
        """
        text = substitute(name, self._environment.variables())
        arn = Arn.parse(text)
        if arn is not None:
            return self._find_arn(arn, store)
        place = {"account": account or self._environment.account, "region": region or self._environment.region}
        text, selector, _ = text.partition(":")
        both = [ObjectId(store=each, name=text.removeprefix("/"), **place) for each in Store]
        if text.startswith("/") or (selector and store is None):
            both = [item for item in both if item.store is Store.PARAMETER_STORE]
        chosen = [item for item in both if store in {None, item.store}]
        named = tuple(item for item in chosen if item in self._named)
        if not named and not region:
            # A failover region may know an object by a name of its own.
            places = [self._places.get(item.in_region(""), ()) for item in chosen]
            named = tuple(listed[0] for listed in places if listed)
        return named or tuple(chosen[:1])

    def _find_arn(self, arn: Arn, store: Store | None) -> tuple[ObjectId, ...]:
        service = _SERVICES.get(arn.service)
        if service is None or store not in {None, service} or not arn.resource.startswith(_PREFIXES[service]):
            return ()
        name = arn.resource.removeprefix(_PREFIXES[service])
        if service is Store.PARAMETER_STORE:
            name = name.partition(":")[0]
        whole = ObjectId(store=service, account=arn.account, region=arn.region, name=name)
        if service is Store.PARAMETER_STORE or whole in self._named or not has_random_suffix(arn):
            return (whole,)
        return (replace(whole, name=name[:-_SUFFIX_LENGTH]),)

    def similar(self, name: str) -> tuple[str, ...]:
        """Return up to three names of objects that look like a name, the nearest first."""
        names = {item.shown: None for item in self._named}
        return tuple(get_close_matches(substitute(name, self._environment.variables()), names, n=3, cutoff=0.8))


def grants_by_object(grants: Iterable[Grant]) -> Mapping[ObjectId, tuple[Grant, ...]]:
    """Return the grants of each object, in their order."""
    found: dict[ObjectId, list[Grant]] = {}
    for grant in grants:
        found.setdefault(ObjectId.of_resource(grant.extent, grant.store), []).append(grant)
    return {item: tuple(listed) for item, listed in found.items()}
