"""Instructions written for each predictor of the three modes, for searches that have no strong LM to write them.

They differ in more than words: some name a form, some name what must not happen, some say who speaks. All are short
enough for small LMs, and none knows a task or a dataset.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...programs.distributional import Distributional
from ...programs.overton import Overton
from ...programs.program import Program
from ...programs.steerable import Steerable

_SYNTHESIZE = (
    "Write one paragraph about the query. Give each numbered message a sentence of its own that keeps its reason.",
    "Answer the query fairly. For every message, say what it values in this situation and why; leave no message out.",
    "Bring the messages together in one answer. Keep the words that name a value, and do not decide who is right.",
    "Several people answered the query. Tell what each of them finds important, one after the other, without judging.",
    "Write an answer in which every one of these voices would find its own reason again. Use plain, short sentences.",
    "Go through the messages in their order. Say for each which value is at stake and what it asks of us.",
    "Explain why reasonable people see the query differently. Name the concern behind every message.",
    "Sum up all messages in as many sentences as there are messages. Add nothing that none of them says.",
)

_RESTATE = (
    "Shorten the message to one sentence that names the value and its reason.",
    "Say in one sentence which value is at stake for the speaker in this situation, and why it matters here.",
    "Repeat the most important reason of the message in one sentence, in the words of the message.",
    "Write one sentence about the query that the speaker of the message would agree with.",
    "Name what the message wants to protect in this situation, in one complete sentence.",
    "One sentence: because of which value, and with which consequence, does the message speak for or against this?",
    "Keep the message's main point. Leave out greetings, repetition and advice. Write one sentence.",
)

_SELECT = (
    "You choose the message whose author cares most about the attribute.",
    "You choose the message that someone who lives by the attribute would have written.",
    "Read what each community says. You choose the one that argues from the attribute.",
    "You choose the message that names the attribute or means the same by other words.",
    "Which message would help most to explain how people see this who hold the attribute? You choose that one.",
    "You choose by reasons and not by tone: the message whose reason is the attribute.",
)

_RESPOND = (
    "Answer the query as someone would to whom the attribute matters most. Give the reason that the message gives.",
    "Speak from the standpoint of the attribute. Say what follows for this situation, in two or three sentences.",
    "Use the message to answer the query. Name the attribute and say what it asks of us here.",
    "Answer in the first person, as one of those whom the attribute describes. Keep to what the message says.",
    "Say how the query looks to people who hold the attribute, and why. Leave other standpoints out.",
    "Take the message as the opinion of people with the attribute. Write their answer to the query in plain words.",
)

_CHOOSE = (
    "You choose the option that people choose who hold the attribute. The message tells how they think.",
    "You judge the query by the attribute alone, and choose the option that follows from it.",
    "You answer for somebody with this attribute. You read the message first and choose as they would.",
    "You choose the option that agrees with the message and the attribute.",
    "Think of what the attribute asks for in this situation. You choose the option that says so.",
    "You predict the answer that most people described by the attribute would give.",
)

_CHOOSE_FOR_ALL = (
    "You answer as people do who think as the message says.",
    "The message shows what a community values. You choose the option that respects these values most.",
    "You predict which option people of this community choose. They agree with the message.",
    "You choose the option that is right for somebody who wrote the message.",
    "You weigh the options by the reasons in the message, and choose the better one.",
    "You are honest and kind, and you choose what most people find right. The message is one view of it.",
    "You answer the query. You keep the message in mind, and do not let the order of the options decide.",
)

_BANK: Mapping[type[Program], Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        Overton: {"synthesize": _SYNTHESIZE, "restate": _RESTATE},
        Steerable: {"select": _SELECT, "respond": _RESPOND, "choose": _CHOOSE},
        Distributional: {"choose": _CHOOSE_FOR_ALL},
    }
)


def bank_of(program: Program) -> Mapping[str, tuple[str, ...]]:
    """Instructions by the predictor's name; none for a program that is no mode."""
    return next((bank for kind, bank in _BANK.items() if isinstance(program, kind)), {})
