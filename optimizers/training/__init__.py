"""Training of community LMs: a LoRA adapter from a corpus of one community's comments."""

from .settings import TrainingSettings
from .train import TrainedCommunity, TrainingError, train_community

__all__ = ["TrainedCommunity", "TrainingError", "TrainingSettings", "train_community"]
