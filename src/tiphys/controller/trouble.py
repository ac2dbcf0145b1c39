"""What can go wrong in a pass that is nobody's bug, and what is told about it?"""

from collections.abc import Sequence

from tiphys.api.errors import TiphysError


class RefusedError(TiphysError):
    """The last gate stopped an action: *rule* is the invariant it would have broken."""

    def __init__(self, action: str, rule: str) -> None:
        self.action = action
        self.rule = rule
        super().__init__(f"{action} was refused: {rule}")


class RoutingError(TiphysError):
    """Some routers could not be asked, or did not take it; all of them were tried."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in errors))


class BlindError(TiphysError):
    """Routers in other processes do not answer; *blind* says that what they say now was never known."""

    def __init__(self, silences: Sequence[str], *, blind: bool) -> None:
        self.blind = blind
        super().__init__("; ".join(dict.fromkeys(silences)))


class CreationError(TiphysError):
    """A ReplicaSet could not be created."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self.error = error
        super().__init__(f"cannot create ReplicaSet {name}: {error}")


class TakenNameError(TiphysError):
    """The name of a new ReplicaSet belongs to one with another template; *count* is the next collision count."""

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self.count = count
        super().__init__(f"ReplicaSet {name} exists and has another template or owner")
