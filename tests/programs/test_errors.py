"""How failures are put into words that may be kept."""

import dspy
import pytest

from modplural.programs.errors import reason, redacted


def test_a_reason_names_the_error_in_one_line() -> None:
    assert reason(ValueError("it\n broke"), dspy.LM("openai/any")) == "ValueError: it broke"


def test_a_long_reason_is_cut() -> None:
    found = reason(ValueError("x" * 1000), dspy.LM("openai/any"))
    assert len(found) == 300
    assert found.endswith("xxx...")


def test_no_secret_of_the_lm_stands_in_a_reason() -> None:
    lm = dspy.LM(
        "openai/any",
        api_key="sk-canary-1",
        extra_headers={"X-Key": "canary-2"},
        extra_body={"auth": {"tokens": ["canary-3"]}},
        api_base="http://me:canary-4@host/v1",
    )
    error = ValueError("sk-canary-1 and canary-2 and canary-3 were refused by http://me:canary-4@host/v1")
    assert reason(error, lm) == "ValueError: *** and *** and *** were refused by http://host/v1"


def test_keys_that_providers_read_from_the_environment_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", "canary-5-and-more")
    monkeypatch.setenv("SOME_PROVIDER_API_KEY_OLD", "canary-5")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("HOME_TOWN", "Canterbury")
    assert redacted("canary-5-and-more, canary-5, false, Canterbury") == "***, ***, false, Canterbury"


def test_the_password_of_an_address_is_redacted_as_it_is_sent() -> None:
    """In a header it stands together with the name, in base 64; a server may repeat either."""
    lm = dspy.LM("openai/any", api_base="http://me:canary%2D9word@127.0.0.1:9/v1")
    sent = "Basic bWU6Y2FuYXJ5LTl3b3Jk; the password canary-9word is wrong"
    assert redacted(sent, lm) == "Basic ***; the password *** is wrong"
    assert redacted("as it was", dspy.LM("openai/any", api_base="http://[::1")) == "as it was"


def test_the_servers_that_may_have_keys_are_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODPLURAL_KEY_SERVERS", "llm.example.org")
    assert redacted("llm.example.org does not answer") == "llm.example.org does not answer"


def test_what_an_address_asks_with_is_redacted() -> None:
    told = "no answer from http://h:8000/v1?api-key=canary-1&version=2, postgresql://h/db?user=u&password=canary-2"
    assert redacted(told) == (
        "no answer from http://h:8000/v1?api-key=***&version=2, postgresql://h/db?user=u&password=***"
    )
    lm = dspy.LM("openai/x", api_base="http://h/v1?api_key=canary-number-3", api_key="none")
    assert redacted("the key canary-number-3 is wrong", lm) == "the key *** is wrong"
    assert redacted("which is the key? a=b") == "which is the key? a=b"
