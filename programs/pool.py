"""The pool: an ordered set of community LMs that are asked together, and what happens when one of them fails.

This file knows communities; it must not know what a mode makes of their messages.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import TIMEOUT_MAX
from typing import Any, Literal

import dspy

from .checks import is_finite, shortened
from .community import CommunityLM
from .errors import CommunityError, EmptyPoolError, UnknownCommunityError, reason
from .learned import Weights
from .messages import Message, one_line
from .program import Stepped
from .steps import Steps

Listener = Callable[[Message], None]

_listener: ContextVar[Listener | None] = ContextVar("modplural_message_listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within this block, `listener` is told every community's message as soon as it is there.

    It is called in the thread or event loop that called the program, one message at a time.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@dataclass(frozen=True)
class FailurePolicy:
    """What a community that fails, or takes too long, does to a program.

    Attributes:
        action: "raise" ends the program; "continue" goes on with the others and records why it failed.
        at_least: The number of communities without which a program ends all the same, whether or not one failed.
        timeout: Seconds that a community has for its message; no limit when None.
    """

    action: Literal["raise", "continue"] = "raise"
    at_least: int = 1
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.action not in ("raise", "continue"):
            raise ValueError(f"action is {self.action!r}; it is 'raise' or 'continue'")
        if not isinstance(self.at_least, int) or isinstance(self.at_least, bool) or self.at_least < 1:
            raise ValueError(
                f"at_least is {shortened(self.at_least)}; no program can do without any community, so it is 1 or more"
            )
        if self.timeout is not None and not (is_finite(self.timeout) and 0 < self.timeout <= TIMEOUT_MAX):
            raise ValueError(
                f"timeout is {shortened(self.timeout)}; it is a number of seconds above zero and up to"
                f" {TIMEOUT_MAX:.0f}, or None for no limit"
            )

    def judge(self, failed: Mapping[str, str], left: int) -> None:
        """Let a program go on without some communities, or not.

        Raises:
            CommunityError: The policy is to raise, or fewer are left than there must be.
        """
        reasons = "; ".join(f"{name} ({why})" for name, why in failed.items())
        if failed and self.action == "raise":
            raise CommunityError(f"no message from {reasons}; FailurePolicy('continue') would go on without")
        if left < self.at_least:
            silent = f"; none from {reasons}" if failed else ", and there are no others to ask"
            raise CommunityError(f"{left} of at least {self.at_least} communities have a message{silent}")


class CommunityPool(Stepped):
    """An ordered set of community LMs.

    Adding or removing one retrains nothing: `pool.add(CommunityLM("elders", lm, persona=...))`.

    Attributes:
        communities: The communities by name, in order. Change them by `add`, `remove` and `replace`.
        weights: What each counts where distributions are pooled; equal unless set or learned.
    """

    def __init__(self, communities: Iterable[CommunityLM] = ()) -> None:
        """Take communities, in the order in which their messages are listed.

        Raises:
            ValueError: Two have the same name.
        """
        super().__init__()
        self.communities: dict[str, CommunityLM] = {}
        self.weights = Weights()
        for community in communities:
            self.add(community)

    def add(self, community: CommunityLM, weight: float = 1.0) -> None:
        """Add a community at the end.

        Raises:
            ValueError: There is one of that name, or the weight makes no sense.
        """
        self._check_free(community.name)
        self.weights.add(community.name, weight)
        self.communities[community.name] = community

    def remove(self, name: str) -> CommunityLM:
        """Take a community out and return it.

        Raises:
            UnknownCommunityError: There is none of that name.
            ValueError: All that is left weighs zero.
        """
        community = self[name]
        self.weights.remove(name)
        del self.communities[name]
        return community

    def replace(self, name: str, community: CommunityLM) -> None:
        """Put a community into the place of another, with its weight.

        Raises:
            UnknownCommunityError: There is none of that name to replace.
            ValueError: The new one is called like a third one.
        """
        replaced = self[name]
        if community.name != name:
            self._check_free(community.name)
        self.weights.rename(name, community.name)
        members = [community if member is replaced else member for member in self]
        self.communities = {member.name: member for member in members}

    def __getitem__(self, name: str) -> CommunityLM:
        if name not in self.communities:
            known = ", ".join(self.communities) or "none"
            raise UnknownCommunityError(f"there is no community {name!r}; the pool has {known}")
        return self.communities[name]

    def __iter__(self) -> Iterator[CommunityLM]:
        return iter(self.communities.values())

    def __len__(self) -> int:
        return len(self.communities)

    def __contains__(self, name: object) -> bool:
        return name in self.communities

    def steps(
        self, query: str, failures: FailurePolicy | None = None, only: Iterable[str] | None = None
    ) -> Steps[dspy.Prediction]:
        """Ask the communities, all at once.

        Args:
            query: What they comment on.
            failures: What a failure leads to; by default it is raised.
            only: The names of those to ask; all of them by default.

        Returns:
            `Prediction(messages, failures)`: the messages in the pool's order, and the reason per failed community.

        Raises:
            CommunityError: A community failed and the policy raises, or too few are left.
            EmptyPoolError: There is nobody to ask.
        """
        policy = failures or FailurePolicy()
        heard = yield from self.collect(query, policy.timeout, only)
        policy.judge(heard.failures, len(heard.messages))
        return heard

    def collect(
        self, query: str, timeout: float | None = None, only: Iterable[str] | None = None
    ) -> Steps[dspy.Prediction]:
        """As `steps`, but whoever calls it judges the failures, of which there may be as many as communities."""
        self.check_filled()
        asked = list(self) if only is None else [self[name] for name in only]
        listener = _listener.get()
        answers = yield [community.call(query, catch=True, timeout=timeout, listener=listener) for community in asked]
        failed = {
            community.name: reason(failure, community.lm)
            for community, answer in zip(asked, answers, strict=True)
            if (failure := _failure(answer)) is not None
        }
        messages = tuple(
            Message(community.name, answer.message)
            for community, answer in zip(asked, answers, strict=True)
            if community.name not in failed
        )
        return dspy.Prediction(messages=messages, failures=failed)

    def set_lm(self, lm: dspy.LM) -> None:
        """Have the communities draw anew, for an LM with a `rollout_id`, as DSPy asks for another sample.

        Raises:
            ValueError: It is an ordinary LM, which would make all communities speak with one voice.
        """
        if getattr(lm, "kwargs", {}).get("rollout_id") is None:
            raise ValueError(
                "a pool has no LM to set: every community has its own, and with one for all they would speak with one"
                " voice. Set that of one with pool[name].set_lm(lm), or the base LLM with program.set_lm(lm)"
            )
        super().set_lm(lm)

    def check_filled(self) -> None:
        """Check that there is somebody to ask.

        Raises:
            EmptyPoolError: There is nobody.
        """
        if not self.communities:
            raise EmptyPoolError("the pool has no community to ask; add one with pool.add(CommunityLM(...))")

    def _check_free(self, name: str) -> None:
        if name in self.communities:
            raise ValueError(f"the pool has a community {name!r} already; replace it, or name the new one differently")


def _failure(answer: Any) -> Exception | None:
    if isinstance(answer, Exception):
        return answer
    return None if one_line(answer.message) else ValueError("the message has nothing in it that can be seen")
