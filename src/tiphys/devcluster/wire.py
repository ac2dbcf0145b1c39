"""What is a JSON document made of?"""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any  # any JSON value, where only the code around it knows which
