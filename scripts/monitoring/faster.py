"""The alert rules with shorter times, and nothing else about them changed: what takes days must be seen within minutes.

Every `for` becomes two seconds. The rest is in the table: of each rule what is put in the place of what, everywhere in it. It fails
when a rule has no such text any more, so the table can't be out of date unnoticed."""

import re

PENDING = "2s"

FASTER = {
    # Windows: long enough for a few scrapes, short enough that what happened in a step before is forgotten.
    "AlmErrorRateHigh": [("[5m]", "[20s]")],
    "AlmLatencyHigh": [("[5m]", "[20s]")],
    "AlmCommitConflictsHigh": [("[5m]", "[20s]")],
    "AlmGatewayUpstreamFailing": [("[5m]", "[30s]")],
    "AlmRemoteLogLagging": [("[5m]", "[10s]")],
    # Ages, of seconds.
    "AlmConsumerLagging": [("> 300", "> 5")],
    "AlmRelayStuck": [("> 120", "> 5")],
    "AlmSealerStuck": [("> 30", "> 5")],
    # The two belong together: the alert takes off what the record may be late.
    "alm:log_moved:timestamp_seconds": [("[3m]", "[10s]")],
    "AlmAuditNotSigned": [("- 180", "- 10")],
    # From days to seconds. Looked at every second, as the server may be restarted meanwhile.
    "AlmAuditNotVerified": [("[4d:10m]", "[10m:1s]"), ("> 2 * 86400", "> 20"), ("offset 2d", "offset 20s")],
}


class OutOfDate(Exception):
    pass


def faster(text):
    """The rules in `text`, a file of rules, with shorter times; and the names of the alerts."""
    # Each rule begins with its name.
    head, *rules = re.split(r"(?m)^(?= *- (?:alert|record): )", text)
    made, alerts, left = [head], [], dict(FASTER)
    for rule in rules:
        kind, name = re.match(r" *- (alert|record): (\S+)", rule).groups()
        if kind == "alert":
            alerts.append(name)
        rule = re.sub(r"(?m)^( *for: ).*$", rf"\g<1>{PENDING}", rule)
        for old, new in left.pop(name, []):
            # Not in the texts for people.
            logic, mark, texts = rule.partition("annotations:")
            if old not in logic:
                raise OutOfDate(f"{name} has no '{old}' any more: change the table in scripts/monitoring/faster.py")
            rule = logic.replace(old, new) + mark + texts
        made.append(rule)
    if left:
        raise OutOfDate(f"there is no rule {', '.join(left)} any more: change the table in scripts/monitoring/faster.py")
    return "".join(made), alerts
