"""The public datasets behind the six tasks: one file for each, from its own layout to rows of the common format."""

from .catalog import SOURCES, find_source, source_of
from .load import load_task
from .source import Source, SourceError

__all__ = ["SOURCES", "Source", "SourceError", "find_source", "load_task", "source_of"]
