"""The one way to reach Temporal, for the API, the worker and the command line alike."""

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from crypto.key_ring import KeyRing
from engine.builds import StartsOnBuild
from engine.converter import data_converter

LOCAL_ADDRESS = "127.0.0.1:7233"


def configured_target(profile: str | None = None) -> ClientConnectConfig:
    """Read where Temporal is from the TEMPORAL_* variables and the profile file.

    Args:
        profile: a profile of the file; None means TEMPORAL_PROFILE, or else `default`.
    """
    return ClientConfig.load_client_connect_config(profile)


def measured(address: str | None) -> Runtime | None:
    """A runtime that serves the SDK's own metrics at host:port; None where none is wanted."""
    if address is None:
        return None
    metrics = PrometheusConfig(bind_address=address, durations_as_seconds=True)
    return Runtime(telemetry=TelemetryConfig(metrics=metrics))


def meter(client: Client) -> MetricMeter:
    """Return the metrics of the runtime that the client uses."""
    return (client.service_client.config.runtime or Runtime.default()).metric_meter


async def connect(
    keys: KeyRing,
    *,
    target: ClientConnectConfig | None = None,
    lazy: bool = False,
    runtime: Runtime | None = None,
    build_id: str | None = None,
) -> Client:
    """Connect with encrypted Pydantic payloads.

    Args:
        keys: the payload keys; there is no unencrypted mode.
        target: address, namespace and credentials; None means `configured_target()`.
        lazy: connect at the first call, so that a process may start before Temporal does.
        runtime: the SDK runtime with the process's metrics; None means the default one.
        build_id: the build that carries what this client starts; None means the current one.

    Raises:
        RuntimeError: Temporal can't be reached (never when lazy).
    """
    config = configured_target() if target is None else target
    config.setdefault("target_host", LOCAL_ADDRESS)
    return await Client.connect(
        **config,
        data_converter=data_converter(keys),
        lazy=lazy,
        runtime=runtime,
        interceptors=[] if build_id is None else [StartsOnBuild(build_id)],
    )
