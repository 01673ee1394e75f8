"""The plain way: what a straightforward script does, one question at a time, with PEFT's own adapters.

In fairness to it the base is loaded once, adapters are switched and not reloaded, and the dtype is the engine's.
Adapters come one after the other, the batch size is one, and a distribution over options is read as published code of
the field does it: twenty tokens are generated, and then a second pass gives the probabilities of the letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from workload import Answer, Task, choice_turns, comment_turns

from modplural.programs.engines.scoring import Turn

_TOKENS_BEFORE_CHOICE = 20


class PlainWay:
    """A transformers model with PEFT adapters, asked one prompt after the other."""

    def __init__(self, folder: Path, adapters: Mapping[str, Path], device: torch.device, dtype: torch.dtype) -> None:
        """Load the base from `folder` and every adapter, none of them active."""
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device)
        (first, path), *others = adapters.items()
        # PEFT would keep adapters in float32 and cast at every layer; the model's own dtype is quicker.
        model = PeftModel.from_pretrained(base, path, adapter_name=first, autocast_adapter_dtype=False)
        for name, path in others:
            model.load_adapter(path, adapter_name=name, autocast_adapter_dtype=False)
        self._model: Any = model.eval()
        self._device = device

    def generate(self, task: Task, tokens: int) -> Answer:
        """Up to `tokens` tokens, greedily."""
        self._switch(task.adapter)
        inputs = self._inputs(comment_turns(task.question))
        new = self._generate(inputs, tokens)
        return Answer(self._tokenizer.decode(new, skip_special_tokens=True), len(new), inputs["input_ids"].shape[1])

    def distribution(self, task: Task, letters: Sequence[Sequence[str]]) -> list[float]:
        """Probabilities of the letters, normalized, each summed over its spellings of one token."""
        self._switch(task.adapter)
        inputs = self._inputs(choice_turns(task.question))
        self._generate(inputs, _TOKENS_BEFORE_CHOICE)  # its text is what such a script shows beside the probabilities
        with torch.inference_mode():
            probabilities = self._model(**inputs).logits[0, -1].float().softmax(dim=-1)
        masses = [sum(float(probabilities[self._token(text)]) for text in spellings) for spellings in letters]
        return [mass / sum(masses) for mass in masses]

    def _switch(self, adapter: str) -> None:
        if self._model.active_adapter != adapter:
            self._model.set_adapter(adapter)

    def _inputs(self, prompt: Sequence[Turn]) -> Any:
        messages = [turn._asdict() for turn in prompt]
        inputs = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        return inputs.to(self._device)

    def _generate(self, inputs: Any, tokens: int) -> list[int]:
        with torch.inference_mode():
            output = self._model.generate(
                **inputs, max_new_tokens=tokens, do_sample=False, pad_token_id=self._tokenizer.eos_token_id
            )
        new: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
        return new

    def _token(self, text: str) -> int:
        (token,) = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return int(token)
