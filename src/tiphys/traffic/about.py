"""Which field of a Rollout leads to the object in which something is wrong?"""

from collections.abc import Iterator
from contextlib import contextmanager

from tiphys.api.errors import SpecError
from tiphys.traffic.router import Ref


@contextmanager
def about(field: str, name: str, ref: Ref) -> Iterator[None]:
    """Let errors with a path in the object *ref* say that the Rollout's *field*, which says *name*, leads to it."""
    try:
        yield
    except SpecError as error:
        raise SpecError(field=field, found=name, wanted=f"{ref}: {error}") from None
