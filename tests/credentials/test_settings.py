"""GATEWAY_ENCRYPTION_KEYS: the master keys as the environment names them."""

import base64
from pathlib import Path

import pytest

from kalshi_gateway import settings
from kalshi_gateway.credentials.ring import ring_of
from kalshi_gateway.settings import Settings, SettingsError
from tests.credentials.builders import NEW, OLD, setting

GOOD = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with nothing of ours in it, in a folder without `.env`."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.mark.parametrize("parted", [",", ", ", "\n", " \n\n "])
def test_a_ring(environment: pytest.MonkeyPatch, parted: str) -> None:
    """Keys stand newest first, apart by commas or line ends."""
    environment.setenv("GATEWAY_ENCRYPTION_KEYS", setting(NEW, OLD).replace(",", parted))

    assert ring_of(settings.load()).ids == ("new", "old")


def test_a_ring_in_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They may stand in a file, as any secret may."""
    (tmp_path / "ring").write_text(setting(NEW, OLD) + "\n")
    environment.setenv("GATEWAY_ENCRYPTION_KEYS_FILE", str(tmp_path / "ring"))

    assert ring_of(settings.load()).ids == ("new", "old")


@pytest.mark.parametrize(
    "bad",
    [
        GOOD,
        f"a:{GOOD[:-4]}",
        f"a:{GOOD}x",
        f"a b:{GOOD}",
        f":{GOOD}",
        f"a:{GOOD},a:{GOOD}",
        f"a:{GOOD},b",
        f"ä:{GOOD}",
        "swordfish:swordfish",
        ",",
    ],
)
def test_no_ring(environment: pytest.MonkeyPatch, bad: str) -> None:
    """What is no ring is refused at start, by its name and without a word of what is in it."""
    environment.setenv("GATEWAY_ENCRYPTION_KEYS", bad)

    with pytest.raises(SettingsError) as raised:
        settings.load()

    [mistake] = raised.value.mistakes
    assert mistake.startswith("GATEWAY_ENCRYPTION_KEYS: ")
    assert GOOD[:12] not in mistake
    assert "swordfish" not in mistake


def test_settings_show_no_keys(environment: pytest.MonkeyPatch) -> None:
    """A repr of the settings has no master key in it."""
    environment.setenv("GATEWAY_ENCRYPTION_KEYS", setting(NEW))

    assert setting(NEW).partition(":")[2][:12] not in repr(settings.load())
