"""All settings, from the environment alone, checked at start, every wrong one reported together.

`docs/settings.md` is generated from the field descriptions (`python -m headway.settings`) and held current by a test.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from functools import cached_property, lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from headway.domain.webhook import Network, parse_networks
from headway.errors import FieldProblem, SettingsError

QUEUES = ("gpu", "cpu", "io", "system")


def default_data_dir() -> Path:
    """Where an installation keeps everything: `/var/lib/headway` for root, the user's data folder otherwise.

    Root's embedded Postgres runs as an unprivileged account, which could not enter a private home directory.
    """
    return Path("/var/lib/headway") if os.name == "posix" and os.geteuid() == 0 else user_data_path("headway")


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


def parse_slots(text: str) -> dict[str, int]:
    """Read `gpu=1,cpu=2` into a table. Raises ValueError that names the wrong part."""
    slots: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        queue, _, count = part.partition("=")
        if queue not in QUEUES or not count.isdigit() or int(count) > 64:
            raise ValueError(f"{part!r} is not `queue=n` with a queue of {', '.join(QUEUES)} and n from 0 to 64")
        slots[queue] = int(count)
    return slots


def _checked_slots(text: str) -> str:
    parse_slots(text)
    return text


SlotsText = Annotated[str, AfterValidator(_checked_slots)]


def parse_gpus(text: str) -> dict[str, int | None]:
    """Read `0=24576,GPU-5f...` into memory in MB by index or UUID. Raises ValueError that names the wrong part."""
    gpus: dict[str, int | None] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        found = _GPU.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is neither an index nor a UUID, with `=MB` behind it where wanted")
        gpus[found["id"]] = int(found["memory"]) if found["memory"] else None
    return gpus


_GPU = re.compile(r"(?P<id>\d{1,3}|(GPU|MIG)-[A-Za-z0-9/-]{1,80})(=(?P<memory>\d{1,7}))?")


def _checked_gpus(text: str) -> str:
    if text.strip() != "none":
        parse_gpus(text)
    return text


GpusText = Annotated[str, AfterValidator(_checked_gpus)]


def _checked_networks(text: str) -> str:
    parse_networks(text)
    return text


NetworksText = Annotated[str, AfterValidator(_checked_networks)]


class Settings(BaseSettings):
    """One frozen record of all settings; field names are the environment variables in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", validate_default=True, case_sensitive=False)

    headway_data_dir: AbsolutePath = Field(
        default_factory=default_data_dir,
        description="The one directory of this installation: database, queue, jobs, artifacts, token, logs.",
    )
    headway_host: str = Field("127.0.0.1", description="Address the API listens on.")
    headway_port: int = Field(8400, ge=0, le=65535, description="Port the API listens on.")
    headway_database_url: str | None = Field(
        None, description="Postgres to use instead of the embedded one, as `postgresql://user:password@host:port/name`."
    )
    headway_redis_url: str | None = Field(
        None, description="Redis or Valkey for Celery (database 0) instead of the embedded one, as `redis://...`."
    )
    redis_ws_url: str | None = Field(
        None, description="Redis for the Socket.IO cluster; by default database 1 of the Redis that Celery uses."
    )
    headway_token: SecretStr | None = Field(
        None, description="Access token of this installation; by default made once and kept in `token` (mode 0600)."
    )
    headway_auth: Literal["on", "off"] = Field(
        "on", description="`off` lets everybody in as admin; accepted only with a loopback HEADWAY_HOST."
    )
    headway_log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    headway_log_format: Literal["json", "console"] = Field("json", description="One JSON event a line, or for eyes.")
    headway_shared_dir: AbsolutePath | None = Field(
        None, description="A folder all hosts see; artifacts are read from there when a host lacks them."
    )
    headway_advertised_url: str = Field(
        "",
        pattern=r"^(https?://[^/?#\s]+/?)?$",
        description="Where other machines reach this machine's API, to fetch files from; by default what HEADWAY_HOST "
        "and HEADWAY_PORT say, and nothing for a loopback address.",
    )
    headway_host_name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,100}$",
        description="What this machine is called among the hosts; by default its own name.",
    )
    headway_slots: SlotsText = Field(
        "gpu=1,cpu=2,io=2,system=2", description="How many jobs of each queue a worker runs at once, as `queue=n,...`."
    )
    headway_gpus: GpusText = Field(
        "",
        description="GPUs a worker gives to jobs, as `0=24576,1=24576` (index or UUID, memory in MB) or `none`; by "
        "default those that the NVIDIA driver names, less what CUDA_VISIBLE_DEVICES hides.",
    )
    headway_job_threads: int = Field(
        0, ge=0, le=1024, description="CPU threads a job may use at most; 0 means what its kind asks for."
    )
    headway_lease_seconds: float = Field(15.0, ge=1, le=3600, description="A running job's lease on its claim.")
    headway_drain_interval_ms: int = Field(100, ge=10, le=5000, description="How often a job's spool is drained.")
    headway_stop_grace_seconds: float = Field(
        10.0, ge=0.1, le=3600, description="Time a stopped job has to leave a checkpoint before it is killed."
    )
    headway_spool_quota_mb: int = Field(512, ge=8, le=1 << 20, description="Disk a job's undrained spool may hold.")
    candle_callback_frequency: int = Field(
        1000,
        ge=1,
        le=100_000_000,
        description="Candles a replay passes between two notes of where it is; what is pushed is thinned anyway.",
    )
    headway_max_lost_attempts: int = Field(
        3,
        ge=0,
        le=100,
        description="How often a job is started again by itself after its process or worker died without progress.",
    )
    headway_recover_interval_seconds: float = Field(
        2.0, ge=0.5, le=600, description="How often Beat looks for queued jobs without a message and expired leases."
    )
    headway_db_pool_size: int = Field(8, ge=1, le=200, description="Postgres connections a process keeps at most.")
    headway_allowed_origins: str = Field(
        "", description="Further origins (comma separated) whose pages may use the cookie, beside the server's own."
    )
    headway_max_clients: int = Field(
        2000, ge=1, le=100_000, description="Socket.IO clients an API instance accepts, and as many streams of runs."
    )
    headway_max_body_mb: int = Field(16, ge=1, le=10_000, description="Largest request body the API reads.")
    headway_max_upload_gb: int = Field(50, ge=1, le=100_000, description="Largest upload, all its files together.")
    websocket_batch_interval_ms: int = Field(
        100, ge=0, le=10_000, description="Updates of one job within this time become one push (leading edge); 0 = off."
    )
    websocket_compression: bool = Field(False, description="permessage-deflate: 190 kB of memory a client.")
    websocket_max_request_bytes: int = Field(
        16_384, ge=1024, le=1 << 20, description="Largest message a Socket.IO client may send."
    )
    headway_webhook_networks: NetworksText = Field(
        "",
        description="Private networks (comma separated, as `10.0.0.0/8`) that webhooks may reach; none by default.",
    )
    headway_webhook_retry_seconds: float = Field(
        5.0, ge=0.05, le=3600, description="Wait before a webhook is tried again; doubled each time, 12 attempts."
    )
    training_metric_archive_days: int = Field(
        30, ge=1, le=3650, description="Weeks of metrics wholly older than this are moved to the archive."
    )
    training_metric_keep_days: int = Field(
        0, ge=0, le=36500, description="Archived weeks are kept this long; 0 = ever."
    )
    headway_history_keep_days: int = Field(
        90, ge=0, le=36500, description="Progress history is kept this long after its job is over; 0 = ever."
    )
    headway_logs_keep_days: int = Field(
        90, ge=0, le=36500, description="Log lines are kept this long after their job is over; 0 = ever."
    )
    headway_events_keep_days: int = Field(
        90, ge=0, le=36500, description="Events are kept this long after their job is over; 0 = ever."
    )
    headway_jobs_keep_days: int = Field(
        90, ge=0, le=36500, description="Jobs without a living artifact are kept this long after their end; 0 = ever."
    )
    system_monitor_interval_seconds: float = Field(2.0, ge=0.5, le=60, description="How often each host is measured.")
    hf_endpoint: str = Field("https://huggingface.co", description="The Hugging Face hub to download from.")
    hf_token: SecretStr | None = Field(None, description="Hub token; reaches only kinds that declare it.")
    headway_label_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^?#\s]+)?$",
        description="OpenAI-compatible API that labels features when asked to, as `https://host/v1`; by default none.",
    )
    headway_label_model: str = Field("", description="The model that HEADWAY_LABEL_ENDPOINT shall label with.")
    headway_label_token: SecretStr | None = Field(None, description="Token for HEADWAY_LABEL_ENDPOINT.")

    @model_validator(mode="after")
    def _auth_off_only_on_loopback(self) -> Settings:
        if self.headway_auth == "off" and not _is_loopback(self.headway_host):
            raise ValueError(
                f"HEADWAY_AUTH=off is refused with HEADWAY_HOST={self.headway_host}: anybody on the network could run "
                "code. Set HEADWAY_HOST=127.0.0.1 or leave HEADWAY_AUTH on."
            )
        return self

    @model_validator(mode="after")
    def _labels_come_from_a_model(self) -> Settings:
        if bool(self.headway_label_endpoint) != bool(self.headway_label_model):
            raise ValueError("HEADWAY_LABEL_ENDPOINT and HEADWAY_LABEL_MODEL go together: set both or none")
        return self

    @cached_property
    def host_name(self) -> str:
        """What this machine is called."""
        return self.headway_host_name or socket.gethostname()

    @cached_property
    def advertised_url(self) -> str | None:
        """Where other machines reach this API; None when they cannot."""
        if self.headway_advertised_url or _is_loopback(self.headway_host):
            return self.headway_advertised_url or None
        host = self.host_name if self.headway_host in ("0.0.0.0", "::", "") else self.headway_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.headway_port}"

    @cached_property
    def slots(self) -> dict[str, int]:
        """Jobs at once by queue."""
        return parse_slots(self.headway_slots)

    @cached_property
    def webhook_networks(self) -> tuple[Network, ...]:
        """Private networks that webhooks may reach."""
        return parse_networks(self.headway_webhook_networks)

    @cached_property
    def allowed_origins(self) -> tuple[str, ...]:
        """Further origins that may use the cookie."""
        return tuple(origin.strip().rstrip("/") for origin in self.headway_allowed_origins.split(",") if origin.strip())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings() -> Settings:
    """Read the environment. Raises SettingsError with every wrong variable."""
    try:
        return Settings.model_validate({})
    except ValidationError as error:
        raise SettingsError(
            *(FieldProblem(".".join(map(str, e["loc"])).upper() or "settings", e["msg"]) for e in error.errors())
        ) from None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once."""
    return load_settings()


def settings_table() -> str:
    """`docs/settings.md`: every variable with its default and meaning."""
    rows = [
        f"| `{name.upper()}` | {_shown_default(info.default, info.default_factory is not None)} | {info.description} |"
        for name, info in Settings.model_fields.items()
    ]
    return "\n".join([_TABLE_HEAD, *rows, ""])


_TABLE_HEAD = """# Settings

All settings are environment variables, read once at start; every wrong one is reported together. This table is made
from the code: `python -m headway.settings > docs/settings.md`.

| variable | default | meaning |
|---|---|---|"""


def _shown_default(default: object, computed: bool) -> str:
    if computed:
        return "`/var/lib/headway` for root, else the user's data folder"
    return "" if default in (None, "") else f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    sys.stdout.write(settings_table())
