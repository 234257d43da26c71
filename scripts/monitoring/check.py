"""Sees the alerts fire and the dashboards have data. See scripts/check-monitoring."""

import contextlib
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from faster import OutOfDate, faster
from faults import Steps
from grafana import queries_of
from prometheus import Prometheus
from system import System

RULES = pathlib.Path("deploy/prometheus/rules/alm.yml")
DASHBOARDS = pathlib.Path("deploy/grafana/dashboards")
# A minute has some scrapes, also of a patient target.
WINDOW = "1m"


def say(*what):
    print(*what, flush=True)


def stopped(*_):
    # As for an interrupt: what was started is ended on the way out.
    raise KeyboardInterrupt


def clean_up(folder, system, prometheus):
    # Nothing may keep it from that, no second interrupt either.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(Exception):
        prometheus.stop()
    try:
        system.down()
    except Exception as error:
        say(f"monitoring: {error}; look into {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def report(alerts, prometheus, failed):
    say("\nAlert                          fired")
    for alert in alerts:
        fired = prometheus.fired.get(alert, [])
        services = sorted({labels.get("service") or labels.get("environment") or "" for labels in fired} - {""})
        say(f"{alert:30} {'yes' if fired else 'NO ':3}  {', '.join(services)}")
    say("\nQuery                                                                         data")
    for query in prometheus.queries:
        name = f"{query.file.removesuffix('.json')}: {query.title} ({query.ref})"
        say(f"{name:76}  {'yes' if query in prometheus.with_data else 'NO'}")
    silent = [alert for alert in alerts if alert not in prometheus.fired]
    empty = [query for query in prometheus.queries if query not in prometheus.with_data]
    say(f"\n{len(alerts) - len(silent)} of {len(alerts)} alerts have fired; "
        f"{len(prometheus.with_data)} of {len(prometheus.queries)} queries have had data.")
    for why in failed:
        say(f"monitoring: {why}")
    return not (silent or empty or failed)


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stopped)
    begun = time.monotonic()
    try:
        rules, alerts = faster(RULES.read_text(encoding="utf-8"))
    except OutOfDate as error:
        sys.exit(f"monitoring: {error}")
    queries = [query for file in sorted(DASHBOARDS.glob("*.json")) for query in queries_of(file, WINDOW, ".*")]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="alm-monitoring."))
    system, prometheus = System(folder / "cluster"), Prometheus(folder / "prometheus", rules)
    prometheus.queries = queries
    failed = []
    try:
        say("starting the five services")
        system.up()
        prometheus.start(system.targets())
        for step in Steps(system, prometheus).all():
            say(f"{time.monotonic() - begun:4.0f} s  {step.__doc__}")
            try:
                step()
            except Exception as error:
                # What comes after may tell more; what does not run any more is started again.
                failed.append(f"{step.__doc__}: {error}")
                say(f"        {error}")
                prometheus.tell(system.targets())
                system.up()
        good = report(alerts, prometheus, failed)
        say(f"It took {time.monotonic() - begun:.0f} s.")
    except KeyboardInterrupt:
        sys.exit("monitoring: interrupted")
    except (OSError, RuntimeError) as error:
        sys.exit(f"monitoring: {error}")
    finally:
        clean_up(folder, system, prometheus)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
