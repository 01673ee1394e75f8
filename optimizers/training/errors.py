"""What goes wrong with a training, apart from its corpus and its base."""


class TrainingError(RuntimeError):
    """A training cannot start, or made nothing that can be used."""


class DeviceError(ValueError):
    """This machine has no such device; the message names those that it has."""
