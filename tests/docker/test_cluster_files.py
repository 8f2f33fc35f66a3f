"""What runs a cluster: its compose file, the systemd unit, the Helm chart, as far as they can be checked without
starting them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from signaling.config import load_settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
CHART = DOCKER / "chart"
COMPOSE = yaml.safe_load((DOCKER / "compose.cluster.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = {name: service for name, service in SERVICES.items() if name.startswith("node-")}
HELM = shutil.which("helm") or next(
    (str(path) for path in (ROOT / ".run/tools/bin/helm", Path.home() / "go/bin/helm") if path.exists()), None
)
needs_helm = pytest.mark.skipif(HELM is None, reason="no helm (go install helm.sh/helm/v3/cmd/helm@latest)")


def test_compose_has_three_nodes_each_with_ports_and_a_name_of_its_own() -> None:
    assert len(NODES) == 3
    outside = [port.split(":")[0] for service in NODES.values() for port in service["ports"]]
    assert len(set(outside)) == len(outside) == 9
    for name, service in NODES.items():
        environment = service["environment"]
        assert environment["TING_NODE_NAME"] == environment["TING_NODE_ADDRESS"] == name
        udp = str(environment.get("TING_RTC_UDP_PORT", 7882))
        tcp = str(environment.get("TING_RTC_TCP_PORT", 7881))
        # Candidates name the port that is inside, so outside it is the same.
        assert {f"{udp}:{udp}/udp", f"{tcp}:{tcp}/tcp"} < set(service["ports"])


def test_compose_gives_settings_that_the_server_takes(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s" * 43)
    for service in NODES.values():
        environment = {name: str(value) for name, value in service["environment"].items()}
        environment |= {
            "TING_ADVERTISE": "203.0.113.7", "TING_PUBLIC_URL": "https://meet.example.org",
            "TING_CLUSTER_SECRET_FILE": str(secret), "TING_API_KEY": "ting", "TING_API_SECRET_FILE": str(secret),
        }  # fmt: skip
        settings = load_settings({}, environment)
        assert settings.cluster.cluster == "nats://nats:4222"
        assert settings.cluster.node_name == service["environment"]["TING_NODE_NAME"]


def test_compose_waits_for_health_and_limits_everything() -> None:
    for name, service in SERVICES.items():
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} <= set(limits), name
        for needed, how in service.get("depends_on", {}).items():
            waits_for = how["condition"]
            assert waits_for == "service_completed_successfully" or SERVICES[needed]["healthcheck"]["test"]
    for name in ("nats", "postgres"):
        assert "ports" not in SERVICES[name], "only nodes reach it"
        assert SERVICES[name]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", [*NODES, "secrets", "nats"])
def test_containers_have_no_rights_that_they_do_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "ting.service"
    shutil.copy(DOCKER / "ting.service", unit)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(unit.read_text() + "\n[Service]\nProtectEverything=yes\n")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert "ProtectEverything" in done.stderr, "it reads what it verifies"


def template(*arguments: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    """What the chart makes, by kind and name."""
    assert HELM is not None
    command = [HELM, "template", "hall", str(CHART), "--kube-version=1.31.0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    made = [document for document in yaml.safe_load_all(done.stdout) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in made}


@needs_helm
def test_the_chart_passes_helms_own_check() -> None:
    assert HELM is not None
    done = subprocess.run([HELM, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_helm
def test_the_chart_makes_nodes_that_drain_and_have_ports_of_their_own() -> None:
    made = template("--set", "drainSeconds=200", "--set-string", "extraEnv.TING_MAX_ROOMS=5")
    spec = made["StatefulSet", "hall"]["spec"]
    pod = spec["template"]["spec"]
    node = pod["containers"][0]
    assert node["lifecycle"]["preStop"]["exec"]["command"] == ["ting", "nodes", "drain", "--wait", "200"]
    assert pod["terminationGracePeriodSeconds"] > 200
    ports = {port["name"]: port for port in node["ports"]}
    assert ports["rtc-udp"] == {"name": "rtc-udp", "containerPort": 7882, "hostPort": 7882, "protocol": "UDP"}
    assert node["securityContext"]["readOnlyRootFilesystem"] is True
    environment = {one["name"]: one for one in node["env"]}
    assert environment["TING_CLUSTER"]["valueFrom"]["secretKeyRef"] == {"name": "ting", "key": "cluster"}
    assert environment["TING_MAX_ROOMS"]["value"] == "5"
    plain = dict.fromkeys(environment, "x" * 40) | {
        name: one["value"] for name, one in environment.items() if "value" in one
    }  # fmt: skip
    plain |= {
        "TING_CLUSTER": "nats://n:4222",
        "TING_DATABASE_URL": "postgresql://p/ting",
        "TING_ADVERTISE": "192.0.2.1",
    }
    secret = Path(pod["containers"][0]["volumeMounts"][-1]["mountPath"])
    assert plain["TING_API_SECRET_FILE"] == str(secret / "api-secret")
    del plain["TING_API_SECRET_FILE"], plain["TING_CLUSTER_SECRET_FILE"], plain["TING_API_KEY"]
    load_settings({}, {**plain, "TING_CLUSTER_SECRET": "s" * 32, "TING_KEYS": "ting: " + "s" * 32})
    assert made["PodDisruptionBudget", "hall"]["spec"]["maxUnavailable"] == 1
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    for kind, name in (("Service", "hall"), ("Service", "hall-nodes")):
        assert made[kind, name]["spec"]["selector"].items() <= labels.items()
    assert spec["serviceName"] == "hall-nodes"
    rules = made["NetworkPolicy", "hall"]["spec"]["ingress"]
    (nodes_only,) = [rule for rule in rules if any(port["port"] == "node" for port in rule["ports"])]
    assert nodes_only["from"][0]["podSelector"]["matchLabels"].items() <= labels.items()


@needs_helm
def test_the_chart_holds_no_secret_and_does_what_values_say() -> None:
    made = template("--set", "ingress.enabled=true,ingress.host=meet.example.org,networkPolicy.enabled=false")
    assert {kind for kind, _ in made} == {"StatefulSet", "Service", "PodDisruptionBudget", "Ingress"}
    assert made["Ingress", "hall"]["spec"]["rules"][0]["host"] == "meet.example.org"


@needs_helm
@pytest.mark.parametrize("wrong", ["replicas=0", "ports.rtcUdp=70000", "replica=3", "publicUrl=meet.example.org"])
def test_values_that_are_wrong_are_refused_by_name(wrong: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        template("--set", wrong)
    assert wrong.partition("=")[0].rpartition(".")[2] in refused.value.stderr


def test_defaults_have_a_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert set(values) == set(schema["properties"]) - {"global"}
