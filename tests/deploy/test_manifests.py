"""Renders each overlay alone and with each component, and checks that it is valid and as safe as the docs say."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings
from tests.deploy.rendering import (
    COMPONENTS,
    DEPLOY,
    OVERLAYS,
    TRAININGS,
    Resource,
    composed,
    of_kind,
    one,
    overlay,
    pod_specs,
    render,
    renderer,
)

pytestmark = pytest.mark.skipif(renderer() is None, reason="needs kubectl or kustomize to render the manifests")

SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
KUBERNETES = sorted(
    {match[1] for path in SCHEMAS.iterdir() if (match := re.match(r"v(\d+\.\d+\.\d+)-", path.name))},
    key=lambda version: [int(part) for part in version.split(".")],
)[-3:]
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject"}  # kinds of operators; Kubernetes has no schemas for them
MODES = ("enforce", "warn", "audit")  # the modes of Pod Security
CASES = [
    *(("overlays", name, ()) for name in OVERLAYS),
    *(("overlays", name, (component,)) for name in OVERLAYS for component in COMPONENTS),
    *(("overlays", name, tuple(COMPONENTS)) for name in OVERLAYS),
    *(("training", name, ()) for name in TRAININGS),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join([case[1], *case[2]]))
def resources(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Resource]:
    """The resources that a cluster would get."""
    kind, name, components = request.param
    if not components:
        return render(DEPLOY / kind / name)
    return composed(tmp_path_factory.mktemp("user"), f"{kind}/{name}", components)


def test_all_overlays_and_trainings_are_tested() -> None:
    assert OVERLAYS == ["cpu", "gpu", "local"]
    assert TRAININGS == ["common", "multi-node", "single"]
    assert len(KUBERNETES) == 3


@pytest.mark.parametrize("version", KUBERNETES)
def test_resources_match_kubernetes_schemas(resources: list[Resource], version: str) -> None:
    for resource in resources:
        if resource["kind"] not in CUSTOM:
            kubernetes_validate.validate(resource, version, strict=True)


def test_namespace_enforces_restricted_pod_security(resources: list[Resource]) -> None:
    """The service and the training Jobs both bring the namespace: either may be applied first to a new cluster."""
    namespace = one(resources, "Namespace")["metadata"]
    assert {resource["metadata"].get("namespace", namespace["name"]) for resource in resources} == {namespace["name"]}
    assert namespace["labels"].items() >= {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in MODES}.items()


def test_pods_are_restricted(resources: list[Resource]) -> None:
    """The rules of Pod Security `restricted`, and a read-only root file system."""
    for spec in pod_specs(resources):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["runAsGroup"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            assert re.search(r":(cpu|gpu|training)$", container["image"])
        for volume in spec["volumes"]:
            assert volume.keys() - {"name"} <= {"emptyDir", "persistentVolumeClaim", "secret"}
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""})


def test_containers_and_probes_use_no_shell(resources: list[Resource]) -> None:
    for spec in pod_specs(resources):
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            words = [*container.get("command", []), *container.get("args", [])]
            assert not {"sh", "bash", "/bin/sh", "/bin/bash"} & set(words)
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert "exec" not in container.get(probe, {})
            assert "exec" not in container.get("lifecycle", {}).get("preStop", {})


def test_network_policies_allow_only_http_in_and_dns_out(resources: list[Resource]) -> None:
    pods = [resource["spec"]["template"] for resource in resources if resource["kind"] in ("Deployment", "Job")]
    for policy in of_kind(resources, "NetworkPolicy"):
        spec = policy["spec"]
        assert sorted(spec["policyTypes"]) == ["Egress", "Ingress"]
        selector = spec["podSelector"]["matchLabels"].items()
        assert all(selector <= pod["metadata"]["labels"].items() for pod in pods)
        own = {"podSelector": spec["podSelector"]}
        for rule in spec["ingress"]:
            assert rule.get("ports") == [{"protocol": "TCP", "port": "http"}] or rule["from"] == [own]
        for rule in spec["egress"]:
            if rule["to"] != [own]:
                assert {port["port"] for port in rule["ports"]} == {53}
                assert all("podSelector" in peer and "namespaceSelector" in peer for peer in rule["to"])
    assert of_kind(resources, "NetworkPolicy")


def test_references_between_resources_resolve(resources: list[Resource]) -> None:
    names = {(resource["kind"], resource["metadata"]["name"]) for resource in resources}
    for spec in pod_specs(resources):
        for container in spec["containers"]:
            for source in container.get("envFrom", []):
                assert ("ConfigMap", source["configMapRef"]["name"]) in names
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted <= {volume["name"] for volume in spec["volumes"]}
        for volume in spec["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
    for resource in resources:
        if resource["kind"] == "HorizontalPodAutoscaler":
            assert ("Deployment", resource["spec"]["scaleTargetRef"]["name"]) in names
        if resource["kind"] == "ScaledObject":
            assert ("Deployment", resource["spec"]["scaleTargetRef"]["name"]) in names
            assert not of_kind(resources, "HorizontalPodAutoscaler")  # two autoscalers would scale the same Deployment
            # The autoscaler of an overlay stays when this is applied over it. KEDA's webhook only allows a transfer by name.
            assert resource["metadata"]["annotations"]["scaledobject.keda.sh/transfer-hpa-ownership"] == "true"
            taken_over = resource["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"]
            assert taken_over == one(overlay("cpu"), "HorizontalPodAutoscaler")["metadata"]["name"]
    for kind in ("Service", "PodDisruptionBudget", "ServiceMonitor"):
        for resource in of_kind(resources, kind):
            selected = resource["spec"]["selector"]
            assert_selects(selected.get("matchLabels", selected), resources, "Service" if kind == "ServiceMonitor" else "pod")


def assert_selects(selector: dict[str, str], resources: list[Resource], what: str) -> None:
    if what == "Service":
        labelled = [resource["metadata"] for resource in of_kind(resources, "Service")]
    else:
        labelled = [r["spec"]["template"]["metadata"] for r in resources if r["kind"] in ("Deployment", "Job")]
        for job in of_kind(resources, "Job"):  # the Job controller adds this label
            labelled.append({"labels": {"batch.kubernetes.io/job-name": job["metadata"]["name"]}})
    assert any(selector.items() <= metadata["labels"].items() for metadata in labelled)


def deployment(name: str) -> dict[str, Any]:
    return dict(one(overlay(name), "Deployment")["spec"])


@pytest.mark.parametrize("name", OVERLAYS)
def test_probes_use_the_right_paths(name: str) -> None:
    container = deployment(name)["template"]["spec"]["containers"][0]
    paths = {probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert {container[probe]["httpGet"]["port"] for probe in paths} == {container["ports"][0]["name"]}
    # Each unanswered probe takes its timeout. If that is below the period, only the periods count.
    startup = container["startupProbe"]
    assert startup["timeoutSeconds"] < startup["periodSeconds"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 300


@pytest.mark.parametrize("name", OVERLAYS)
def test_grace_period_covers_pre_stop_and_drain(name: str) -> None:
    spec = deployment(name)["template"]["spec"]
    settings = one(overlay(name), "ConfigMap")["data"]
    pre_stop_s = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain_s = max(float(settings["GANVAS_DRAIN_S"]), float(settings["GANVAS_TIMEOUT_S"]))
    readiness = spec["containers"][0]["readinessProbe"]
    assert pre_stop_s + drain_s + 5 <= spec["terminationGracePeriodSeconds"] <= pre_stop_s + drain_s + 30
    assert pre_stop_s >= 5
    assert readiness["periodSeconds"] * readiness["failureThreshold"] <= pre_stop_s


@pytest.mark.parametrize("name", OVERLAYS)
def test_service_account_has_no_token(name: str) -> None:
    account = one(overlay(name), "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert deployment(name)["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_are_spread_over_zones_and_nodes(name: str) -> None:
    template = deployment(name)["template"]
    spread = {rule["topologyKey"]: rule for rule in template["spec"]["topologySpreadConstraints"]}
    assert spread.keys() == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    for rule in spread.values():
        assert rule["maxSkew"] == 1
        assert rule["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert rule["matchLabelKeys"] == ["pod-template-hash"]  # without this, pods that a rollout ends would count too


@pytest.mark.parametrize("name", OVERLAYS)
def test_all_overlays_but_local_have_an_autoscaler(name: str) -> None:
    scalers = of_kind(overlay(name), "HorizontalPodAutoscaler")
    if name == "local":
        assert not scalers
        return
    (spec,) = (scaler["spec"] for scaler in scalers)
    assert 2 <= spec["minReplicas"] < spec["maxReplicas"]  # one pod may be missing, and more can start
    assert [metric["resource"]["name"] for metric in spec["metrics"]] == ["cpu"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_settings_exist_and_are_valid(name: str, tmp_path: Path) -> None:
    resources = composed(tmp_path, f"overlays/{name}", COMPONENTS)
    given = {key for config in of_kind(resources, "ConfigMap") for key in config["data"] if key.startswith("GANVAS_")}
    given |= {variable["name"] for spec in pod_specs(resources) for variable in spec["containers"][0]["env"]}
    assert given <= {f"GANVAS_{field.upper()}" for field in Settings.model_fields}
    for config in of_kind(resources, "ConfigMap"):
        if config["metadata"]["name"].startswith("ganvas-settings"):
            values = {key.removeprefix("GANVAS_").lower(): value for key, value in config["data"].items()}
            Settings.model_validate(values)


@pytest.mark.parametrize("name", OVERLAYS)
def test_rollout_respects_the_disruption_budget(name: str) -> None:
    budget = one(overlay(name), "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert deployment(name)["strategy"]["rollingUpdate"]["maxUnavailable"] <= 1
    assert ("replicas" in deployment(name)) == (name == "local")  # the autoscaler sets the replicas of the others


def test_threads_follow_the_requested_cores() -> None:
    container = deployment("cpu")["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable for variable in container["env"]}
    for name in ("GANVAS_THREADS", "GANVAS_CODEC_THREADS"):
        assert env[name]["valueFrom"] == {"resourceFieldRef": {"resource": "requests.cpu"}}
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["requests"]["cpu"].isdecimal()  # whole cores


def test_gpu_overlay_requests_a_gpu() -> None:
    spec = deployment("gpu")["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"name": "GANVAS_DEVICE", "value": "cuda"} in spec["containers"][0]["env"]
    assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_every_manifest_is_used() -> None:
    """Each file in deploy/ is part of a kustomization."""
    for folder in {path.parent for path in DEPLOY.rglob("kustomization.yaml")}:
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        files = [*kustomization.get("resources", []), *(patch.get("path") for patch in kustomization.get("patches", []))]
        files += [name for config in kustomization.get("configMapGenerator", []) for name in config.get("files", [])]
        unused = {path.name for path in folder.iterdir() if path.is_file()} - {"kustomization.yaml", *files}
        assert not unused, folder
