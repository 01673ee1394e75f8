"""`modplural communities check` says what weights a pool needs before it asks anybody."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_all_that_a_preset_misses_is_named_with_its_memory(run: Run, fakes: dict[str, object]) -> None:
    result = run("communities", "check", "--pool", "perspective")
    assert (result.exit_code, result.stderr) == (1, "")
    said = " ".join(result.stdout.split())
    assert "mistralai/Mistral-7B-Instruct-v0.1 missing" in said
    assert any(size in said for size in ("14.5 GB (7.24 billion parameters x 2 bytes)", "29.0 GB (7.24 billion"))
    for side in "lcr":
        assert f"bunsenfeng/mistral-news_{side} missing unknown until downloaded" in said
    assert "and 6 unknown until downloaded" in said
    assert "`hf download mistralai/Mistral-7B-Instruct-v0.1` once" in said
    assert said.count("no LoRA adapter NAME") == 1
    assert said.count("not asked, because weights are missing") == 7
    assert not fakes


def test_only_communities_whose_weights_are_here_are_asked(
    run: Run, tiny_model: Path, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    pool = tmp_path / "pool.yaml"
    pool.write_text(
        f"base: {{model: local/{tiny_model}}}\ncommunities:\n"
        f"  - {{name: here, description: Here., adapter: {tiny_adapters['care']}}}\n"
        "  - {name: gone, description: Gone., adapter: owner/gone}\n"
        "  - {name: served, description: Served., model: openai/small, persona: You speak for care.}\n"
    )
    result = run("communities", "check", "--pool", pool)
    trials = {line.split()[0]: line.split()[1] for line in result.stdout.rstrip().splitlines()[-4:]}
    assert trials == {"base": "ok", "here": "ok", "gone": "failed", "served": "ok"}
    assert "no LoRA adapter 'owner/gone'" in result.stdout
