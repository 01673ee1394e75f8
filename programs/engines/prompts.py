"""From chat turns to token ids with a model's own chat template.

Text in a turn is data: a marker spelled inside it (`<|im_end|>`, `[/INST]`) must not open or close turns, so it is
broken up before the template sees it. This file knows tokenizers; it must not know requests, engines or models.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from .scoring import Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WORD_JOINER = "\u2060"
_PROBE = "probe"
_SYSTEM = Turn("system", _PROBE)
_CHAT = (Turn("user", _PROBE), Turn("assistant", _PROBE), Turn("user", _PROBE), Turn("assistant", _PROBE))
_BRACKETED = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")


class PromptError(ValueError):
    """A conversation that makes no prompt: the model's chat template refuses it, or nothing is left of it."""


class ChatFormat:
    """Renders chat turns for one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Learn the template's habits: whether there is one, whether it takes a system turn, how it marks turns."""
        self._tokenizer: Any = tokenizer
        self._lock = threading.Lock()
        self._takes_system = self._sample(_SYSTEM, _CHAT[0]).count(_PROBE) == 2
        self._markers = self._find_markers()

    def encode(self, turns: Sequence[Turn]) -> list[int]:
        """Token ids of a prompt, ready for the next assistant token.

        Args:
            turns: The conversation. If it ends with an assistant turn, that answer is continued.

        Raises:
            PromptError: The chat template refuses the conversation (most want user and assistant to alternate), or it
                has no text at all.
        """
        clean = [Turn(turn.role, self._defuse(turn.content)) for turn in turns]
        if clean[-1].role == "assistant" and not clean[-1].content.strip():
            clean.pop()  # an answer not yet begun: the generation prompt asks for it
        has_template = bool(self._tokenizer.chat_template)
        text = self._render(clean) if has_template else _render_plainly(clean)
        tokens = self._tokenize(text, special=not has_template)
        if not tokens:
            raise PromptError("the prompt is empty: no turn has any text")
        return tokens

    def encode_continuation(self, text: str) -> list[int]:
        """Token ids of text that continues a prompt; at least one.

        Raises:
            PromptError: The tokenizer makes nothing of the text.
        """
        tokens = self._tokenize(self._defuse(text), special=False)
        if not tokens:
            raise PromptError(f"the continuation {text!r} has no tokens")
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of generated tokens, without special tokens."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def token_text(self, token: int) -> str:
        """Text of one token, as log-probability listings show it."""
        return str(self._tokenizer.decode([token], clean_up_tokenization_spaces=False))

    def turn_end(self, end_tokens: Collection[int]) -> int | None:
        """Which of the end tokens closes an assistant turn; None where there is none."""
        rendered = self._tokenize(self._sample(*_CHAT), special=False)
        default: int | None = self._tokenizer.eos_token_id
        return next((token for token in reversed(rendered) if token in end_tokens), default)

    def _tokenize(self, text: str, *, special: bool) -> list[int]:
        with self._lock:  # fast tokenizers set their truncation at every call and refuse to be borrowed twice
            return list(self._tokenizer(text, add_special_tokens=special)["input_ids"])

    def _render(self, turns: Sequence[Turn]) -> str:
        if not self._takes_system:
            turns = _fold_system(turns)
        open_answer = bool(turns) and turns[-1].role == "assistant"
        return self._apply(turns, add_generation_prompt=not open_answer, continue_final_message=open_answer)

    def _apply(self, turns: Sequence[Turn], **options: bool) -> str:
        messages = [turn._asdict() for turn in turns]
        try:
            return str(self._tokenizer.apply_chat_template(messages, tokenize=False, **options))
        except (TemplateError, TypeError, ValueError) as error:
            roles = ", ".join(turn.role for turn in turns)
            raise PromptError(f"the model's chat template refuses turns of the roles [{roles}]: {error}") from error

    def _sample(self, *turns: Turn) -> str:
        """What the template makes of some turns; empty where there is no template, or none for such turns."""
        try:
            return self._apply(turns) if self._tokenizer.chat_template else ""
        except PromptError:
            return ""

    def _find_markers(self) -> re.Pattern[str] | None:
        """Every special token, and whatever stands in brackets where the template frames the turns."""
        found = {str(token) for token in self._tokenizer.all_special_tokens}
        found |= {str(token) for token in self._tokenizer.added_tokens_decoder.values() if token.special}
        found |= set(_BRACKETED.findall(self._sample(*_CHAT) + self._sample(_SYSTEM, *_CHAT)))
        longest_first = sorted(filter(None, found), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def _defuse(self, text: str) -> str:
        if self._markers is None:
            return text
        return self._markers.sub(lambda match: _WORD_JOINER.join(match.group()), text)


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
    return text if turns and turns[-1].role == "assistant" else f"{text}\n\n"
