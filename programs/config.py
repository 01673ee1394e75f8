"""What a pool may say: its LMs and communities as validated, frozen models.

This file knows which configurations make sense. It must not know where one was written, nor import what runs an LM.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .config_fields import LOCAL, ModelId, Problem, ServerUrl, Slug, Text, Variable, refusal, unknown_field


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, data: Any) -> Any:
        unknown = [str(key) for key in data if key not in cls.model_fields] if isinstance(data, dict) else []
        if unknown:
            raise refusal(cls.__name__, [Problem((key,), unknown_field(key, cls.model_fields)) for key in unknown])
        return data


class _LMFields(_Config):
    api_base: ServerUrl | None = None
    api_key_env: Variable | None = None
    adapter: Text | None = None
    temperature: float | None = Field(default=None, strict=True, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int | None = Field(default=None, strict=True, gt=0)


class LMConfig(_LMFields):
    """One LM.

    Attributes:
        model: DSPy's model string, or `local/` and an embedded name, a folder or a hub id.
        api_base: Address of the server, without credentials.
        api_key_env: Name of the environment variable that holds the key.
        adapter: Folder or hub id of a LoRA adapter on a `local/` model.
        temperature: Sampling temperature, 0 to 2; the backend's default when None.
        max_tokens: Most tokens of a reply; the backend's default when None.
    """

    model: ModelId

    @model_validator(mode="after")
    def _fields_fit_the_backend(self) -> Self:
        if self.model.startswith(LOCAL):
            refused = {"api_base": "has no server", "api_key_env": "needs no key"}
            why = f"{self.model!r} runs in this process and"
        else:
            refused = {"adapter": "takes no adapter; serve the adapter there and give its name as the model"}
            why = f"{self.model!r} runs on a server and"
        problems = [Problem((field,), f"{why} {what}") for field, what in refused.items() if getattr(self, field)]
        if problems:
            raise refusal("LMConfig", problems)
        return self


class ExampleConfig(_Config):
    """A query and what the community says about it, shown to the LM as an example."""

    query: Text
    message: Text


class CommunityConfig(_LMFields):
    """One community: who it is, and what makes an LM speak for it.

    Attributes:
        name: What predictions call it; a slug.
        description: Who it is, in a sentence; the mixture of experts routes by it.
        model: An LM of its own; otherwise it shares the pool's, with the other LM fields given here on top.
        persona: Instructions that make the LM speak for the community.
        examples: Messages as the community would write them.
        weight: Its share in the pooled distribution, relative to the others.
    """

    name: Slug
    description: Text
    model: ModelId | None = None
    persona: Text | None = None
    examples: tuple[ExampleConfig, ...] = ()
    weight: float = Field(default=1.0, strict=True, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _differs_from_its_lm(self) -> Self:
        if not (self.model or self.adapter or self.persona or self.examples):
            message = f"nothing makes the LM speak for {self.name!r}; give persona, examples, adapter or model"
            raise refusal("CommunityConfig", [Problem((), message)])
        return self


class PoolConfig(_Config):
    """A base LLM and the communities that complement it.

    Attributes:
        base: The LLM that answers.
        community_base: The LM of communities without a model of their own; `base` when None.
        communities: The communities, in the order in which their messages are listed.
    """

    base: LMConfig
    community_base: LMConfig | None = None
    communities: tuple[CommunityConfig, ...]

    def community_lm(self, community: CommunityConfig) -> LMConfig:
        """The LM that speaks for a community: its own, or the shared one with the community's fields on top."""
        own = community.model_dump(include=set(LMConfig.model_fields), exclude_none=True)
        shared = {} if community.model else (self.community_base or self.base).model_dump()
        return LMConfig(**(shared | own))

    @model_validator(mode="after")
    def _communities_fit(self) -> Self:
        if not self.communities:
            raise refusal("PoolConfig", [Problem(("communities",), "the pool is empty; give at least one community")])
        problems = [*self._repeated_names(), *self._unfit_lms()]
        if problems:
            raise refusal("PoolConfig", problems)
        return self

    def _repeated_names(self) -> Iterable[Problem]:
        counts = Counter(community.name for community in self.communities)
        for index, community in enumerate(self.communities):
            if counts[community.name] > 1:
                message = (
                    f"{counts[community.name]} communities are named {community.name!r}; names tell messages apart"
                )
                yield Problem(("communities", index, "name"), message)

    def _unfit_lms(self) -> Iterable[Problem]:
        for index, community in enumerate(self.communities):
            try:
                self.community_lm(community)
            except ValidationError as error:
                for detail in error.errors():
                    yield Problem(("communities", index, *detail["loc"]), detail["msg"])
