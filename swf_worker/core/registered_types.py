"""An activity type as it is registered, and as the code has it. SWF can't change a type: what
differs needs a new version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..definition import TIMEOUT_NAMES, ActivityDefinition
from ..options import Duration

_MEMBERS = {
    name: "defaultTask" + "".join(part.capitalize() for part in name.split("_"))
    for name in TIMEOUT_NAMES
}
"""SWF's names of the timeouts."""


@dataclass(frozen=True, slots=True)
class RegisteredType:
    """What DescribeActivityType tells. ``defaults`` has the options of ``@activity`` that are
    registered, as SWF writes them: "30", "NONE", the name of a task list."""

    deprecated: bool = False
    defaults: Mapping[str, str] = field(default_factory=dict)

    def seconds(self, timeout: str) -> float | None:
        """A timeout; None for "NONE" and for one that isn't registered."""
        return seconds(self.defaults.get(timeout))


@dataclass(frozen=True, slots=True)
class Drift:
    """A default that is registered otherwise than the code says. ``registered`` None: not at
    all."""

    option: str
    code: str
    registered: str | None

    def __str__(self) -> str:
        there = "not registered" if self.registered is None else f"registered as {self.registered}"
        return f"{self.option} is {there}, the code says {self.code}"


def seconds(duration: Duration | str | None) -> float | None:
    """Of a timeout as SWF writes it; None for "NONE", nothing, and what is no number."""
    try:
        return None if duration is None or duration == "NONE" else float(duration)
    except ValueError:
        return None


def defaults_of(definition: ActivityDefinition) -> dict[str, str]:
    """The registration defaults that the code gives, as SWF writes them."""
    options = definition.options
    said = {name: getattr(options, name) for name in (*TIMEOUT_NAMES, "default_task_list")}
    return {name: str(value) for name, value in said.items() if value is not None}


def drifts(definition: ActivityDefinition, registered: RegisteredType) -> list[Drift]:
    """Where the two differ. What the code leaves open is as it is registered."""
    return [
        Drift(option, code, registered.defaults.get(option))
        for option, code in defaults_of(definition).items()
        if registered.defaults.get(option) != code
    ]


def registration(definition: ActivityDefinition) -> dict[str, Any]:
    """RegisterActivityType's members, without the domain: what the code says and nothing else."""
    members: dict[str, Any] = {
        "name": definition.type.name,
        "version": definition.type.version,
    }
    for option, value in defaults_of(definition).items():
        if option in _MEMBERS:
            members[_MEMBERS[option]] = value
        else:
            members["defaultTaskList"] = {"name": value}
    if definition.options.description is not None:
        members["description"] = definition.options.description
    return members


def read_described(answer: Mapping[str, Any]) -> RegisteredType:
    """DescribeActivityType's answer; members that are no text are left out."""
    info, configuration = answer.get("typeInfo"), answer.get("configuration")
    info = info if isinstance(info, Mapping) else {}
    configuration = configuration if isinstance(configuration, Mapping) else {}
    task_list = configuration.get("defaultTaskList")
    told = {name: configuration.get(member) for name, member in _MEMBERS.items()}
    told["default_task_list"] = task_list.get("name") if isinstance(task_list, Mapping) else None
    return RegisteredType(
        deprecated=info.get("status") == "DEPRECATED",
        defaults={name: value for name, value in told.items() if isinstance(value, str)},
    )
