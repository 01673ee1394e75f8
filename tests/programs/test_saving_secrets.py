"""Saved programs hold no secret, and send nobody a key that is not meant for them."""

import json
from pathlib import Path

import dspy
import pytest

from modplural.programs.baselines import Vanilla
from modplural.programs.community import CommunityLM
from modplural.programs.config import LMConfig
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import SavedProgramError
from modplural.programs.lms import build_lm
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool
from modplural.programs.saving import load

from .saved_programs import put, served

pytestmark = pytest.mark.usefixtures("no_keys")

SECRETS = {
    "api_key": "canary-key",
    "headers": {"Authorization": "Bearer canary-header"},
    "extra_headers": {"X-Key": "canary-extra-header"},
    "extra_body": {"token": "canary-body"},
    "api_base": "http://me:canary-password@host:8000/v1?key=canary-query#canary-fragment",
}


def test_no_secret_is_written_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lm = dspy.LM("openai/any", **SECRETS)
    program = Overton(lm, CommunityPool([CommunityLM("care", lm.copy())]))
    program.set_lm(lm)
    program.save(tmp_path / "saved")
    program.save(tmp_path / "state.json")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert not [path for path in files if "canary" in path.read_text()]
    assert "canary" not in caplog.text
    assert "of the LM of base these settings are not saved: " in caplog.text
    assert load(tmp_path / "saved").base.kwargs["api_base"] == "http://host:8000/v1"


def test_settings_of_predictors_are_not_lost_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program = served(Overton)
    program.restate.update_config(max_tokens=40)
    program.save(tmp_path / "saved")
    assert caplog.messages == ["of restate these settings are not saved: max_tokens; set them on its LM instead"]


def test_a_key_is_read_again_from_the_variable_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "canary-key")
    Vanilla(build_lm(LMConfig(model="openai/any", api_key_env="SOME_KEY"))).save(tmp_path / "saved")
    assert "canary" not in (tmp_path / "saved" / "manifest.json").read_text()
    monkeypatch.setenv("SOME_KEY", "another-key")
    assert load(tmp_path / "saved").base.kwargs["api_key"] == "another-key"
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(SavedProgramError, match=r"SOME_KEY .*; or give another LM to load: base="):
        load(tmp_path / "saved")
    load(tmp_path / "saved", base=fake_lm())


def test_a_saved_program_cannot_send_our_keys_to_its_maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(Vanilla).save(tmp_path / "saved")
    path = tmp_path / "saved" / "manifest.json"
    base = {"model": "openai/any", "api_base": "https://evil.example/v1", "api_key_env": "SOME_KEY"}
    path.write_text(json.dumps(put("base", base)(json.loads(path.read_text()))))
    monkeypatch.setenv("SOME_KEY", "canary-key")
    with pytest.raises(
        SavedProgramError, match=r"SOME_KEY to evil\.example, which .*; or give another LM to load: base="
    ):
        load(tmp_path / "saved")
    monkeypatch.setenv("MODPLURAL_KEY_SERVERS", "evil.example")
    assert load(tmp_path / "saved").base.kwargs["api_key"] == "canary-key"


def test_an_lm_without_a_key_is_saved_without_remarks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Vanilla(build_lm(LMConfig(model="openai/any", api_base="https://host.example/v1"))).save(tmp_path / "saved")
    assert not caplog.messages
    assert load(tmp_path / "saved").base.kwargs["api_base"] == "https://host.example/v1"
