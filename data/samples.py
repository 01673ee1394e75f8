"""A few records of our own for every layout, to try things on; nothing in them was measured or asked of anyone."""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

SAMPLES: Mapping[str, str] = {
    "overton-vk": "situations.json",
    "overton-judge": "situations.json",
    "steerable-vk": "values.json",
    "steerable-opinionqa": "town_groups.json",
    "distributional-moralchoice": "dilemmas.json",
    "distributional-globalopinionqa": "town_survey.json",
}
"""File per task."""


def sample(task: str) -> Traversable:
    """Find the sample of a task; `importlib.resources.as_file` makes it a path.

    Raises:
        ValueError: The task has no sample; the message lists those that have.
    """
    if task not in SAMPLES:
        raise ValueError(f"no sample for task {task!r}; there are samples for {', '.join(SAMPLES)}")
    return files(__package__) / "sample" / SAMPLES[task]
