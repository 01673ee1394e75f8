"""What goes wrong with a training, apart from its corpus and its base."""


class TrainingError(RuntimeError):
    """A training cannot start, or made nothing that can be used."""


class DeviceError(ValueError):
    """There is no such device here; the message says which there are."""
