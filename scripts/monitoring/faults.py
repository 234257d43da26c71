"""What is made to happen, one after the other, and the alerts that must come of it."""

import time

from system import STORED, System, dead_port
from prometheus import Prometheus
from wait import until


class Steps:
    def __init__(self, system: System, prometheus: Prometheus):
        self.system, self.prometheus = system, prometheus
        self.app = 0

    def all(self):
        """In this order: the server first verifies its audit log a minute after its start, and other steps have a use for that
        minute; what spoils the audit log for good comes after what needs it whole."""
        return [self.nothing, self.traffic, self.deployments, self.restarts, self.connections, self.processes, self.audit_verified,
                self.audit_stands_still, self.audit_is_changed, self.logins_and_conflicts, self.a_message, self.no_positions,
                self.no_bus, self.a_locked_table, self.audit_change_is_found, self.no_database]

    # ── Healthy ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def nothing(self):
        """All services are scraped"""
        until("five targets are up", lambda: self.prometheus.value('count(up{job="alm"} == 1)') == 5)
        # Before its first scrape Prometheus knew of none.
        self.prometheus.await_end("AlmServiceMissing")
        self.prometheus.fired.clear()

    def traffic(self):
        """Requests of all kinds, and no alert"""
        self.system.e2e()
        self.app = self.system.made("app", "/apps", {"name": f"monitored-{time.time_ns()}"})
        # Its key is not known, so the issuer is asked. (`{"alg":"EdDSA","kid":"other"}`, `{}`)
        self.system.call("GET", "app", "/apps", token="eyJhbGciOiJFZERTQSIsImtpZCI6Im90aGVyIn0.e30.AAAA")
        # By its times the one fires already, as there was no verification yet; and a log-in takes a second where the server is
        # built without optimizing.
        wrong = set(self.prometheus.fired) - {"AlmAuditNotVerified", "AlmLatencyHigh"}
        if wrong:
            raise RuntimeError(f"nothing is wrong, and yet there is {', '.join(sorted(wrong))}")

    # ── Processes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def deployments(self):
        """Three deployments fail"""
        version = self.system.made("version", "/versions", {"app_id": self.app, "tag": "v1"})
        for _ in range(3):
            deployment = self.system.made("deployment", "/deployments", {"version_id": version, "environment": "monitored"})
            for status in ("running", "failed"):
                self.system.call("PUT", "deployment", f"/deployments/{deployment}", {"status": status})
        self.prometheus.await_alert("AlmDeploymentsFailing", environment="monitored")
        self.prometheus.await_alert("AlmAppDeploymentsFailing", environment="monitored", app_id=str(self.app))

    def restarts(self):
        """The gateway is killed three times"""
        seen = 'changes(process_start_time_seconds{service="gateway"}[15m])'
        for times in (1, 2, 3):
            self.system.end("gateway")
            self.system.up()
            until("the start is seen", lambda: (self.prometheus.value(seen) or 0) >= times)
        self.prometheus.await_alert("AlmRestartLoop", service="gateway")

    def connections(self):
        """More connections to the gateway than one address may have"""
        # The gateway trusts no proxy here, so it counts. What was counted is lost with the process: not before it is killed.
        self.system.crowd("gateway", 1010)
        until("some are refused", lambda: (self.prometheus.value('sum(http_connections_refused_total{service="gateway"})') or 0) > 0)

    def processes(self):
        """The version service is killed, a second process of app does not answer, the deployment service is no target any more"""
        all_of_it = self.system.targets()
        self.prometheus.tell([target for target in all_of_it if target[1] != "deployment"] + [(dead_port(), "app")])
        self.system.end("version")
        with self.system.busy(1, lambda: self.system.call("GET", "gateway", "/versions")):
            self.prometheus.await_alert("AlmServiceDown", service="version")
            self.prometheus.await_alert("AlmInstanceDown", service="app")
            self.prometheus.await_alert("AlmServiceMissing", service="deployment")
            self.prometheus.await_alert("AlmGatewayUpstreamFailing", service="gateway", upstream="version")
        self.system.up()
        self.prometheus.tell(all_of_it)
        self.prometheus.await_end("AlmServiceDown")
        self.prometheus.await_end("AlmInstanceDown")
        self.prometheus.await_end("AlmServiceMissing")

    # ── The audit log ────────────────────────────────────────────────────────────────────────────────────────────────

    def audit_verified(self):
        """The audit log is verified a minute after the start, and not again"""
        verified = "max(alm_audit_verified_timestamp_seconds)"
        until("it is verified", lambda: (self.prometheus.value(verified) or 0) > 0, 90)
        at = self.prometheus.value(verified)
        until("it was verified a while ago", lambda: time.time() > at + 12)
        if not self.prometheus.fired_at("AlmAuditNotVerified", at - 3):
            raise RuntimeError("AlmAuditNotVerified did not fire before there was a verification")
        if self.prometheus.fired_at("AlmAuditNotVerified", at + 10):
            raise RuntimeError("AlmAuditNotVerified did not end with the verification")
        self.prometheus.await_alert("AlmAuditNotVerified", service="audit")

    def audit_stands_still(self):
        """A session locks the audit log, so no event gets its entry"""
        user, password = f"reader-{time.time_ns()}", "not so long, but long enough"
        self.system.call("POST", "app", "/users", {"username": user, "password": password, "role": "user"})
        token = self.system.login(user, password, "192.0.2.2")[1]["access_token"]
        self.prometheus.tell(self.system.targets(), patient=["audit"])
        with self.system.holding("auditdb", "LOCK TABLE audit_entries IN EXCLUSIVE MODE"):
            # An event of its own log: that someone may not read it.
            self.system.call("GET", "audit", "/audit/events", token=token)
            self.prometheus.await_alert("AlmConsumerLagging", service="audit", consumer="audit")
            # And one of another log. The newest checkpoint is older than the last scrape by now, or the alert could not tell that it
            # does not cover this event.
            self.system.made("app", "/apps", {"name": f"unaudited-{time.time_ns()}"})
            self.prometheus.await_alert("AlmRemoteLogLagging", service="audit", consumer="audit")
            self.prometheus.await_alert("AlmAuditNotSigned")
        for alert in ("AlmRemoteLogLagging", "AlmConsumerLagging", "AlmAuditNotSigned"):
            self.prometheus.await_end(alert)
        self.prometheus.tell(self.system.targets())

    def audit_is_changed(self):
        """An entry of the audit log is changed, and the server started anew"""
        self.system.sql("auditdb", "SET session_replication_role = replica; "
                                   "UPDATE alm.audit_entries SET actor = 'no one' WHERE index = 1")
        self.system.end("audit")
        self.system.up()

    def audit_change_is_found(self):
        """The server finds it a minute later"""
        self.prometheus.await_alert("AlmAuditVerificationFailed", 90, service="audit")

    # ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def logins_and_conflicts(self):
        """Log-ins with wrong passwords, and an app that all change at once"""
        with self.system.busy(4, lambda: self.system.login("admin", "wrong")):
            self.prometheus.await_alert("AlmLoginFailuresHigh", service="app")
        body = {"name": f"contended-{time.time_ns()}", "description": ""}
        app = self.system.made("app", "/apps", body)
        with self.system.busy(24, lambda: self.system.call("PUT", "app", f"/apps/{app}", body | {"description": str(time.time_ns())})):
            self.prometheus.await_alert("AlmCommitConflictsHigh", service="app")
        self.prometheus.await_end("AlmCommitConflictsHigh")

    # ── Events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def a_message(self):
        """A message that no one can read"""
        self.system.publish("alm.v1.apps.created", b"not an event")
        self.prometheus.await_alert("AlmDeadLetters", service="version")

    def no_positions(self):
        """A session holds the lock of the sealer"""
        with self.system.holding("appdb", "SELECT pg_advisory_xact_lock(hashtextextended('alm seal ' || current_schema(), 0))"):
            self.system.made("app", "/apps", {"name": f"unsealed-{time.time_ns()}"})
            self.prometheus.await_alert("AlmSealerStuck", service="app")
        self.prometheus.await_end("AlmSealerStuck")

    def no_bus(self):
        """NATS is killed"""
        self.system.end("nats")
        self.system.made("app", "/apps", {"name": f"unheard-{time.time_ns()}"})
        for service in STORED:
            self.prometheus.await_alert("AlmBusDown", service=service)
        self.prometheus.await_alert("AlmRelayStuck", service="app")
        self.system.up()
        self.prometheus.await_end("AlmBusDown")
        self.prometheus.await_end("AlmRelayStuck")

    # ── The database ─────────────────────────────────────────────────────────────────────────────────────────────────

    def a_locked_table(self):
        """A session locks the table of deployments"""
        self.prometheus.tell(self.system.targets(), patient=["deployment"])
        with self.system.holding("deploymentdb", "LOCK TABLE deployments IN ACCESS EXCLUSIVE MODE"):
            with self.system.busy(40, lambda: self.system.call("GET", "deployment", f"/deployments?environment=e{time.time_ns()}")):
                for alert in ("AlmErrorRateHigh", "AlmLatencyHigh", "AlmStoreConnectionsExhausted"):
                    self.prometheus.await_alert(alert, service="deployment")
        self.prometheus.await_end("AlmStoreConnectionsExhausted")

    def no_database(self):
        """PostgreSQL is killed"""
        self.prometheus.tell(self.system.targets(), patient=STORED)
        self.system.end("postgres")
        for service in STORED:
            self.prometheus.await_alert("AlmDatabaseUnhealthy", service=service)
        self.system.up()
        self.prometheus.await_end("AlmDatabaseUnhealthy")
