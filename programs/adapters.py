"""The plain adapter: instructions, inputs and demos as ordinary chat turns, and the whole completion as the output.

Small and fine-tuned LMs do not follow field-marker protocols. Where a signature asks for one text there is nothing to
mark: whatever the LM says is the answer. This file knows signatures and chat turns; neither programs nor engines.
"""

from collections.abc import Mapping
from typing import Any

import dspy
from dspy.adapters.base import Adapter
from dspy.adapters.utils import format_field_value
from dspy.utils.exceptions import AdapterParseError


class PlainAdapter(dspy.ChatAdapter):
    """Renders signatures with one text output plainly, and any other signature as `dspy.ChatAdapter` does.

    The system turn holds the instructions; the user turn the one input's value, or every input under its label (the
    field's `prefix`, which optimizers may change). Inputs that are None are left out. Demos are earlier turns: those
    without the output or without any input are left out, and those that miss some inputs come first, as in DSPy.
    """

    def __call__(
        self,
        lm: dspy.LM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Ask the LM; see `dspy.Adapter`.

        Raises:
            AdapterParseError: The LM said nothing. No second call in JSON follows a plain one: it would ask a small LM
                for something harder still.
        """
        call = Adapter.__call__ if is_plain(signature) else dspy.ChatAdapter.__call__
        return call(self, lm, lm_kwargs, signature, demos, inputs)

    async def acall(
        self,
        lm: dspy.LM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Ask the LM; the async twin of `__call__`."""
        acall = Adapter.acall if is_plain(signature) else dspy.ChatAdapter.acall
        return await acall(self, lm, lm_kwargs, signature, demos, inputs)

    def format_system_message(self, signature: type[dspy.Signature]) -> str:
        """The instructions, and nothing about formats."""
        return signature.instructions if is_plain(signature) else super().format_system_message(signature)

    def format_user_message_content(
        self,
        signature: type[dspy.Signature],
        inputs: Mapping[str, Any],
        prefix: str = "",
        suffix: str = "",
        main_request: bool = False,
    ) -> str:
        """The inputs: a bare value where the signature has one input, else labelled blocks."""
        if not is_plain(signature):
            return super().format_user_message_content(signature, inputs, prefix, suffix, main_request)
        fields = signature.input_fields
        values = {name: _value(fields[name], inputs[name]) for name in fields if inputs.get(name) is not None}
        if len(fields) > 1:
            values = {name: _labelled(fields[name], value) for name, value in values.items()}
        return "\n\n".join(filter(None, [prefix, *values.values(), suffix]))

    def format_assistant_message_content(
        self, signature: type[dspy.Signature], outputs: Mapping[str, Any], missing_field_message: str | None = None
    ) -> str:
        """The output text itself."""
        if not is_plain(signature):
            return super().format_assistant_message_content(signature, outputs, missing_field_message)
        return str(outputs.get(_output_name(signature), missing_field_message or ""))

    def format_demos(self, signature: type[dspy.Signature], demos: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The demos as turns of a user and an assistant."""
        if not is_plain(signature):
            return super().format_demos(signature, demos)
        usable = [demo for demo in demos if demo.get(_output_name(signature)) and _given(signature, demo)]
        turns = []
        for demo in sorted(usable, key=lambda demo: len(_given(signature, demo)) == len(signature.input_fields)):
            turns.append({"role": "user", "content": self.format_user_message_content(signature, demo)})
            turns.append({"role": "assistant", "content": self.format_assistant_message_content(signature, demo)})
        return turns

    def parse(self, signature: type[dspy.Signature], completion: str) -> dict[str, Any]:
        """Take the whole completion, without surrounding whitespace, as the output."""
        if not is_plain(signature):
            return super().parse(signature, completion)
        text = completion.strip()
        if not text:
            raise AdapterParseError(
                adapter_name=type(self).__name__,
                signature=signature,
                lm_response=completion,
                message="The LM returned an empty response.",
            )
        return {_output_name(signature): text}


def is_plain(signature: type[dspy.Signature]) -> bool:
    """Whether a signature asks for one text, so that the whole completion can be its output."""
    outputs = list(signature.output_fields.values())
    return len(outputs) == 1 and outputs[0].annotation is str


def _output_name(signature: type[dspy.Signature]) -> str:
    return next(iter(signature.output_fields))


def _given(signature: type[dspy.Signature], demo: Mapping[str, Any]) -> list[str]:
    return [name for name in signature.input_fields if demo.get(name) is not None]


def _value(field: Any, value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(f"- {item}" for item in value)
    return str(format_field_value(field, value))


def _labelled(field: Any, value: str) -> str:
    separator = "\n" if "\n" in value or value.startswith("- ") else " "
    return f"{field.json_schema_extra['prefix']}{separator}{value}"
