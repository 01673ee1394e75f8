"""What can go wrong with versions."""


class VersionError(LookupError):
    """There is no such version, or it cannot be used; the message says why."""


class PromotionError(RuntimeError):
    """A version does not take the champion's place; the message says why."""
