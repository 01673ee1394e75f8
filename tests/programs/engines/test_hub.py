"""The hub is played by a local server and by hand-made cache folders; nothing leaves this machine."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import huggingface_hub
import pytest

from modplural.programs.engines import embedded
from modplural.programs.engines.adapter_base import belongs, check_plain, named_base
from modplural.programs.engines.hub import meant_as_path
from modplural.programs.engines.models import WeightsError, resolve_adapter, resolve_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache folder."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_in_cache(hub_cache: Path, repo_id: str, folder: Path) -> Path:
    """Lay a folder into the hub cache as its own downloads would."""
    repo = hub_cache / f"models--{repo_id.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    return Path(shutil.copytree(folder, repo / "snapshots" / COMMIT))


def test_a_cached_model_is_found_offline_with_its_commit(tiny_model: Path, hub_cache: Path) -> None:
    snapshot = put_in_cache(hub_cache, "owner/tiny", tiny_model)

    source = resolve_model("owner/tiny")

    assert (source.name, source.revision, source.path()) == ("owner/tiny", COMMIT[:12], snapshot)


def test_a_cached_adapter_is_found_offline_with_the_revision_of_its_files(
    tiny_adapters: dict[str, Path], hub_cache: Path
) -> None:
    snapshot = put_in_cache(hub_cache, "owner/care", tiny_adapters["care"])

    source = resolve_adapter("owner/care")

    assert (source.name, source.path) == ("owner/care", snapshot)
    assert source.revision == resolve_adapter(str(tiny_adapters["care"])).revision


def test_a_half_cached_model_is_not_taken_for_whole(tiny_model: Path, hub_cache: Path) -> None:
    snapshot = put_in_cache(hub_cache, "owner/tiny", tiny_model)
    (snapshot / "model.safetensors").unlink()

    with pytest.raises(WeightsError, match=r"'owner/tiny': .* does not have it whole, .*run `hf download owner/tiny`"):
        resolve_model("owner/tiny")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("owner/name", False),
        ("here/name", True),
        ("here/", True),
        ("./name", True),
        ("../name", True),
        ("~/name", True),
        ("/name", True),
        ("a/b/c", True),
        ("name", False),
    ],
)
def test_a_path_is_told_from_a_hub_id(text: str, path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert meant_as_path(text) == path


def test_a_folder_wins_over_a_hub_id(tiny_model: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_cache(hub_cache, "models/tiny", tiny_model)
    (hub_cache / "here" / "models").mkdir(parents=True)
    shutil.copytree(tiny_model, hub_cache / "here" / "models" / "tiny")
    monkeypatch.chdir(hub_cache / "here")

    assert resolve_model("models/tiny").name == "tiny"


def test_the_embedded_name_falls_back_to_the_hub(
    tiny_model: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda package: None)
    put_in_cache(hub_cache, "HuggingFaceTB/SmolLM2-135M-Instruct", tiny_model)

    source = resolve_model("smollm2-135m-instruct")

    assert (source.name, source.revision) == ("smollm2-135m-instruct", COMMIT[:12])


class FakeHub(BaseHTTPRequestHandler):
    """Speaks as much of the hub's protocol as a download needs."""

    folders: ClassVar[dict[str, Path]] = {}
    gated: ClassVar[set[str]] = set()
    served: ClassVar[list[str]] = []
    commit: ClassVar[str] = COMMIT

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        api = path.startswith("api/models/")
        owner, name, *rest = path.removeprefix("api/models/").split("/")
        repo = f"{owner}/{name}"
        if repo in self.gated:
            return self._send(403, b"", {"X-Error-Code": "GatedRepo"})
        if repo not in self.folders:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        files = sorted(self.folders[repo].iterdir())
        if not api:
            self.served.append(rest[-1])
            content = (self.folders[repo] / rest[-1]).read_bytes()
            return self._send(200, content, {"ETag": f'"{rest[-1]}"', "X-Repo-Commit": self.commit})
        if rest and rest[0] == "tree":
            tree = [{"type": "file", "path": f.name, "size": f.stat().st_size, "oid": f.name} for f in files]
            return self._send(200, json.dumps(tree).encode(), {})
        info = {"id": repo, "sha": self.commit, "siblings": [{"rfilename": file.name} for file in files]}
        return self._send(200, json.dumps(info).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def online_hub(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeHub]]:
    """A hub on this machine that can be asked."""
    FakeHub.folders, FakeHub.gated, FakeHub.served, FakeHub.commit = {}, set(), [], COMMIT
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeHub) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        files = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        huggingface_hub.close_session()
        yield FakeHub
        huggingface_hub.close_session()
        server.shutdown()


def test_a_model_on_the_hub_is_named_before_its_weights_are_downloaded(
    tiny_model: Path, tmp_path: Path, online_hub: type[FakeHub]
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "repo"))
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    online_hub.folders["owner/tiny"] = folder

    source = resolve_model("owner/tiny")
    assert (source.revision, online_hub.served) == (COMMIT[:12], [])

    path = source.path()
    assert (path / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    assert "pytorch_model.bin" not in online_hub.served

    online_hub.folders.clear()
    assert resolve_model("owner/tiny").path() == path


def test_a_model_that_changes_between_naming_and_download_is_not_taken_for_the_named_one(
    tiny_model: Path, online_hub: type[FakeHub]
) -> None:
    online_hub.folders["owner/tiny"] = tiny_model
    source = resolve_model("owner/tiny")
    online_hub.commit = "f" * 40

    with pytest.raises(WeightsError, match=r"'owner/tiny' has changed on the hub"):
        source.path()
    assert resolve_model("owner/tiny").revision == "f" * 12


def test_an_adapter_on_the_hub_is_downloaded(tiny_adapters: dict[str, Path], online_hub: type[FakeHub]) -> None:
    online_hub.folders["owner/care"] = tiny_adapters["care"]

    source = resolve_adapter("owner/care")

    assert source.revision == resolve_adapter(str(tiny_adapters["care"])).revision
    assert set(online_hub.served) == {"adapter_config.json", "adapter_model.safetensors"}


def test_the_base_of_an_adapter_on_the_hub_is_read_without_its_weights(
    tiny_model: Path, tiny_adapters: dict[str, Path], online_hub: type[FakeHub]
) -> None:
    online_hub.folders["owner/care"] = tiny_adapters["care"]

    assert named_base("owner/care") == str(tiny_model)
    assert belongs("owner/care", "smollm2-135m-instruct", named=None)
    check_plain("owner/care")
    assert set(online_hub.served) == {"adapter_config.json"}
    with pytest.raises(WeightsError, match="'owner/nothing': no such folder is here, and on the hub it is missing"):
        named_base("owner/nothing")


def test_pickles_on_the_hub_are_refused_before_any_download(tmp_path: Path, online_hub: type[FakeHub]) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    online_hub.folders["owner/care"] = tmp_path

    with pytest.raises(WeightsError, match=r"pickles only \(adapter_model.bin\)"):
        resolve_adapter("owner/care")
    assert online_hub.served == []


def test_a_gated_and_a_missing_model_say_what_to_do(online_hub: type[FakeHub]) -> None:
    online_hub.gated.add("owner/gated")

    with pytest.raises(WeightsError, match=r"gated: accept its terms at https://huggingface.co/owner/gated"):
        resolve_model("owner/gated")
    with pytest.raises(WeightsError, match=r"on the hub it is missing or private; check the spelling"):
        resolve_model("owner/nothing")
