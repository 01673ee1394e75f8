"""Checks of single values that come from users or files.

This file knows numbers; it must not know what they are for.
"""

import sys


def is_finite(value: object) -> bool:
    """Whether a value is a finite number; True and False are none.

    A whole number beyond all floats is not finite either: comparing it does not overflow, as converting it would.
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def shortened(value: object, longest: int = 40) -> str:
    """A value as an error shows it: recognizable, and no page long."""
    if isinstance(value, int) and abs(value) > sys.maxsize:
        return "a whole number of more than 18 digits"  # Python refuses to write down the longest ones
    shown = repr(value)
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."
