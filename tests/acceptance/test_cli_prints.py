"""What the code of a projection prints is none of the results: it goes to stderr."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tillroll import settings

Tillroll = Callable[..., Result]

CHATTY = '''
from collections.abc import Iterator

from tillroll.events import StockReceived
from tillroll.projection import Key, Projection, Sum, on_each

print("on import")


class Chatty(Projection):
    """Units by sku."""

    sku: Key[str]
    units: Sum[int]

    @on_each(StockReceived)
    def received(self, event: StockReceived) -> "Iterator[dict[str, object]]":
        print("in a handler")
        yield {"sku": event.sku, "units": event.quantity}
'''
EVENT = (
    '{"type": "StockReceived", "event_id": "7b1f5b0e-3a54-4c1a-9d3e-2f6f6d2a7c11", "source": "wms", "channel": "warehouse", '
    '"occurred_at": "2026-03-14T09:30:00Z", "sku": "hat", "location_id": "store-7", "quantity": 2}'
)


@pytest.mark.parametrize(
    "command",
    [
        "project chatty --once",
        "query chatty --as-of 2026-03-15",
        "explain chatty sku=hat --column units",
        "replay rebuild chatty",
        "verify chatty",
    ],
)
def test_prints_go_to_stderr(
    tillroll: Tillroll,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: str,
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "chatty.py").write_text(CHATTY)
    monkeypatch.setenv(settings.PROJECTIONS, str(folder))
    tillroll("publish", "-", input=EVENT)
    if not command.startswith("project"):
        tillroll("project", "chatty", "--once")
    result = tillroll(*command.split(), "--json")
    json.loads(result.stdout)
    assert "on import" in result.stderr
    told = result.stderr + capfd.readouterr().err  # of other processes too
    assert "in a handler" in told
