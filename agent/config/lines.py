"""Fields of a line of a GPIO chip: a pin of the header, or a chip and its line."""

from __future__ import annotations

import re

from agent.config.fields import declare, misfit, string, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_LINE_MAX = 65_535
_NAME_LENGTH = 31  # GPIO_MAX_NAME_SIZE of linux/gpio.h, less the closing zero

#: A GPIO as people call it.
_CALLED = re.compile(r"(?:[Gg][Pp][Ii][Oo]|[Bb][Cc][Mm])?[ _]?([0-9]{1,2})")


def number_of(text: str) -> str:
    """The digits of a GPIO that is called "21", "GPIO21" or "BCM 21"; the text if it is none."""
    called = _CALLED.fullmatch(text.strip())
    return called[1] if called else text


def header_pin(high: int) -> int | None:
    """The GPIO (BCM) number of a pin of the header, up to `high`; None if not given."""

    def check(value: object, _base: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            advice = f"write it without quotes: pin = {number_of(str(value))}"
            raise misfit("an integer", value, rf"\s*{_CALLED.pattern}\s*", advice)
        return within(value, 0, high)

    return declare(None, check)


def chip() -> str:
    """A chip's name, path or label; a number alone is that of its name."""

    def check(value: object, _base: Path) -> str:
        number = isinstance(value, int) and not isinstance(value, bool)
        plain = str(within(int(str(value)), 0, _LINE_MAX)) if number else string(value)
        return f"gpiochip{plain}" if re.fullmatch(r"\d+", plain, re.ASCII) else plain

    return declare("", check, blank=True)


def offset_or_name() -> int | str | None:
    """A line's number or its name; None if not given."""

    def check(value: object, _base: Path) -> int | str:
        if isinstance(value, str) and len(value) <= _NAME_LENGTH and not value.isdecimal():
            return string(value)
        if isinstance(value, bool) or not isinstance(value, int):
            expected = f"a number, or a name of at most {_NAME_LENGTH} characters"
            raise misfit(expected, value, r"\d+")
        return within(value, 0, _LINE_MAX)

    return declare(None, check, blank=True)
