"""Training of community LMs: a LoRA adapter from a corpus of one community's comments."""

from .errors import DeviceError, TrainingError
from .settings import TrainingSettings
from .targets import TargetsError
from .train import TrainedCommunity, train_community

__all__ = ["DeviceError", "TargetsError", "TrainedCommunity", "TrainingError", "TrainingSettings", "train_community"]
