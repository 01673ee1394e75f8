"""A saved program behind MLflow's model server: questions as JSON in, predictions as JSON out.

Only code that MLflow runs imports this file, which needs MLflow. Annotations are real types here, because MLflow reads
them as the schema of its server. This file knows how questions arrive; it must not know which programs there are.
"""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from pydantic import BaseModel, ConfigDict

from ...programs.program import Program
from ...programs.question import Question
from ...programs.saving import load
from ..answering import failure_reason
from ..evaluation.answers import as_json
from .artifact import PROGRAM

WORKERS = 16
"""Questions of one request under way at the same time."""


class AskedQuestion(BaseModel):
    """One question as JSON, such as `{"query": "May I?", "options": ["Yes", "No"]}`."""

    model_config = ConfigDict(extra="forbid")

    query: str
    attribute: str | None = None
    options: list[str] | None = None


class ServedProgram(PythonModel):
    """Answers `{"inputs": [question, ...]}` with `{"predictions": [prediction, ...]}`, in the same order.

    A question that makes no sense, or one that fails, fails its request: MLflow's protocol has no answer without one.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Make the program of the artifact; keys of its LMs come from the environment."""
        self._program: Program = load(Path(context.artifacts[PROGRAM]))

    # Without a type for what it returns: MLflow would read that as a schema, and predictions differ in their fields.
    def predict(self, model_input: list[AskedQuestion]):  # type: ignore[no-untyped-def, override]
        """Answer all questions, together, so that an engine can serve them in one forward pass."""
        questions = [self._checked(place, asked) for place, asked in enumerate(model_input)]
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="modplural-serve") as pool:
            futures = [pool.submit(copy_context().run, self._answer, question) for question in questions]
            return [future.result() for future in futures]

    def _checked(self, place: int, asked: AskedQuestion) -> Question:
        try:
            question = Question.check(asked.query, asked.attribute, asked.options)
            question.fit(type(self._program).__name__, self._program.attribute_use, self._program.options_use)
        except (TypeError, ValueError) as error:
            raise MlflowException(f"inputs[{place}]: {error}", INVALID_PARAMETER_VALUE) from None
        return question

    def _answer(self, question: Question) -> dict[str, Any]:
        try:
            return as_json(self._program(query=question.query, attribute=question.attribute, options=question.options))
        except Exception as error:  # its message may hold what a server was sent, a key among it
            raise MlflowException(failure_reason(self._program, error), INTERNAL_ERROR) from None
