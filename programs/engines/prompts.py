"""From chat turns to token ids with a model's own chat template.

Text in a turn is data: a special token spelled inside it (`<|im_end|>`) must not open or close turns, so it is broken up
before the template sees it. This file knows tokenizers; it must not know requests, engines or models.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from .scoring import Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WORD_JOINER = "\u2060"


class ChatFormat:
    """Renders chat turns for one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Learn the template's habits: whether there is one, and whether it takes a system turn."""
        self._tokenizer: Any = tokenizer
        self._lock = threading.Lock()
        specials = {str(token) for token in tokenizer.all_special_tokens}
        specials |= {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}
        alternatives = "|".join(re.escape(token) for token in sorted(specials, key=len, reverse=True) if token)
        self._special = re.compile(alternatives) if alternatives else None
        self._takes_system = bool(tokenizer.chat_template) and self._renders_system()

    def encode(self, turns: Sequence[Turn]) -> list[int]:
        """Token ids of a prompt, ready for the next assistant token.

        Args:
            turns: The conversation. If it ends with an assistant turn, that answer is continued.
        """
        clean = [Turn(turn.role, self._defuse(turn.content)) for turn in turns]
        text = self._render(clean) if self._tokenizer.chat_template else _render_plainly(clean)
        return self._tokenize(text)

    def encode_continuation(self, text: str) -> list[int]:
        """Token ids of text that continues a prompt."""
        return self._tokenize(self._defuse(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of generated tokens, without special tokens."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def token_text(self, token: int) -> str:
        """Text of one token, as log-probability listings show it."""
        return str(self._tokenizer.decode([token]))

    def _tokenize(self, text: str) -> list[int]:
        with self._lock:  # fast tokenizers set their truncation at every call and refuse to be borrowed twice
            return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _render(self, turns: Sequence[Turn]) -> str:
        if not self._takes_system:
            turns = _fold_system(turns)
        open_answer = turns[-1].role == "assistant"
        rendered = self._tokenizer.apply_chat_template(
            [turn._asdict() for turn in turns],
            tokenize=False,
            add_generation_prompt=not open_answer,
            continue_final_message=open_answer,
        )
        return str(rendered)

    def _renders_system(self) -> bool:
        probe = [{"role": "system", "content": "probe"}, {"role": "user", "content": "probe"}]
        try:
            return str(self._tokenizer.apply_chat_template(probe, tokenize=False)).count("probe") == 2
        except TemplateError:
            return False

    def _defuse(self, text: str) -> str:
        if self._special is None:
            return text
        return self._special.sub(lambda match: _WORD_JOINER.join(match.group()), text)


def _fold_system(turns: Sequence[Turn]) -> list[Turn]:
    """Put the system text in front of the first user turn, for templates that refuse a system role."""
    system = "\n\n".join(turn.content for turn in turns if turn.role == "system")
    rest = [turn for turn in turns if turn.role != "system"]
    if not system:
        return rest
    if rest and rest[0].role == "user":
        return [Turn("user", f"{system}\n\n{rest[0].content}"), *rest[1:]]
    return [Turn("user", system), *rest]


def _render_plainly(turns: Sequence[Turn]) -> str:
    """A prompt for base models without a chat template: paragraphs, and the answer after the last."""
    text = "\n\n".join(turn.content for turn in turns)
    return text if turns[-1].role == "assistant" else f"{text}\n\n"
