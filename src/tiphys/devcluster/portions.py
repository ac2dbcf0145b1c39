"""How much is a count or a percentage of something? (pure)"""


def portion(amount: int | str, of: int, *, up: bool = True) -> int:
    """Give *amount*, a count or a percentage of *of*; parts round *up* or down."""
    if isinstance(amount, int):
        return amount
    percent = int(amount.removesuffix("%") or 0)
    return -(-percent * of // 100) if up else percent * of // 100
