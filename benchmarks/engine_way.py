"""The engine's way: the same prompts through ordinary DSPy LMs, one per adapter, all asked at once from threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import dspy
from dspy.lm15 import Config
from workload import OPTIONS, Answer, Task, choice_turns, comment_turns

from modplural.programs.asking import chat_request
from modplural.programs.choice import MeasuredChoice
from modplural.programs.engines.local import local_lm
from modplural.programs.engines.scoring import ScoreItem
from modplural.programs.measures import score

T = TypeVar("T")


class EngineWay:
    """One `dspy.LM` for each adapter; their requests meet in the engine's batches."""

    def __init__(self, model: str, adapters: Mapping[str, Path], dtype: str | None) -> None:
        """Make the LMs; the model is loaded by the first request."""
        self._lms = {
            name: local_lm(f"local/{model}", adapter=str(path), dtype=dtype, cache=False)
            for name, path in adapters.items()
        }
        self._choice = MeasuredChoice("question, options: list[str] -> choice: str", "letters")

    def generate(self, tasks: Sequence[Task], tokens: int, advance: Callable[[], None]) -> list[Answer]:
        """Up to `tokens` tokens for each task, greedily."""
        return generate(self._lms, tasks, tokens, advance)

    def distributions(
        self, tasks: Sequence[Task], letters: Sequence[Sequence[str]], advance: Callable[[], None]
    ) -> list[list[float]]:
        """Probabilities of the letters, normalized, each summed over its spellings."""
        spellings = tuple(text for row in letters for text in row)

        def ask(task: Task) -> list[float]:
            (row,) = score(self._lms[task.adapter], [ScoreItem(choice_turns(task.question), spellings)])
            likelihoods = dict(zip(spellings, row, strict=True))
            masses = [sum(math.exp(likelihoods[text].logprob) for text in texts) for texts in letters]
            return [mass / sum(masses) for mass in masses]

        return _at_once(ask, tasks, advance)

    def rotated_choices(self, tasks: Sequence[Task], advance: Callable[[], None]) -> None:
        """Measured choices, which ask about every rotation of the options."""

        def ask(task: Task) -> None:
            with dspy.context(lm=self._lms[task.adapter]):
                self._choice(question=task.question, options=list(OPTIONS))

        _at_once(ask, tasks, advance)

    def close(self) -> None:
        """Free the model."""
        for lm in self._lms.values():
            lm.engine.close()


def generate(
    lms: Mapping[str, dspy.LM], tasks: Sequence[Task], tokens: int, advance: Callable[[], None]
) -> list[Answer]:
    """Up to `tokens` tokens for each task, greedily, from the LMs of the adapters, which are all asked at once."""
    config = Config(max_tokens=tokens, temperature=0.0)

    def ask(task: Task) -> Answer:
        lm = lms[task.adapter]
        response = lm(chat_request(lm.model, comment_turns(task.question), config))
        return Answer(response.message.text or "", response.usage.output_tokens, response.usage.input_tokens)

    return _at_once(ask, tasks, advance)


def _at_once(ask: Callable[[Task], T], tasks: Sequence[Task], advance: Callable[[], None]) -> list[T]:
    def answer(task: Task) -> T:
        result = ask(task)
        advance()
        return result

    with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
        return list(pool.map(answer, tasks))
