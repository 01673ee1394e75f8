"""GlobalOpinionQA (Durmus et al., 2023, arXiv 2306.16388): how countries answered questions of two world surveys.

One CSV file, a row per question: `selections` holds the shares of each country as the text of a Python defaultdict,
`options` the options as the text of a list. One question becomes a record for each of its countries.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .hub import HubTable
from .layout import survey_question
from .source import Row, TableSource
from .table import literal

_DEFAULTDICT = re.compile(r"defaultdict\([^{]*(\{.*\})\s*\)", re.DOTALL)


def convert(table: Iterable[Mapping[str, str]], task: str) -> Iterator[Row]:
    """Yield a record per question and country; `task` is the only one there is."""
    for number, row in enumerate(table):
        options, selections = _options(row["options"]), _selections(row["selections"])
        # A cell that cannot be read makes one record of an unnamed country, which is refused with the reason.
        shares = selections if isinstance(selections, dict) else {None: selections}
        text = survey_question(row["question"].strip(), options) if row["question"].strip() else ""
        for country, distribution in shares.items():
            yield {
                "id": f"{number}/{country}",
                "question": text,
                "options": options,
                "attribute": country,
                "gold_distribution": distribution,
                "pred_distribution": None,
            }


def _options(cell: str) -> Any:
    options = literal(cell)
    return [str(option).strip() for option in options] if isinstance(options, list) else cell


def _selections(cell: str) -> Any:
    found = _DEFAULTDICT.fullmatch(cell.strip())
    return literal(found[1] if found else cell)


SOURCE = TableSource(
    name="globalopinionqa",
    tasks=("distributional-globalopinionqa",),
    home="https://huggingface.co/datasets/Anthropic/llm_global_opinions",
    licence="CC BY-NC-SA 4.0",
    size="2,556 questions",
    table=HubTable(
        "Anthropic/llm_global_opinions", ("data/global_opinions.csv",), columns=("question", "selections", "options")
    ),
    convert=convert,
)
