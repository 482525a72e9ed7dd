"""What is to be registered, and what can't be: the plan of ``swf-worker register``, from what SWF
says. Nothing here calls anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..core.registered_types import RegisteredType, defaults_of, drifts
from ..definition import ActivityDefinition
from ..errors import ConfigurationError
from ..task import ActivityType
from .checking.registered import NEW_VERSION, undeprecate_domain, undeprecate_type


class Kind(StrEnum):
    """What is to be done."""

    REGISTER = "register"
    THERE = "there"
    DEPRECATED = "deprecated"
    """It stays so: somebody wanted it."""
    DRIFTED = "drifted"
    MISSING = "missing"
    """And is not to be created."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the plan. ``definition`` None: it is the domain's."""

    kind: Kind
    what: str
    said: str
    definition: ActivityDefinition | None = None

    def __str__(self) -> str:
        return f"{self.kind:<10} {self.what}{': ' if self.said else ''}{self.said}"


def wanted(definitions: Iterable[ActivityDefinition]) -> dict[ActivityType, ActivityDefinition]:
    """Each type once; ConfigurationError where two handlers want other defaults of it."""
    found: dict[ActivityType, ActivityDefinition] = {}
    for definition in definitions:
        other = found.setdefault(definition.type, definition)
        if defaults_of(other) != defaults_of(definition):
            raise ConfigurationError(
                f"{definition.type} has other registration defaults in another worker: "
                f"{_listed(other)} and {_listed(definition)}; a type is registered once"
            )
    return found


def domain_step(domain: str, deprecated: bool | None, *, create: bool, days: int) -> Step:
    """The domain's. ``deprecated`` None: it isn't registered."""
    what = f"domain {domain}"
    if deprecated is None and create:
        return Step(Kind.REGISTER, what, f"closed workflows are kept {days} days")
    if deprecated is None:
        said = "it isn't registered; --create-domain registers it, or correct --domain"
        return Step(Kind.MISSING, what, said)
    if deprecated:
        said = f"nothing can be registered in it; {undeprecate_domain(domain)} takes that back"
        return Step(Kind.DEPRECATED, what, said)
    return Step(Kind.THERE, what, "")


def type_steps(
    domain: str,
    definitions: Mapping[ActivityType, ActivityDefinition],
    registered: Mapping[ActivityType, RegisteredType],
) -> Iterator[Step]:
    """The types', of those that are ``registered`` in the domain."""
    for activity_type, definition in definitions.items():
        there = registered.get(activity_type)
        if there is None:
            yield Step(Kind.REGISTER, _type(definition), _listed(definition), definition)
        else:
            yield type_there(domain, definition, there)


def type_there(domain: str, definition: ActivityDefinition, there: RegisteredType) -> Step:
    """One that is registered."""
    differing = drifts(definition, there)
    if differing:
        said = f"{'; '.join(map(str, differing))}. It needs {NEW_VERSION}"
        return Step(Kind.DRIFTED, _type(definition), said, definition)
    if there.deprecated:
        said = f"left so; {undeprecate_type(domain, definition.type)} takes it back"
        return Step(Kind.DEPRECATED, _type(definition), said, definition)
    return Step(Kind.THERE, _type(definition), "", definition)


def _type(definition: ActivityDefinition) -> str:
    return f"activity type {definition.type}"


def _listed(definition: ActivityDefinition) -> str:
    said = ", ".join(f"{name}={value}" for name, value in defaults_of(definition).items())
    return said or "no defaults"
