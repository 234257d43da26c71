"""A Prometheus of our own, and what it has seen."""

import json
import math
import os
import pathlib
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from wait import free_port, until

# Not by a proxy that the environment may name.
PLAIN = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# How long a scrape may take: with a database that does not answer a server needs up to five seconds. The interval can't be less.
QUICK, PATIENT = "1s", "6s"


class Prometheus:
    def __init__(self, folder, rules):
        """`rules` is the text of the rules' file."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.url = f"http://127.0.0.1:{free_port()}"
        # Of each alert, the labels of those that have fired.
        self.fired = {}
        self.firing = []
        self.with_data = set()
        self.queries = []
        self.stopping = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        (self.folder / "rules.yml").write_text(rules, encoding="utf-8")
        (self.folder / "prometheus.yml").write_text(
            json.dumps({
                "global": {"scrape_interval": QUICK, "scrape_timeout": QUICK, "evaluation_interval": "1s"},
                "rule_files": ["rules.yml"],
                "scrape_configs": [
                    {"job_name": "alm", "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}]},
                ],
            }), encoding="utf-8")
        self.process = None

    def start(self, targets):
        self.tell(targets)
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                 f"--web.listen-address={self.url.removeprefix('http://')}"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        until("Prometheus is ready", self._is_ready)
        self.watcher.start()

    def stop(self):
        self.stopping.set()
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Prometheus has ended: {(self.folder / 'log').read_text()[-2000:]}")
        try:
            return PLAIN.open(f"{self.url}/-/ready", timeout=2).status == 200
        except OSError:
            return False

    def tell(self, targets, patient=()):
        """Its targets from now on: pairs of an address and a service. Those of the services in `patient` get more time."""
        groups = []
        for address, service in targets:
            pace = PATIENT if service in patient else QUICK
            groups.append({"targets": [address],
                           "labels": {"service": service, "__scrape_interval__": pace, "__scrape_timeout__": pace}})
        new = self.folder / "targets.new"
        new.write_text(json.dumps(groups), encoding="utf-8")
        # At once, so that it is never read half written.
        os.replace(new, self.folder / "targets.json")
        if self.process:
            wanted = {(group["targets"][0], group["labels"]["__scrape_interval__"]) for group in groups}
            until("Prometheus has its targets", lambda: self._targets() == wanted)

    def _targets(self):
        return {(target["discoveredLabels"]["__address__"], target["scrapeInterval"])
                for target in self._get("targets", state="active")["activeTargets"]}

    def _get(self, path, **query):
        with PLAIN.open(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def ask(self, expr):
        """The series that the query has now."""
        return self._get("query", query=expr)["result"]

    def value(self, expr):
        series = self.ask(expr)
        return float(series[0]["value"][1]) if series else None

    def _watch(self):
        """Looks again and again what fires, and which queries have data: once is enough, as they may have it only for a moment."""
        while not self.stopping.wait(0.3):
            try:
                alerts = [alert["labels"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"]
                for labels in alerts:
                    known = self.fired.setdefault(labels["alertname"], [])
                    if labels not in known:
                        known.append(labels)
                self.firing = alerts
                for query in self.queries:
                    if query not in self.with_data and self._has_data(query.expr):
                        self.with_data.add(query)
            except (OSError, ValueError):
                # It is busy, or about to end; there is a next time.
                time.sleep(0.5)

    def _has_data(self, expr):
        return any(not math.isnan(float(series["value"][1])) for series in self.ask(expr))

    def fires(self, alert, **labels):
        return any(has["alertname"] == alert and labels.items() <= has.items() for has in self.firing)

    def fired_at(self, alert, seconds):
        """Whether it did at that time, seconds since 1970."""
        return bool(self.ask(f'ALERTS{{alertname="{alert}", alertstate="firing"}} @ {seconds:.3f}'))

    def await_alert(self, alert, deadline=45, **labels):
        until(f"{alert} fires {labels or ''}", lambda: self.fires(alert, **labels), deadline)

    def await_end(self, alert, deadline=45, **labels):
        until(f"{alert} ends {labels or ''}", lambda: not self.fires(alert, **labels), deadline)
