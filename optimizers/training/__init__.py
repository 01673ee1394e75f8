"""Training of community LMs: a LoRA adapter from a corpus of one community's comments."""

from .errors import DeviceError, TrainingError
from .settings import TrainingSettings
from .train import TrainedCommunity, train_community

__all__ = ["DeviceError", "TrainedCommunity", "TrainingError", "TrainingSettings", "train_community"]
