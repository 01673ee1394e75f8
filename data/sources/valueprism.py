"""ValuePrism, the data of Value Kaleidoscope (Sorensen et al., AAAI 2024, arXiv 2309.00779): situations and values.

The configuration `full` is read: CSV files with a row per situation and value, right or duty. `text` names the value,
`vrd` says which of the three it is, `valence` whether it supports the situation, opposes it, or could do either, and
`explanation` why. The other configurations are the same rows as prompts for training.
"""

from collections.abc import Iterable, Iterator, Mapping

from .hub import HubTable
from .source import Row, TableSource

_LETTERS = {"Supports": "A", "Opposes": "B", "Either": "C"}

_STEERABLE = (
    "Question: Seen from the given value, what follows for the situation: does the value support it, oppose it, or"
    " could it do either?\n\nSituation: {situation}\n\nValue: {vrd}\n\nA. Support B. Oppose C. Either\nAnswer:"
)


def convert(table: Iterable[Mapping[str, str]], task: str) -> Iterator[Row]:
    """Yield a record per situation for the Overton tasks, and one per situation and value for the steerable one.

    Of a value that a situation has twice, the first row counts. The number of a situation is the same in all tasks.
    """
    situations: dict[str, dict[str, Mapping[str, str]]] = {}
    for row in table:
        situations.setdefault(row["situation"].strip(), {}).setdefault(row["text"].strip(), row)
    for number, (situation, values) in enumerate(situations.items(), 1):
        if task == "steerable-vk":
            yield from _steerable(number, situation, values)
        else:
            yield _overton(number, situation, values)


def _overton(number: int, situation: str, values: Mapping[str, Mapping[str, str]]) -> Row:
    return {
        "id": number,
        "situation": situation,
        "vrd": list(values),
        "explanation": [row["explanation"] for row in values.values()],
        "input": f"Which values speak for and against this situation? {situation}.",
        "output": None,
    }


def _steerable(number: int, situation: str, values: Mapping[str, Mapping[str, str]]) -> Iterator[Row]:
    for place, (vrd, row) in enumerate(values.items(), 1):
        valence = row["valence"].strip().capitalize()
        yield {
            "id": f"{number}-{place}",
            "situation": situation,
            "vrd": vrd,
            "label_text": valence,
            "label": _LETTERS.get(valence),
            "input": _STEERABLE.format(situation=situation, vrd=vrd),
            "output": None,
        }


SOURCE = TableSource(
    name="valueprism",
    tasks=("overton-vk", "overton-judge", "steerable-vk"),
    home="https://huggingface.co/datasets/allenai/ValuePrism",
    licence="AI2 ImpACT, medium risk",
    size="31,000 situations, 218,000 values",
    table=HubTable(
        "allenai/ValuePrism",
        ("full/*.csv",),
        columns=("situation", "vrd", "text", "valence", "explanation"),
        gated=True,
    ),
    convert=convert,
)
