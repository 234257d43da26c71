"""The queries of the dashboards, as Grafana sends them."""

import json
import pathlib
import re
from typing import NamedTuple


class Query(NamedTuple):
    file: str
    panel: int
    title: str
    ref: str
    expr: str


def panels_of(panels):
    for panel in panels:
        yield panel
        yield from panels_of(panel.get("panels", []))


def filled(expr, window, service):
    """What Grafana puts in for its variables."""
    expr = re.sub(r"\$(__rate_interval|__interval|__range)|\$\{(__rate_interval|__interval|__range)\}", window, expr)
    return re.sub(r"\$service|\$\{service(:\w+)?\}", lambda _: service, expr)


def queries_of(file, window, service):
    file = pathlib.Path(file)
    dashboard = json.loads(file.read_text(encoding="utf-8"))
    for panel in panels_of(dashboard["panels"]):
        for target in panel.get("targets", []):
            yield Query(file.name, panel["id"], panel["title"], target["refId"], filled(target["expr"], window, service))
