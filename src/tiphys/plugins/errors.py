"""What can go wrong when talking to a router in another process?"""

from tiphys.api import errors as base


class RouterError(base.TiphysError):
    """A router did not do what the contract says; the text names it and where it is."""

    def __init__(self, router: str, problem: str) -> None:
        self.router = router
        self.problem = problem
        super().__init__(f"router {router}: {problem}")


class SilentError(RouterError, base.UnreachableError):
    """A router gave no answer, or one that says it cannot act now: it is asked again."""


class AnswerError(RouterError):
    """A router answered something that the contract does not know."""
