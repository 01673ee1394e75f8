"""OpinionQA (Santurkar et al., ICML 2023, arXiv 2303.17548): how groups in the United States answered Pew's surveys.

It is on no hub: `human_resp` of the authors' release has a folder per wave, `American_Trends_Panel_W26` and so on. In
each, `info.csv` has the questions with their options; how people answered is for `opinionqa_answers` to read. Options
are taken from `info.csv` only, because other files of the release have them cut apart at commas. Refusals are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .layout import survey_question
from .opinionqa_answers import Question, answers
from .source import Row, Source, SourceError
from .table import literal, read_csv

_WAVE = "American_Trends_Panel_W*"
_REFUSED = "Refused"


@dataclass(frozen=True)
class OpinionQA(Source):
    """The release, in a folder."""

    @property
    def layout(self) -> str:
        """A folder per wave, with its questions and answers."""
        return f"folders human_resp/{_WAVE}: info.csv with responses.csv and metadata.csv, or with *_data.json"

    def remedy(self) -> str:
        """Name where the release is."""
        return f"download it from {self.home}, and give the folder that has the {self.layout}"

    def rows(self, task: str, place: Path | None = None) -> Iterator[Row]:
        """Yield a record per question and group; `task` is the only one there is."""
        if place is None:
            raise SourceError(f"{self.name} is on no hub; {self.remedy()}")
        try:
            for wave in _waves(place):
                yield from _records(wave)
        except ValueError as error:
            raise SourceError(f"{self.name}: {error}") from error
        except OSError as error:
            raise SourceError(f"{self.name}: {error}. To get it, {self.remedy()}") from error


def _waves(place: Path) -> list[Path]:
    folders = [place, *place.rglob(_WAVE)]
    waves = sorted({folder for folder in folders if folder.match(_WAVE) and folder.is_dir()})
    if not waves:
        raise ValueError(f"{place} holds no folder {_WAVE}; give the release's human_resp, or a folder above it")
    return waves


def _records(wave: Path) -> Iterator[Row]:
    questions = _questions(wave / "info.csv")
    for found in answers(wave, questions):
        question = questions[found.key]
        total = sum(found.weights)
        yield {
            "id": f"{found.key}/{found.group}",
            "question": survey_question(question.text, question.options),
            "options": list(question.options),
            "attribute": found.group,
            "gold_distribution": [weight / total for weight in found.weights],
            "pred_distribution": None,
        }


def _questions(path: Path) -> dict[str, Question]:
    questions = {}
    for number, row in enumerate(read_csv([path], ("key", "question", "references")), 1):
        options = literal(row["references"])
        if not isinstance(options, list):
            raise ValueError(f"{path}, row {number}: references is {row['references']!r}, where a list is expected")
        stripped = (str(option).strip() for option in options)
        kept = tuple(option for option in stripped if option != _REFUSED)
        questions[row["key"]] = Question(row["question"].strip(), kept)
    return questions


SOURCE = OpinionQA(
    name="opinionqa",
    tasks=("steerable-opinionqa",),
    home="https://worksheets.codalab.org/worksheets/0x6fb693719477478aac73fc07db333f69",
    licence="none stated; Pew's terms of use",
    size="1,498 questions, 60 groups",
)
