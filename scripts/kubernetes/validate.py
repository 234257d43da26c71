"""Checks what kustomize has built: by the schemas of Kubernetes, and by what a schema can't say. See scripts/check-kubernetes.

    validate.py WHEEL FILE...     the wheel of kubernetes-validate, which has the schemas; what `kustomize build` printed for installations,
                                  and what deploy/kubernetes/alerts-and-dashboards prints
"""

import copy
import functools
import json
import pathlib
import re
import sys
import zipfile

import referencing
import yaml
from jsonschema.validators import Draft202012Validator

HERE = pathlib.Path(__file__).parent
DEPLOY = HERE.parent.parent / "deploy"
# Kinds of the Prometheus operator, with schemas that are ours.
OURS = {"ServiceMonitor": "servicemonitor.json", "PrometheusRule": "prometheusrule.json"}
# `kubectl apply` keeps what it was given in an annotation, and all annotations together have this many bytes. Of a ConfigMap, 1 MiB is
# the most.
LARGEST = 256 * 1024
# The oldest that has all that we use (preStop.sleep), as the README says, and the newest that there are schemas for.
VERSIONS = ["1.30.0", "1.37.0"]
WORKLOADS = ["Deployment", "StatefulSet", "Job", "CronJob"]
# Variables that are no settings of the server: they are put into arguments.
NO_SETTINGS = ["PUBLIC_KEY"]
# Made by hand, as the README says.
MADE_BY_HAND = ["alm-audit-checkpoints"]


# ── Schemas ──────────────────────────────────────────────────────────────────────────────────────────────────────────


# The wheel that has them.
WHEEL = zipfile.ZipFile(sys.argv[1])


def schema(version, name):
    """Strict: it refuses fields that it does not know."""
    return json.loads(WHEEL.read(f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/{name}.json"))


@functools.cache
def registry(version):
    return referencing.Resource.from_contents(schema(version, "_definitions")) @ referencing.Registry()


@functools.cache
def validator(version, api_version, kind):
    if api_version == "monitoring.coreos.com/v1" and kind in OURS:
        return Draft202012Validator(json.loads((HERE / OURS[kind]).read_text()))
    # networking.k8s.io/v1 is in …-networking-v1.json, apps/v1 in …-apps-v1.json, v1 in …-v1.json.
    group, _, number = api_version.rpartition("/")
    name = "-".join(part for part in [kind.lower(), group.split(".")[0], number] if part)
    try:
        contents = schema(version, name)
    except KeyError:
        return None
    known = referencing.Resource.from_contents(contents) @ registry(version)
    return Draft202012Validator(contents, registry=known)


def by_schema(thing):
    for version in VERSIONS:
        checks = validator(version, thing["apiVersion"], thing["kind"])
        if checks is None:
            yield f"Kubernetes {version} has no {thing['kind']} in {thing['apiVersion']}"
            continue
        for error in checks.iter_errors(thing):
            yield f"{'.'.join(map(str, error.absolute_path))}: {error.message} (Kubernetes {version})"


# ── What a schema can't say ──────────────────────────────────────────────────────────────────────────────────────────


def settings():
    """The names of the server's settings, from where they are defined."""
    text = (HERE.parent.parent / "examples/server/settings.rs").read_text()
    # Each is a field below its #[arg(…)], and its variable has the field's name unless `env = "NAME"` says otherwise.
    found = re.findall(r"#\[arg\((long.*)\)\]\s+(?:pub\(crate\) )?(\w+):", text)
    named = [(re.search(r'\benv = "(\w+)"', argument), field) for argument, field in found]
    return {name[1] if name else field.upper() for name, field in named}


def kind_of(thing):
    """As Kubernetes has it, but for a ConfigMap that holds no settings."""
    return "Dashboards" if "grafana_dashboard" in thing["metadata"].get("labels", {}) else thing["kind"]


def template(thing):
    """The template of a workload's pods."""
    spec = thing["spec"]
    return (spec["jobTemplate"]["spec"] if thing["kind"] == "CronJob" else spec)["template"]


def selects(selector, labels):
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(
        # The others are not used here.
        expression["operator"] == "In" and labels.get(expression["key"]) in expression["values"]
        for expression in selector.get("matchExpressions", [])
    )


def is_pinned(image):
    name, _, tag = image.rpartition("/")[2].partition(":")
    return re.search(r"@sha256:[0-9a-f]{64}$", image) or (name and tag and tag != "latest")


def of_pod(thing, names, known):
    pod = template(thing)["spec"]
    security = pod.get("securityContext", {})
    if not (security.get("runAsNonRoot") and security.get("runAsUser") == 10001):
        yield "its pods do not run as the user 10001"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "its pods have no seccompProfile"
    if pod.get("automountServiceAccountToken") is not False or pod.get("enableServiceLinks") is not False:
        yield "its pods get a token of Kubernetes, or variables named after Services"
    if "serviceAccountName" in pod and ("ServiceAccount", pod["serviceAccountName"]) not in names:
        yield f"there is no ServiceAccount {pod['serviceAccountName']}"
    volumes = [volume["name"] for volume in pod.get("volumes", [])]
    volumes += [claim["metadata"]["name"] for claim in thing["spec"].get("volumeClaimTemplates", [])]
    for volume in pod.get("volumes", []):
        if "secret" in volume and "secretName" not in volume["secret"]:
            yield f"the volume {volume['name']} says nothing of which Secret"
    for container in pod["containers"]:
        security = container.get("securityContext", {})
        is_locked = security.get("readOnlyRootFilesystem") and security.get("allowPrivilegeEscalation") is False
        if not is_locked or security.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"the container {container['name']} may more than it needs"
        if not is_pinned(container["image"]):
            yield f"the image {container['image']} is of no certain version"
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"the container {container['name']} has no limit of memory"
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield f"there is no volume {mount['name']}"
        references = [source["configMapRef"]["name"] for source in container.get("envFrom", [])]
        for variable in container.get("env", []):
            if variable["name"] not in known:
                yield f"{variable['name']} is no setting of the server"
            source = variable.get("valueFrom", {})
            references += [source["configMapKeyRef"]["name"]] if "configMapKeyRef" in source else []
        for name in references:
            if ("ConfigMap", name) not in names and name not in MADE_BY_HAND:
                yield f"there is no ConfigMap {name}"


def of_links(thing, things, names):
    """Whether what a thing names is there: pods by labels, ports by names, others by kind and name."""
    pods = [template(other) for other in things if other["kind"] in WORKLOADS]

    def found(selector, ports=()):
        # Without any label: all pods.
        chosen = [pod for pod in pods if selects(selector, pod["metadata"]["labels"])]
        if not chosen:
            yield f"no pod is selected by {json.dumps(selector)}"
        for pod in chosen:
            named = {port["name"] for c in pod["spec"]["containers"] for port in c.get("ports", [])}
            missing = [port for port in ports if isinstance(port, str) and port not in named]
            # Jobs listen on nothing.
            if named and missing:
                yield f"the pods have no port {', '.join(missing)}"

    kind, spec = kind_of(thing), thing.get("spec", {})
    if kind == "Service":
        yield from found({"matchLabels": spec["selector"]}, [port["targetPort"] for port in spec["ports"]])
    elif kind == "PodDisruptionBudget":
        yield from found(spec["selector"])
    elif kind == "HorizontalPodAutoscaler":
        target = spec["scaleTargetRef"]
        if (target["kind"], target["name"]) not in names:
            yield f"there is no {target['kind']} {target['name']} to scale"
    elif kind == "ServiceMonitor":
        services = [s for s in things if s["kind"] == "Service"]
        chosen = [s for s in services if selects(spec["selector"], s["metadata"].get("labels", {}))]
        policies = [other["spec"] for other in things if other["kind"] == "NetworkPolicy"]
        opened = [port["port"] for policy in policies for rule in policy.get("ingress", []) for port in rule["ports"]]
        for endpoint in spec["endpoints"]:
            if not chosen or any(endpoint["port"] not in [p["name"] for p in s["spec"]["ports"]] for s in chosen):
                yield f"it selects no Service, or one without a port {endpoint['port']}"
            if endpoint["port"] not in opened:
                yield f"no NetworkPolicy lets anyone come to the port {endpoint['port']}"
            for service in chosen:
                name, labels = service["metadata"]["name"], service["metadata"]["labels"]
                if labels.get(spec.get("jobLabel")) != "alm":
                    yield f"of the Service {name} it does not make the job alm, which rules and dashboards ask for"
                # A single one keeps its name.
                known = scraped_by_compose() | ({None} if len(chosen) == 1 else set())
                if label_of(endpoint, labels, "service") not in known:
                    yield f"of the Service {name} it makes no service that deploy/prometheus knows"
    elif kind == "PrometheusRule":
        files = [yaml.safe_load(file.read_text()) for file in (DEPLOY / "prometheus/rules").glob("*.yml")]
        rules = {group["name"]: group for file in files for group in file["groups"]}
        if {group["name"]: group for group in spec["groups"]} != rules:
            yield "its rules are not those in deploy/prometheus/rules"
    elif kind == "Dashboards":
        if thing["data"] != {file.name: file.read_text() for file in (DEPLOY / "grafana/dashboards").glob("*.json")}:
            yield "it does not hold what is in deploy/grafana/dashboards"
    elif kind == "Ingress":
        for path in [path for rule in spec["rules"] for path in rule["http"]["paths"]]:
            if ("Service", path["backend"]["service"]["name"]) not in names:
                yield f"there is no Service {path['backend']['service']['name']}"
    elif kind == "NetworkPolicy":
        incoming = spec.get("ingress", [])
        yield from found(spec["podSelector"], [port["port"] for rule in incoming for port in rule["ports"]])
        for rule in incoming + spec.get("egress", []):
            for peer in rule.get("from", []) + rule.get("to", []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    yield from found(peer["podSelector"])
    if kind in WORKLOADS:
        yield from of_urls(thing, things)


def label_of(endpoint, labels, wanted):
    """The label of what the Prometheus operator scrapes of a Service with these labels, as the relabelings make it; or none."""
    meta = {"__meta_kubernetes_service_label_" + re.sub(r"\W", "_", key): value for key, value in labels.items()}
    made = None
    for rule in endpoint.get("relabelings", []):
        found = re.fullmatch(rule.get("regex", "(.*)"), ";".join(meta.get(label, "") for label in rule["sourceLabels"]))
        if found and rule["targetLabel"] == wanted:
            # The replacement is the first group unless it is said, and it is not said here.
            made = found[1]
    return made


@functools.cache
def scraped_by_compose():
    """The services, as deploy/prometheus/prometheus.yml calls them, and so the rules and dashboards."""
    jobs = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    return {target["labels"]["service"] for job in jobs if job["job_name"] == "alm" for target in job["static_configs"]}


def of_urls(thing, things):
    """Whether the URLs in the settings lead to a Service, and the policies let the calls through, out of here and in there."""
    services = {other["metadata"]["name"]: other["spec"] for other in things if other["kind"] == "Service"}
    pods = [template(other) for other in things if other["kind"] in WORKLOADS]
    labels = template(thing)["metadata"]["labels"]

    def is_allowed(way, peers, pod, peer, port):
        """Whether a policy allows the pods with these labels to be called by, or to call, those with the others."""
        for policy in [other["spec"] for other in things if other["kind"] == "NetworkPolicy"]:
            for rule in policy.get(way, []) if selects(policy["podSelector"], pod) else []:
                chosen = [p for p in rule.get(peers, []) if "podSelector" in p and "namespaceSelector" not in p]
                if any(selects(p["podSelector"], peer) for p in chosen) and {p["port"] for p in rule["ports"]} & set(port):
                    return True
        return False

    for variable in [v for c in template(thing)["spec"]["containers"] for v in c.get("env", [])]:
        url = re.fullmatch(r"http://([^:/]+):(\d+)", variable.get("value", ""))
        if not url:
            continue
        service = services.get(url[1], {"ports": []})
        targets = [port["targetPort"] for port in service["ports"] if port["port"] == int(url[2])]
        if not targets:
            yield f"{variable['name']} names a Service and a port that are not there: {url[0]}"
            continue
        for pod in [pod for pod in pods if selects({"matchLabels": service["selector"]}, pod["metadata"]["labels"])]:
            other = pod["metadata"]["labels"]
            # A policy may name the port or say its number.
            port = [p[key] for c in pod["spec"]["containers"] for p in c["ports"] if p["name"] in targets for key in p]
            if not is_allowed("egress", "to", labels, other, port):
                yield f"no NetworkPolicy lets it call {url[0]}"
            if not is_allowed("ingress", "from", other, labels, port):
                yield f"no NetworkPolicy lets {url[1]} be called by it"


def faults(things):
    """What is wrong with an installation, a line each."""
    names = {(thing["kind"], thing["metadata"]["name"]) for thing in things}
    known = settings() | set(NO_SETTINGS)
    for thing in things:
        name = f"{thing['kind']} {thing['metadata']['name']}"
        wrong = list(by_schema(thing))
        # The rest relies on the form.
        if not wrong:
            wrong += of_links(thing, things, names)
            if thing["kind"] in WORKLOADS:
                wrong += of_pod(thing, names, known)
            if kind_of(thing) == "ConfigMap":
                wrong += [f"{key} is no setting of the server" for key in thing["data"] if key not in known]
            if thing["kind"] == "Secret":
                wrong.append("secrets are made by hand and not kept here")
            if len(json.dumps(thing)) > LARGEST:
                wrong.append("it is too large for kubectl apply")
        yield from (f"{name}: {what}" for what in wrong)


# ── Does it find anything? ───────────────────────────────────────────────────────────────────────────────────────────


def container(thing):
    return template(thing)["spec"]["containers"][0]


def relabeling(monitor):
    return monitor["spec"]["endpoints"][0]["relabelings"][0]


# A kind, a mistake that is made in the first of it or the one of this name, and a part of what has to be said about it.
MISTAKES = [
    ("Deployment", lambda d: d["spec"].update(replica=2), "'replica' was unexpected"),
    ("Deployment", lambda d: container(d)["ports"][0].update(containerPort="http"), "is not of type"),
    ("Deployment", lambda d: container(d)["livenessProbe"].update(httpget={}), "'httpget' was unexpected"),
    ("Deployment", lambda d: d.update(apiVersion="apps/v1beta1"), "has no Deployment in apps/v1beta1"),
    ("Deployment", lambda d: d["spec"].pop("selector"), "'selector' is a required property"),
    ("Deployment", lambda d: container(d).update(image="alm-server:latest"), "of no certain version"),
    ("Deployment", lambda d: container(d).update(image="localhost:5000/alm-server"), "of no certain version"),
    ("Deployment", lambda d: container(d)["env"][0].update(name="DB_URI"), "DB_URI is no setting"),
    ("Deployment", lambda d: container(d)["env"][0].update(value="http://alm-app:1"), "not there: http://alm-app:1"),
    ("Deployment", lambda d: container(d)["securityContext"].pop("capabilities"), "may more than it needs"),
    ("ConfigMap", lambda c: c["data"].update(LOGS="info"), "LOGS is no setting"),
    ("ConfigMap", lambda c: c["metadata"].update(name="other"), "there is no ConfigMap alm"),
    ("Service", lambda s: s["spec"]["selector"].update(any="thing"), "no pod is selected"),
    ("Service", lambda s: s["spec"]["ports"][0].update(targetPort="web"), "have no port web"),
    ("HorizontalPodAutoscaler", lambda h: h["spec"].update(maxReplicas="4"), "is not of type"),
    ("HorizontalPodAutoscaler", lambda h: h["spec"]["scaleTargetRef"].update(name="app"), "no Deployment app"),
    ("PodDisruptionBudget", lambda p: p["spec"]["selector"]["matchLabels"].update(any="thing"), "no pod is selected"),
    ("NetworkPolicy", lambda n: n["spec"].update(policyType=["Ingress"]), "'policyType' was unexpected"),
    ("NetworkPolicy from-version", lambda n: n["spec"].pop("egress"), "no NetworkPolicy lets it call http://alm-app:8080"),
    ("NetworkPolicy to-version", lambda n: n["spec"]["ingress"][0]["ports"][0].update(port=80), "lets alm-version be called"),
    ("CronJob", lambda c: c["spec"].pop("schedule"), "'schedule' is a required property"),
    ("Job", lambda j: container(j).pop("resources"), "no limit of memory"),
    ("ServiceMonitor", lambda m: m["spec"]["endpoints"][0].update(intervall="5s"), "'intervall' was unexpected"),
    ("ServiceMonitor", lambda m: m["spec"]["endpoints"][0].update(port="web"), "without a port web"),
    ("ServiceMonitor", lambda m: m["spec"]["endpoints"][0].update(port="web"), "lets anyone come to the port web"),
    ("ServiceMonitor", lambda m: m["spec"].pop("jobLabel"), "it does not make the job alm"),
    ("ServiceMonitor", lambda m: relabeling(m).update(sourceLabels=["__meta_kubernetes_service_label_app_kubernetes_io_name"]),
     "it makes no service that deploy/prometheus knows"),
    ("PrometheusRule", lambda r: r["spec"]["groups"][0]["rules"][0].update(expression="up"), "'expression' was unexpected"),
    ("PrometheusRule", lambda r: r["spec"]["groups"].pop(), "not those in deploy/prometheus/rules"),
    ("Dashboards", lambda c: c["data"].popitem(), "not hold what is in deploy/grafana/dashboards"),
    ("Dashboards", lambda c: c["data"].update(large="x" * LARGEST), "too large for kubectl apply"),
]


def unnoticed(things):
    """The mistakes that are not found when they are made in these things, which are right; the numbers of all that were made."""
    missed, made = [], set()
    for number, (which, make, said) in enumerate(MISTAKES):
        wrong = copy.deepcopy(things)
        kind, _, name = which.partition(" ")
        first = next((t for t in wrong if kind_of(t) == kind and name in ("", t["metadata"]["name"])), None)
        if first is None:
            continue
        make(first)
        made.add(number)
        if not any(said in fault for fault in faults(wrong)):
            missed.append(f"a mistake in a {which} is not found, of which should be said: {said}")
    return missed, made


def main(files):
    failed, tried = False, set()
    for file in files:
        things = [thing for thing in yaml.safe_load_all(pathlib.Path(file).read_text()) if thing]
        what = pathlib.Path(file).stem
        wrong = list(faults(things)) if things else ["there is nothing in it"]
        if not wrong:
            wrong, made = unnoticed(things)
            tried |= made
        for fault in wrong:
            print(f"kubernetes: {what}: {fault}", file=sys.stderr)
        failed |= bool(wrong)
        if not wrong:
            fit = f"{len(things)} objects fit Kubernetes {' and '.join(VERSIONS)}"
            print(f"kubernetes: {what}: {fit}; {len(made)} deliberate mistakes were found")
    if not failed and len(tried) < len(MISTAKES):
        print("kubernetes: nothing here has all kinds that the deliberate mistakes are made in", file=sys.stderr)
        failed = True
    return failed


sys.exit(main(sys.argv[2:]))
