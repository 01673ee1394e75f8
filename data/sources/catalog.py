"""All public datasets, by name and by task."""

from collections.abc import Mapping

from . import globalopinionqa, moralchoice, opinionqa, valueprism
from .source import Source, SourceError

SOURCES: Mapping[str, Source] = {
    source.name: source for source in (valueprism.SOURCE, opinionqa.SOURCE, moralchoice.SOURCE, globalopinionqa.SOURCE)
}
"""Source per name."""


def find_source(name: str) -> Source:
    """Look a source up by its name or its id on the hub.

    Raises:
        SourceError: There is none; the message lists those there are.
    """
    by_id = {source.hub_id: source for source in SOURCES.values() if source.hub_id}
    if found := SOURCES.get(name) or by_id.get(name):
        return found
    raise SourceError(
        f"{name}: neither a file nor a folder, nor one of the datasets {', '.join(SOURCES)} or {', '.join(by_id)}"
    )


def source_of(task: str) -> Source:
    """Return the dataset that a task is made of.

    Raises:
        SourceError: It is made of none of these.
    """
    for source in SOURCES.values():
        if task in source.tasks:
            return source
    raise SourceError(f"{task} is made of none of the datasets {', '.join(SOURCES)}; give a file in the common format")
