#!/usr/bin/env python3
"""Makes the dashboards in dashboards/ from the tables below: `deploy/grafana/dashboards.py` writes them, `--check` only tells
whether they are what it would write. They are made, not drawn, so that units, layout and variables are the same everywhere."""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent / "dashboards"
# Probes say how often someone probes, and are errors while a server is not ready.
ASKED = 'service=~"$service", route!~"/(healthz|readyz|metrics)"'
OWN = 'job="alm", service=~"$service"'
HTTP = f'job="alm", {ASKED}'


def panel(kind, title, queries, unit="short", about="", width=12, height=8, **options):
    """`queries` are pairs of an expression and the legend of its series."""
    return dict(kind=kind, title=title, queries=queries, unit=unit, about=about, width=width, height=height, options=options)


def graph(*args, **options):
    return panel("timeseries", *args, **options)


def stat(*args, **options):
    return panel("stat", *args, **{"width": 4, "height": 4, **options})


def table(*args, **options):
    return panel("table", *args, **options)


# Thresholds are those of the alerts in ../prometheus/rules/alm.yml.
OVERVIEW = [
    ("What runs", [
        stat("Services up", [(f"count(max by (service) (up{{{OWN}}}) == 1) or vector(0)", "")], about="Services of which a process answers.", colour="value"),
        stat("Services down", [(f"count(max by (service) (up{{{OWN}}}) == 0) or vector(0)", "")], about="Services of which no process answers.", red=1),
        stat("Databases down", [(f"count(alm_store_up{{{OWN}}} == 0) or vector(0)", "")], about="Processes whose database takes no changes.", red=1),
        stat("Requests", [(f"sum(rate(http_requests_total{{{HTTP}}}[$__rate_interval]))", "")], "reqps", "Answered, without probes. Behind a gateway each counts there and at its service."),
        stat("Errors", [(f'(sum(rate(http_requests_total{{{HTTP}, status=~"5.."}}[$__rate_interval])) or vector(0)) / sum(rate(http_requests_total{{{HTTP}}}[$__rate_interval]))', "")], "percentunit", "Answers of 5xx among all.", red=0.05),
        stat("p99", [(f"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{{{HTTP}}}[$__rate_interval])))", "")], "s", "One request in a hundred takes longer.", red=1),
        table("Processes", [(f'alm_build_info{{{OWN}}} * on (job, service, instance) group_left () (time() - process_start_time_seconds{{{OWN}}})', "")],
              "s", "Version, services and uptime of each process.", width=16, columns={"service": "Service", "instance": "Process", "version": "Version", "services": "Runs", "Value": "Uptime"}),
        graph("Up", [(f"max by (service) (up{{{OWN}}})", "{{service}}")], "bool_on_off", "1: a process of the service answers Prometheus.", width=8, top=1),
    ]),
    ("Requests", [
        graph("Rate by route", [(f"sum by (route) (rate(http_requests_total{{{HTTP}}}[$__rate_interval]))", "{{route}}")], "reqps", "By the template of the path; unmatched: no such path.", stack=True),
        graph("Rate by status", [(f"sum by (status) (rate(http_requests_total{{{HTTP}}}[$__rate_interval]))", "{{status}}")], "reqps", "By the status of the answer.", stack=True),
        graph("Errors by service", [(f'(sum by (service) (rate(http_requests_total{{{HTTP}, status=~"5.."}}[$__rate_interval])) or 0 * sum by (service) (rate(http_requests_total{{{HTTP}}}[$__rate_interval]))) / sum by (service) (rate(http_requests_total{{{HTTP}}}[$__rate_interval]))', "{{service}}")], "percentunit", "Share of 5xx. AlmErrorRateHigh: above 5 % for five minutes.", red=0.05),
        graph("Duration by service", [(f"histogram_quantile({q}, sum by (service, le) (rate(http_request_duration_seconds_bucket{{{HTTP}}}[$__rate_interval])))", f"{{{{service}}}} p{n}") for q, n in ((0.5, 50), (0.99, 99))], "s", "Until the answer began. AlmLatencyHigh: p99 above 1 s for ten minutes.", red=1),
        graph("p99 by route", [(f"histogram_quantile(0.99, sum by (route, le) (rate(http_request_duration_seconds_bucket{{{HTTP}}}[$__rate_interval])))", "{{route}}")], "s", "Which routes are slow."),
        graph("Calls to services that failed", [(f"sum by (service, upstream, code) (rate(alm_upstream_failures_total{{{OWN}}}[$__rate_interval]))", "{{service}} to {{upstream}}: {{code}}"), (f"sum by (service, upstream) (rate(alm_upstream_retries_total{{{OWN}}}[$__rate_interval]))", "{{service}} to {{upstream}}: made again")], "reqps", "Of the gateway, and of services that ask for a parent. Empty as long as none has failed."),
    ]),
    ("Deployments", [
        graph("By status, within an hour", [('sum by (status) (alm:deployments:increase1h{service=~"$service"})', "{{status}}")], "short", "How many deployments came into a status within the hour before.", stack=True),
        graph("Failed, by environment, within an hour", [('sum by (environment) (alm:deployments:increase1h{service=~"$service", status="failed"})', "{{environment}}")], "short", "AlmDeploymentsFailing: three or more, and half of those that ended."),
        table("Apps and environments, within an hour", [('sum by (app_id, environment, status) (alm:deployments:increase1h{service=~"$service"}) > 0', "")], "short", "The first 500 pairs; all others are other.", columns={"app_id": "App", "environment": "Environment", "status": "Status", "Value": "Deployments"}),
        graph("Events", [(f"sum by (event_type) (rate(alm_events_total{{{OWN}}}[$__rate_interval]))", "{{event_type}}")], "cps", "Changes and log-ins, by what they are.", stack=True),
    ]),
    ("Log-ins and connections", [
        graph("Log-ins refused", [(f"sum by (service) (increase(alm_login_failures_total{{{OWN}}}[10m]))", "{{service}}")], "short", "Within ten minutes. AlmLoginFailuresHigh: above 100.", red=100),
        graph("Connections refused", [(f"sum by (service) (rate(http_connections_refused_total{{{OWN}}}[$__rate_interval]))", "{{service}}")], "cps", "Too many, in all or from one address.", width=6),
        graph("Key sets of the issuer", [(f"sum by (outcome) (rate(alm_jwks_fetches_total{{{OWN}}}[$__rate_interval]))", "{{outcome}}")], "cps", "Empty unless JWT_JWKS_URL is set.", width=6),
    ]),
]

LOG = [
    ("Commits", [
        graph("Commits", [(f"sum by (service, outcome) (rate(alm_commits_total{{{OWN}}}[$__rate_interval]))", "{{service}}: {{outcome}}")], "cps", "Changesets given to the store, by what became of them."),
        graph("Duration of a commit", [(f'histogram_quantile({q}, sum by (service, le) (rate(alm_commit_duration_seconds_bucket{{{OWN}, outcome="committed"}}[$__rate_interval])))', f"{{{{service}}}} p{n}") for q, n in ((0.5, 50), (0.99, 99))], "s", "How long the store took for those that were committed."),
        graph("Conflicts", [(f'(sum by (service) (rate(alm_commits_total{{{OWN}, outcome="conflict"}}[$__rate_interval])) or 0 * sum by (service) (rate(alm_commits_total{{{OWN}}}[$__rate_interval]))) / sum by (service) (rate(alm_commits_total{{{OWN}}}[$__rate_interval]))', "{{service}}")], "percentunit", "Share of the commits that lost against another. AlmCommitConflictsHigh: above 20 % for 15 minutes.", red=0.2),
        graph("Batch size", [(f"sum by (service, store) (rate(alm_commit_batch_size_sum{{{OWN}}}[$__rate_interval])) / sum by (service, store) (rate(alm_commit_batch_size_count{{{OWN}}}[$__rate_interval]))", "{{service}} ({{store}}) mean"), (f"histogram_quantile(0.99, sum by (service, store, le) (rate(alm_commit_batch_size_bucket{{{OWN}}}[$__rate_interval])))", "{{service}} ({{store}}) p99")], "short", "How many changesets were committed together."),
        graph("Connections to the database", [(f"sum by (service, instance, state) (alm_store_connections{{{OWN}}})", "{{service}} {{instance}}: {{state}}"), (f"alm_store_connections_max{{{OWN}}}", "{{service}} {{instance}}: at most")], "short", "AlmStoreConnectionsExhausted: as many used as there may be, for five minutes."),
        graph("Database up", [(f"alm_store_up{{{OWN}}}", "{{service}} {{instance}}")], "bool_on_off", "1: it takes changes; 0: it is down or read-only.", top=1),
    ]),
    ("Event log", [
        graph("Growth", [(f"sum by (service) (rate(alm_events_total{{{OWN}}}[$__rate_interval]))", "{{service}}")], "cps", "Events committed."),
        graph("Head", [(f"max by (service) (alm_log_head_position{{{OWN}}})", "{{service}}")], "short", "Position of the newest event.", width=6),
        graph("Events kept", [(f"max by (service) (alm_log_head_position{{{OWN}}}) - max by (service) (alm_log_oldest_position{{{OWN}}}) + 1", "{{service}}")], "short", "What retention has left, or a consumer that stands still.", width=6),
        graph("Sealer lag", [(f"max by (service) (alm_log_sealer_lag_seconds{{{OWN}}})", "{{service}}")], "s", "PostgreSQL: age of the oldest event without a position. AlmSealerStuck: above 30 s for two minutes.", red=30),
        graph("Events without a position", [(f"max by (service) (alm_log_unsealed_events{{{OWN}}})", "{{service}}")], "short", "PostgreSQL only."),
    ]),
    ("Consumers", [
        graph("Lag in events", [(f'max by (service, consumer) (alm_consumer_lag_events{{{OWN}, consumer!="relay"}})', "{{service}}: {{consumer}}")], "short", "Of the service's own log."),
        graph("Lag in seconds", [(f'max by (service, consumer) (alm_consumer_lag_seconds{{{OWN}, consumer!="relay"}})', "{{service}}: {{consumer}}")], "s", "Age of the oldest event to handle. AlmConsumerLagging: above 300 s for five minutes.", red=300),
        graph("Logs of other services", [(f"max by (service, consumer, log) (alm_remote_log_lag_events{{{OWN}}})", "{{service}}: {{consumer}} of {{log}}")], "short", "Events yet to handle. AlmRemoteLogLagging: above 1,000, or nothing moves."),
        graph("Dead letters", [(f"max by (service, consumer) (alm_dead_letters{{{OWN}}})", "{{service}}: {{consumer}}")], "short", "Put aside; they wait for a person: server dead-letters list.", red=1),
    ]),
    ("Bus", [
        graph("NATS", [(f"min by (service) (alm_bus_up{{{OWN}}})", "{{service}}")], "bool_on_off", "1: connected. Empty where all services are one process.", top=1, width=8),
        graph("Relay lag in seconds", [(f'max by (service) (alm_consumer_lag_seconds{{{OWN}, consumer="relay"}})', "{{service}}")], "s", "Age of the oldest event to publish. AlmRelayStuck: above 120 s for two minutes.", red=120, width=8),
        graph("Relay lag in events", [(f'max by (service) (alm_consumer_lag_events{{{OWN}, consumer="relay"}})', "{{service}}")], "short", "Events to publish.", width=8),
    ]),
]

AUDIT = [
    ("Is the audit log what was signed?", [
        stat("Verification", [(f"max(alm_audit_verification_failed{{{OWN}}})", "")], about="FAILED: tampered with, or not to be read as signed. See AlmAuditVerificationFailed.", red=1, words={"0": "ok", "1": "FAILED"}, width=6),
        stat("Last verified", [(f"time() - max(alm_audit_verified_timestamp_seconds{{{OWN}}})", "")], "s", "How long ago all of it was verified. AlmAuditNotVerified: more than two days.", red=172800, width=6),
        stat("Newest checkpoint", [(f"time() - max(alm_audit_checkpoint_timestamp_seconds{{{OWN}}})", "")], "s", "How old it is. Old is good as long as nothing happens.", width=6, colour="value"),
        stat("Entries", [(f"max(alm_audit_entries{{{OWN}}})", "")], "short", "Covered by the tree that is signed.", width=6, colour="value"),
    ]),
    ("Entries and checkpoints", [
        graph("Entries", [(f"max by (service) (alm_audit_entries{{{OWN}}})", "{{service}}")], "short", "Covered by the tree."),
        graph("Growth", [(f"max by (service) (deriv(alm_audit_entries{{{OWN}}}[5m]))", "{{service}}: entries"), ('sum(rate(alm_events_total{job="alm"}[5m]))', "all services: events")], "cps", "Each event has an entry: in the long run the lines are the same."),
        graph("Age of the newest checkpoint", [(f"time() - max by (service) (alm_audit_checkpoint_timestamp_seconds{{{OWN}}})", "{{service}}")], "s", "It grows while nothing happens. While events come it stays at a second or two."),
        graph("Time since the last event that is not signed for", [('clamp_min(max_over_time(alm:log_moved:timestamp_seconds[1d]) - 180 - on () max(alm_audit_checkpoint_timestamp_seconds{job="alm"}), 0)', "behind")], "s", "How much newer the newest event is than the newest checkpoint. AlmAuditNotSigned: above 0 for five minutes."),
        graph("Age of the last verification", [(f"time() - max by (service) (alm_audit_verified_timestamp_seconds{{{OWN}}})", "{{service}}")], "s", "AlmAuditNotVerified: above two days.", red=172800),
        graph("Verification failed", [(f"max by (service) (alm_audit_verification_failed{{{OWN}}})", "{{service}}")], "bool_yes_no", "1: the server has found that something was changed.", top=1, red=1),
    ]),
    ("How entries come", [
        graph("Lag of the audit consumer", [(f'max by (service) (alm_consumer_lag_seconds{{job="alm", consumer="audit"}})', "{{service}}")], "s", "Of its own log.", red=300, width=8),
        graph("Logs of other services", [('max by (log) (alm_remote_log_lag_events{job="alm", consumer="audit"})', "{{log}}")], "short", "Events of other services that have no entry yet.", width=8),
        graph("Dead letters of the audit consumer", [('max by (service) (alm_dead_letters{job="alm", consumer="audit"})', "{{service}}")], "short", "Events without an entry, until a person looks.", red=1, width=8),
    ]),
]


def colours(red):
    steps = [{"color": "green", "value": None}]
    return {"mode": "absolute", "steps": steps + ([{"color": "red", "value": red}] if red is not None else [])}


def made(spec, number, at):
    source = {"type": "prometheus", "uid": "${datasource}"}
    kind, options = spec["kind"], spec["options"]
    field = {"unit": spec["unit"], "thresholds": colours(options.get("red")), "min": 0}
    shown = {"id": number, "type": kind, "title": spec["title"], "description": spec["about"], "datasource": source, "gridPos": at}
    instant = kind == "table"
    shown["targets"] = [
        {"refId": chr(65 + n), "datasource": source, "expr": expr, "legendFormat": legend, "range": not instant, "instant": instant,
         **({"format": "table"} if instant else {})}
        for n, (expr, legend) in enumerate(spec["queries"])
    ]
    if kind == "timeseries":
        field["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 15 if options.get("stack") else 5, "showPoints": "auto",
                           "stacking": {"mode": "normal" if options.get("stack") else "none", "group": "A"},
                           "thresholdsStyle": {"mode": "line" if options.get("red") else "off"}}
        if options.get("top"):
            field["max"] = options["top"]
        shown["options"] = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}}
    elif kind == "stat":
        if options.get("words"):
            field["mappings"] = [{"type": "value", "options": {value: {"text": text, "index": n} for n, (value, text) in enumerate(options["words"].items())}}]
        shown["options"] = {"colorMode": options.get("colour", "background"), "graphMode": "none", "textMode": "auto",
                            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    else:
        columns = options["columns"]
        shown["transformations"] = [
            {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}},
            {"id": "organize", "options": {"renameByName": columns, "indexByName": {name: n for n, name in enumerate(columns)}}},
        ]
        shown["options"] = {"showHeader": True, "cellHeight": "sm"}
    shown["fieldConfig"] = {"defaults": field, "overrides": []}
    return shown


def dashboard(uid, title, about, rows):
    panels, number, y = [], 0, 0
    for name, row in rows:
        number += 1
        panels.append({"id": number, "type": "row", "title": name, "collapsed": False, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": []})
        x, y, tall = 0, y + 1, 0
        for spec in row:
            if x + spec["width"] > 24:
                x, y, tall = 0, y + tall, 0
            number += 1
            panels.append(made(spec, number, {"x": x, "y": y, "w": spec["width"], "h": spec["height"]}))
            x, tall = x + spec["width"], max(tall, spec["height"])
        y += tall
    source = {"type": "prometheus", "uid": "${datasource}"}
    variables = [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0, "current": {}, "options": []},
        {"name": "service", "label": "Service", "type": "query", "datasource": source, "definition": 'label_values(up{job="alm"}, service)',
         "query": {"qryType": 1, "query": 'label_values(up{job="alm"}, service)', "refId": "services"}, "refresh": 2, "sort": 1, "hide": 0,
         "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}, "options": []},
    ]
    links = [{"type": "dashboards", "title": "ALM", "tags": ["alm"], "asDropdown": False, "includeVars": True, "keepTime": True, "icon": "external link"}]
    return {
        "uid": uid, "title": title, "description": about, "tags": ["alm"], "schemaVersion": 41, "version": 1, "editable": True,
        "graphTooltip": 1, "timezone": "browser", "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timepicker": {},
        "links": links, "annotations": {"list": []}, "templating": {"list": variables}, "panels": panels,
    }


DASHBOARDS = [
    dashboard("alm-overview", "ALM: overview", "What runs, what is asked of it, what was deployed, who could not log in.", OVERVIEW),
    dashboard("alm-log", "ALM: event log", "Commits, the event log, its consumers, and the bus.", LOG),
    dashboard("alm-audit", "ALM: audit log", "Entries, checkpoints and verification of the audit log.", AUDIT),
]


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    for made_now in DASHBOARDS:
        path = FOLDER / f"{made_now['uid']}.json"
        text = json.dumps(made_now, indent=2, ensure_ascii=False) + "\n"
        if not sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.name} is not what deploy/grafana/dashboards.py makes: run that, and change it rather than the file")


if __name__ == "__main__":
    main()
