"""tillroll rebuilding a projection beside a live version, as `tillroll replay rebuild` does."""

from pathlib import Path
from typing import Any

from bench.contenders import run
from bench.models import MODELS
from tillroll.log import kafka, postgres  # noqa: F401 - importing is not counted, for anybody
from tillroll.services.replay.filling import Place
from tillroll.services.replay.rebuild import Rebuild


def rebuild(job: dict[str, Any]) -> dict[str, Any]:
    """Fill the next version; `rate` events a second at most, if given."""
    place = Place(job["log"], job["store"], Path())
    filled = Rebuild(place, MODELS[job["model"]], rate=job.get("rate")).run()
    return {"events": filled.events}


if __name__ == "__main__":
    run(rebuild)
