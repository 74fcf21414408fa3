"""What the resources of a preview are called in a diff, so that two of one name are never taken for one.

A name that is nobody else's stays plain. A name is shared when one side has it twice: then it is shared on both, so
that what stays keeps its name while another one comes or goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..arn import Arn
from .preview_kinds import COMPONENT, ROLE
from .preview_resources import Resource


class Names:
    """Names of the roles, and of the resources that nobody reads, of one preview."""

    def __init__(self, *sides: Sequence[Resource]) -> None:
        """Look at all sides: what is shared on one of them counts for each."""
        self._shared: set[str] = set()
        self._shared_apps: set[str] = set()
        self._components: set[str] = set()
        self._accounts: dict[str, str] = {}
        users: dict[str, set[str]] = {}
        for side in sides:
            roles = [(role_name(item), item) for item in side if item.type == ROLE and not own_app(item)]
            self._shared |= _twice(name for name, _ in roles)
            self._shared |= _twice(_plain_place(item) for item in side)
            self._shared_apps |= _twice(item.text("app") for item in side if is_component(item))
            self._components |= {item.name for item in side if is_component(item)}
            for name, item in roles:
                users.setdefault(name, set()).add(item.urn)
                arn = Arn.parse(item.text("arn"))
                if arn is not None and arn.account:
                    self._accounts[item.urn] = arn.account
        for urns in users.values():
            accounts = {self._accounts.get(urn, "") for urn in urns}
            if len(accounts) < len(urns) or "" in accounts:
                for urn in urns:
                    self._accounts.pop(urn, None)

    def is_shared(self, role: str) -> bool:
        """Say whether several roles have a name, so that the name alone says nothing."""
        return role in self._shared

    def apps_of(self, side: Iterable[Resource]) -> dict[str, str]:
        """Return the logical names of our components on one side → the apps that they are for.

        Only where the two differ and no other component is for the app, such as one on another cluster, or is called
        like it: a component that keeps its resources may come to be for an app of another name.
        """
        told = {item.name: item.text("app") for item in side if is_component(item)}
        taken = self._shared_apps | self._components
        return {name: app for name, app in told.items() if app and app not in taken}

    def app_of(self, role: Resource, apps: Mapping[str, str]) -> str:
        """Return the name of the app that a role belongs to; with its account, or path, where its name is shared.

        Args:
            role: Of one side.
            apps: See `apps_of`, of the same side.
        """
        name = role_name(role)
        suffix = f" ({self._accounts.get(role.urn) or path_of(role)})" if name in self._shared else ""
        own = own_app(role)
        return apps.get(own, own) or f"role {name}{suffix}"

    def place(self, resource: Resource) -> str:
        """Return type and name, with the types of its parents where another one has both."""
        plain = _plain_place(resource)
        return f"{resource.type} {path_of(resource)}" if plain in self._shared else plain


def role_name(role: Resource) -> str:
    """Return a role's name in IAM, its logical one while that is not known."""
    return role.text("name") or role.name


def path_of(resource: Resource) -> str:
    """Return the logical name below the types of the parents: unique among the resources of a type."""
    return "/".join((*resource.urn.split("::")[2].split("$")[:-1], resource.name))


def is_component(resource: Resource) -> bool:
    """Say whether a resource is the component of one app."""
    return resource.type.startswith("lockstep:") and resource.type.endswith(COMPONENT)


def own_app(resource: Resource) -> str:
    """Return the component that made a resource, which is called after its app; "" for any other resource."""
    chain = resource.urn.split("::")[2].split("$")
    if not any(kind.startswith("lockstep:") and kind.endswith(COMPONENT) for kind in chain[:-1]):
        return ""
    return resource.parent.rpartition("::")[2] or resource.name


def _plain_place(resource: Resource) -> str:
    return f"{resource.type} {resource.name}"


def _twice(names: Iterable[str]) -> set[str]:
    return {name for name, times in Counter(names).items() if times > 1}
