"""What both ways are asked: questions, lettered options, and six random LoRA adapters in PEFT's own file layout.

This file knows nothing of how anything is answered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import nn

from modplural.programs.engines.scoring import Turn

ADAPTERS = ("care", "fairness", "liberty", "loyalty", "authority", "sanctity")
TARGETS = ("q_proj", "v_proj", "o_proj", "up_proj", "down_proj")
LETTERS = "ABCD"
OPTIONS = ("Yes, always", "Yes, in most cases", "Only in rare cases", "No, never")

QUESTIONS = (
    "Is it right to lie to spare someone's feelings?",
    "Should a doctor tell a patient the whole truth when the family asks for silence?",
    "May a city close a park for a month to let the birds nest?",
    "Is it fair to pay the oldest employee most?",
    "A neighbour plays loud music every evening. He is ill and says that it is the only thing that still cheers "
    "him up. The walls are thin, and your children have to sleep. You have talked to him twice, kindly, and "
    "nothing has changed. Is it right to call the landlord?",
    "Should people be free to refuse a vaccine?",
    "Is it acceptable to read your child's messages to find out whether they are being bullied at school?",
    "Must a soldier obey an order that seems pointless but harms nobody?",
    "You find a wallet with a large amount of cash, a bus ticket and a photograph of three children. The owner's "
    "address is in it, an hour away by train, and you are late for work. May you hand it to the bus driver and "
    "forget about it?",
    "Is it wrong to eat meat from animals that lived well?",
    "Should schools teach the traditions of the country before those of others?",
    "May a company read the mail that its employees write at work?",
    "Is breaking a promise to a friend excusable if keeping it would cost you your job?",
    "A village has always buried its dead on the hill above the lake. A new hospital could be built there and "
    "nowhere else, and the nearest one is three hours away. Half of the families would agree to move the graves; "
    "the other half say that the hill is sacred and that no building is worth it. Should the hospital be built?",
    "Should voting be a duty, with a fine for those who stay at home?",
    "Is it right to report a colleague who takes small things home from the office?",
    "May parents choose a religion for their children?",
    "Should rich countries take in everybody whose home is under water?",
    "Your grandmother left you a ring and asked you never to sell it. Your brother needs money for an operation, "
    "and the ring would pay for it. Is it right to sell the ring?",
    "Is civil disobedience justified against a law that a fair majority voted for?",
    "Should a museum return a statue that was bought legally a hundred years ago?",
    "May a teacher wear a religious symbol in a public school?",
    "Is it acceptable to keep a tiger as a pet if it is well looked after?",
    "A friend asks you to vouch for him in a job interview. You know that he was dismissed from his last post for "
    "drinking, that he has been sober for a year, and that the new job means driving a school bus. Is it right to "
    "say nothing about it?",
    "Should the state pay for art that most people dislike?",
    "Is it wrong to skip a queue when you are in a hurry and nobody minds?",
    "May a journalist publish a politician's private letters?",
    "Should we burn a flag if it makes people listen?",
    "Is it right that children inherit what their parents earned, even if others start with nothing at all?",
    "Your team won the match because the referee did not see a foul, and only you know it. The cup means a "
    "scholarship for two of the players. Should you tell the referee?",
    "Do we owe anything to people who will live in three hundred years?",
    "Is it ever right to use one person as a means to save five?",
)

_INSTRUCTIONS = "You speak for one community. Say in a few sentences what matters to it in the question you are asked."
_CHOICE_INSTRUCTIONS = "You speak for one community. Answer as it would."


class Task(NamedTuple):
    """One question to one community."""

    adapter: str
    question: str


class Answer(NamedTuple):
    """A generated text, with its number of tokens and that of its prompt."""

    text: str
    tokens: int
    prompt_tokens: int


@dataclass(frozen=True)
class Workload:
    """How much is asked: every question to every adapter.

    Attributes:
        questions: The questions.
        tokens: Tokens of a generation, unless the model ends it earlier.
        sample: How many of the tasks the plain way is measured on; a multiple of twice the number of adapters.
        rows: Rows of a batch that decodes together, for the comparison with the base alone.
        steps: Tokens that each of these rows generates in one round.
        rounds: Rounds of that comparison.
    """

    questions: tuple[str, ...] = QUESTIONS
    tokens: int = 48
    sample: int = 12
    rows: int = 36
    steps: int = 32
    rounds: int = 7

    @property
    def tasks(self) -> list[Task]:
        """Every question to every adapter."""
        return [Task(adapter, question) for question in self.questions for adapter in ADAPTERS]

    def sampled(self) -> list[Task]:
        """The plain way's sample: equally many for each adapter, evenly spread over the questions."""
        spread = [self.questions[index * len(self.questions) // self.sample] for index in range(self.sample)]
        return [Task(ADAPTERS[index % len(ADAPTERS)], question) for index, question in enumerate(spread)]


QUICK = Workload(questions=QUESTIONS[5:8:2], tokens=8, sample=12, rows=6, steps=4, rounds=3)
"""Enough to see that everything runs; its figures say nothing."""


def comment_turns(question: str) -> tuple[Turn, ...]:
    """The prompt of a generation."""
    return Turn("system", _INSTRUCTIONS), Turn("user", question)


def choice_turns(question: str) -> tuple[Turn, ...]:
    """The prompt of a distribution over lettered options."""
    options = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, OPTIONS, strict=True))
    return Turn("system", _CHOICE_INSTRUCTIONS), Turn("user", f"{question}\n{options}\nAnswer with a letter.")


def one_token_spellings(tokenizer: Any) -> tuple[tuple[str, ...], ...]:
    """Each letter's spellings that are one token, with and without a space: the plain way can read no others."""

    def tokens(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    return tuple(tuple(text for text in (letter, f" {letter}") if tokens(text) == 1) for letter in LETTERS)


def write_adapters(root: Path, model: nn.Module, rank: int, names: Sequence[str] = ADAPTERS) -> dict[str, Path]:
    """Write random adapters for `model`, in its dtype, as PEFT would save them.

    Args:
        root: Gets one folder per adapter.
        model: A transformers causal LM.
        rank: LoRA rank; alpha is twice that.
        names: The adapters' names; the place in this list is the seed.
    """
    return {name: _write_adapter(root / name, model, rank, seed) for seed, name in enumerate(names)}


def _write_adapter(folder: Path, model: nn.Module, rank: int, seed: int) -> Path:
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(TARGETS):
            down = torch.randn(rank, module.in_features, generator=random) / math.sqrt(module.in_features)
            # Small, as after a short training: large enough to change what is said, too small to make it noise.
            up = 0.02 * torch.randn(module.out_features, rank, generator=random)
            for side, matrix in (("lora_A", down), ("lora_B", up)):
                tensors[f"base_model.model.{name}.{side}.weight"] = matrix.to(module.weight.dtype)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(TARGETS), task_type="CAUSAL_LM").save_pretrained(folder)
    return folder
