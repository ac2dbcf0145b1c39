"""What can go wrong, and who has to act?"""


class TiphysError(Exception):
    """Base of every error that is not a bug of ours."""


class SpecError(TiphysError):
    """The user has to act: shown as a condition, not retried in a hurry."""

    def __init__(self, *, field: str, found: object, wanted: str) -> None:
        """
        Name the *field* (path from the object's root), what was *found* there and what is *wanted*.

        *found* is `None` where the value is missing.
        """
        self.field = field
        self.found = found
        self.wanted = wanted
        super().__init__(field, found, wanted)

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.field}: Required value: {self.wanted}"
        return f"{self.field}: Invalid value: {self._shown()}: {self.wanted}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpecError) and other.args == self.args

    def __hash__(self) -> int:
        return hash((self.field, str(self.found), self.wanted))

    def _shown(self) -> str:
        if isinstance(self.found, str):
            return f'"{self.found}"'
        if isinstance(self.found, bool):
            return str(self.found).lower()
        return str(self.found)


class SpecInternalError(SpecError):
    """A contradiction in the spec that clients know as an *Internal error*, not as an invalid value."""

    def __str__(self) -> str:
        return f"{self.field}: Internal error: {self.found}: {self.wanted}"


class ConflictError(TiphysError):
    """Somebody wrote first: look again at once."""


class UnreachableError(TiphysError):
    """Nobody answered: try again later, with back-off."""
