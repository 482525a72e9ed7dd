"""What the checks need to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...core.registered_types import RegisteredType
from ...definition import ActivityDefinition
from ...errors import ConfigurationError, OperationNotPermittedFault, ServiceError
from ...options import Options
from ...service.clients import Where
from ...service.faults import NOT_PERMITTED
from ...service.operator_calls import Greeting
from ...status import Backlog
from ...task import ActivityType


@dataclass(slots=True)
class Reached:
    """One way to SWF: workers may share it."""

    credentials: str | ServiceError | ConfigurationError
    """The provider that has some."""
    where: Where | None = None
    endpoint: str = ""
    local: bool = False
    set_up: ConfigurationError | None = None
    """Why there is no way: no region, say."""
    greeting: Greeting | ServiceError | None = None
    heard: bool = False
    """SWF has answered a signed call, whatever it said."""
    caller: str | ServiceError | None = None
    """Whose credentials they are; None: STS was not asked."""

    @property
    def answers(self) -> bool:
        """Whether SWF is there."""
        return self.heard or isinstance(self.greeting, Greeting)


@dataclass(slots=True)
class Told:
    """What SWF says of one worker's domain, task list and types."""

    deprecated: bool | ServiceError
    """Of the domain."""
    pending: Backlog | ServiceError
    types: dict[ActivityType, RegisteredType | ServiceError] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Whether any of it is SWF's word."""
        every = (self.deprecated, self.pending, *self.types.values())
        return any(not isinstance(each, ServiceError) or each.request_id for each in every)

    @property
    def refused(self) -> ServiceError | None:
        """An error of the credentials themselves, or of the clock: every call meets it."""
        for answer in (self.deprecated, self.pending, *self.types.values()):
            if isinstance(answer, OperationNotPermittedFault) and not is_denied(answer):
                return answer
        return None


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """One worker."""

    options: Options
    definitions: tuple[ActivityDefinition, ...]
    reached: Reached
    told: Told | None
    """None where nothing could be asked."""
    serves_any: bool = False
    """It has a ``handle_unregistered``."""

    @property
    def subject(self) -> str:
        """What its lines are about."""
        return f"{self.options.domain}/{self.options.task_list}"

    def registered(self, activity_type: ActivityType) -> RegisteredType | None:
        """A type as it is registered, where that is known."""
        answer = None if self.told is None else self.told.types.get(activity_type)
        return answer if isinstance(answer, RegisteredType) else None


def is_denied(answer: object) -> bool:
    """Whether a call was refused because this identity may not make it."""
    return isinstance(answer, OperationNotPermittedFault) and answer.code in NOT_PERMITTED
