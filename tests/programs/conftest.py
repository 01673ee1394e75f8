"""What the tests of programs share."""

import importlib.util
import math
import sys
import types
from typing import Any

import dspy

from modplural.programs.engines.scoring import ScoreItem, Turn, read_scores, score_request

if importlib.util.find_spec("modplural.programs.choice") is None:  # stands in until measured choice is there

    class MeasuredChoice(dspy.Predict):
        def __init__(self, signature: Any, strategy: str = "letters", channel: str | None = None) -> None:
            super().__init__(signature)
            self.strategy, self.channel = strategy, channel

        def forward(self, **inputs: Any) -> dspy.Prediction:
            lm, _, signature, _, inputs = self._forward_preprocess(**inputs)
            return self._measured(inputs, read_scores(lm(self._request(lm, signature, inputs))))

        async def aforward(self, **inputs: Any) -> dspy.Prediction:
            lm, _, signature, _, inputs = self._forward_preprocess(**inputs)
            return self._measured(inputs, read_scores(await lm.acall(self._request(lm, signature, inputs))))

        def _request(self, lm: Any, signature: Any, inputs: Any) -> Any:
            shown = "\n".join(f"{name}: {value}" for name, value in inputs.items() if value and name != "options")
            turns = (Turn("system", signature.instructions), Turn("user", shown))
            return score_request(lm.model, [ScoreItem(turns, tuple(inputs["options"]))])

        def _measured(self, inputs: Any, scores: Any) -> dspy.Prediction:
            found = {o: math.exp(s.logprob) for o, s in zip(inputs["options"], scores[0], strict=True)}
            probabilities = {option: p / sum(found.values()) for option, p in found.items()}
            best = max(probabilities, key=lambda option: probabilities[option])
            completion = {"choice": best, "probabilities": probabilities}
            return self._forward_postprocess([completion], self.signature, **inputs)

    stand_in: Any = types.ModuleType("modplural.programs.choice")
    stand_in.MeasuredChoice = MeasuredChoice
    sys.modules["modplural.programs.choice"] = stand_in
