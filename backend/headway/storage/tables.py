"""All tables. Postgres is the truth; constraints hold what must never be false.

`training_metrics` is partitioned by week of the server's receipt; partitions are made by `storage/partitions.py`.
"""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from headway.domain.states import JobState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_NOW = text("now()")
_STATES = ", ".join(f"'{state}'" for state in JobState)


def _time(name: str, *, nullable: bool = True, default_now: bool = False) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable and not default_now,
        server_default=_NOW if default_now else None,
    )


studies = Table(
    "studies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    _time("created_at", default_now=True),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", Integer, Identity(always=True), nullable=False, unique=True, comment="short number used by metrics"),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("notes", Text, nullable=False, server_default=""),
    Column("owner", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("config", JSONB, nullable=False),
    Column("resources", JSONB, nullable=False, server_default="{}"),
    Column("environment", JSONB),
    Column("study_id", Text, ForeignKey("studies.id", ondelete="CASCADE"), index=True),
    Column("study_key", Text),
    Column("study_position", Integer),
    Column("retry_of", Text, ForeignKey("jobs.id", ondelete="SET NULL")),
    Column("idempotency_key", Text, unique=True),
    Column("time_limit_seconds", Double),
    Column("attempt", SmallInteger, nullable=False, server_default="0", comment="the fencing token"),
    Column("lease_owner", Text),
    _time("lease_expires_at"),
    Column(
        "lost_attempts", SmallInteger, nullable=False, server_default="0", comment="ended without progress, in a row"
    ),
    Column("transient_failures", SmallInteger, nullable=False, server_default="0", comment="retried, in a row"),
    _time("not_before"),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("percent_bp", Integer, nullable=False, server_default="0"),
    Column("progress", JSONB, nullable=False, server_default="{}"),
    Column("error", JSONB),
    Column("logs_count", BigInteger, nullable=False, server_default="0"),
    Column("events_count", BigInteger, nullable=False, server_default="0"),
    Column("used", JSONB, comment="what its processes used when last measured"),
    _time("created_at", default_now=True),
    _time("queued_at"),
    _time("sent_at"),
    _time("started_at"),
    _time("finished_at"),
    _time("updated_at", default_now=True),
    CheckConstraint(f"state IN ({_STATES})", name="state_known"),
    CheckConstraint("(percent_bp = 10000) = (state = 'completed')", name="full_iff_completed"),
    CheckConstraint("percent_bp BETWEEN 0 AND 10000", name="percent_in_range"),
    Index("ix_jobs_created_at_id", text("created_at DESC"), text("id DESC")),
    Index("ix_jobs_queue", "queue", text("priority DESC"), "queued_at", postgresql_where=text("state = 'queued'")),
    Index("ix_jobs_held", "lease_expires_at", postgresql_where=text("state IN ('running', 'pausing', 'cancelling')")),
    Index("ix_jobs_state", "state", "updated_at"),
    Index("ix_jobs_started_at", "started_at", postgresql_where=text("started_at IS NOT NULL")),
    Index("ix_jobs_finished_at", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
)

job_dependencies = Table(
    "job_dependencies",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("needs_job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, index=True),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("lease_owner", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("process_group", Integer),
    Column("gpus", JSONB, nullable=False, server_default="[]", comment="those it was given"),
    Column("resumed_from_step", BigInteger),
    Column("spool_offset", BigInteger, nullable=False, server_default="0"),
    Column("output_offset", BigInteger, nullable=False, server_default="0"),
    _time("drained_at"),
    Column("outcome", Text),
    Column("error", JSONB),
    _time("started_at", default_now=True),
    _time("ended_at"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="SET NULL"), index=True),
    Column("output", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("host", Text),
    Column("path", Text),
    Column("bytes", BigInteger),
    Column("meta", JSONB, nullable=False, server_default="{}"),
    Column("files", JSONB, comment="{path: {bytes, sha256}}, once asked"),
    _time("created_at", default_now=True),
    _time("ready_at"),
    CheckConstraint("state IN ('pending', 'ready', 'failed')", name="state_known"),
    Index("ix_artifacts_type", "type", text("created_at DESC"), text("id DESC")),
)

job_inputs = Table(
    "job_inputs",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("field", Text, primary_key=True),
    Column("artifact_id", Text, ForeignKey("artifacts.id"), nullable=False, index=True),
)

metric_names = Table(
    "metric_names",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

job_metrics = Table(
    "job_metrics",
    metadata,
    Column("job", Integer, primary_key=True),
    Column("metric", Integer, ForeignKey("metric_names.id"), primary_key=True),
    Column("first_attempt", SmallInteger, nullable=False),
    comment="which metrics a job has; kept so that no query scans the series for their names",
)

metric_sums = Table(
    "metric_sums",
    metadata,
    Column("job", Integer, ForeignKey("jobs.key", ondelete="CASCADE"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    Column("phase", Text, primary_key=True, comment="as the kind calls it; empty outside of any"),
    Column("metric", Integer, ForeignKey("metric_names.id"), primary_key=True),
    Column("finite", BigInteger, nullable=False, comment="how many values are in the total"),
    Column("total", Double, nullable=False),
    Column("low", Double),
    Column("high", Double),
    Column("last_step", BigInteger, nullable=False),
    Column("last_value", Double, comment="null where not finite"),
    comment="running sums of each attempt's metrics; what a later attempt did again is taken out when it is read",
    postgresql_with={"fillfactor": "50"},
)


def _metric_columns() -> list[Column[object]]:
    return [
        Column("job", Integer, nullable=False, comment="jobs.key"),
        Column("metric", Integer, nullable=False, comment="metric_names.id"),
        Column("step", BigInteger, nullable=False),
        Column("value", Double, comment="null where not finite"),
        _time("at", nullable=False),
        _time("received_at", nullable=False),
        Column("attempt", SmallInteger, nullable=False),
        Column("nonfinite", SmallInteger, comment="1 NaN, 2 +Inf, 3 -Inf"),
    ]


training_metrics = Table(
    "training_metrics",
    metadata,
    *_metric_columns(),
    Index(
        "ix_training_metrics_series",
        "job",
        "metric",
        "step",
        "attempt",
        postgresql_include=["value", "nonfinite", "received_at"],
    ),
    postgresql_partition_by="RANGE (received_at)",
)

training_metrics_archive = Table(
    "training_metrics_archive",
    metadata,
    *_metric_columns(),
    Index(
        "ix_training_metrics_archive_series",
        "job",
        "metric",
        "step",
        "attempt",
        postgresql_include=["value", "nonfinite", "received_at"],
    ),
    postgresql_partition_by="RANGE (received_at)",
)

metric_buckets = Table(
    "metric_buckets",
    metadata,
    Column("job", Integer, ForeignKey("jobs.key", ondelete="CASCADE"), primary_key=True),
    Column("metric", Integer, primary_key=True, comment="metric_names.id"),
    Column("attempt", SmallInteger, primary_key=True),
    Column("bucket", BigInteger, primary_key=True, comment="step / 256, rounded down"),
    Column("week", Date, primary_key=True, comment="the partition that holds the points"),
    Column("low", Double, comment="the least finite value; null if there is none"),
    Column("low_step", BigInteger),
    Column("high", Double),
    Column("high_step", BigInteger),
    Column("odd_step", BigInteger, comment="a step whose value is not finite"),
    Column("nonfinite", SmallInteger, comment="what it is: 1 NaN, 2 +Inf, 3 -Inf"),
    Column("finite", BigInteger, nullable=False, comment="how many values are in the total"),
    Column("total", Double, nullable=False),
    _time("first_at", nullable=False),
    _time("last_at", nullable=False),
    comment="what 256 steps each say, folded in by the drain that appends the points",
    postgresql_with={"fillfactor": "70"},
)

metric_holds = Table(
    "metric_holds",
    metadata,
    Column("week", Date, primary_key=True, comment="its Monday"),
    _time("until", nullable=False),
    comment="weeks of metrics that are neither archived nor dropped before a date",
)

maintenance = Table(
    "maintenance",
    metadata,
    Column("task", Text, primary_key=True),
    Column("runs", BigInteger, nullable=False, server_default="0"),
    Column("failures", BigInteger, nullable=False, server_default="0"),
    Column("seconds", Double, nullable=False, server_default="0"),
    Column("counts", JSONB, nullable=False, server_default="{}", comment="what was done, ever, by name"),
    Column("last_seconds", Double),
    Column("last_error", Text),
    _time("last_run_at"),
    comment="what the periodic clean-ups did, for /metrics and the statistics",
)

progress_history = Table(
    "progress_history",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("attempt", SmallInteger, nullable=False),
    _time("at", nullable=False),
    Column("percent_bp", Integer, nullable=False),
    Column("phase", Text),
    Column("phase_changed", Boolean, nullable=False),
    Column("step", BigInteger),
    Column("rate", REAL),
    Column("eta_seconds", REAL),
    Column("epoch", Double),
    Column("message", Text),
    Column("metrics", JSONB, nullable=False, server_default="{}", comment="the newest value of each, as shown then"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("no", BigInteger, primary_key=True),
    Column("type", Text, nullable=False),
    Column("data", JSONB, nullable=False, server_default="{}"),
    _time("at", default_now=True),
)

job_logs = Table(
    "job_logs",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("no", BigInteger, primary_key=True),
    Column("attempt", SmallInteger, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
    _time("at", nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("host", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("best", Boolean, nullable=False),
    Column("metrics", JSONB, nullable=False, server_default="{}"),
    _time("created_at", default_now=True),
    Index("ix_checkpoints_job_id", "job_id", text("step DESC")),
)

kind_runs = Table(
    "kind_runs",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("phases", JSONB, nullable=False),
    _time("ended_at", default_now=True),
    Index("ix_kind_runs_kind", "kind", "host", text("ended_at DESC")),
)

hosts = Table(
    "hosts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("cpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    _time("last_seen_at", default_now=True),
    Column("sampler", Text, comment="the worker that measures this host"),
    _time("sampler_until"),
    Column("gpu_report", JSONB, comment="what its GPUs said last, beside the gauges"),
)

host_samples = Table(
    "host_samples",
    metadata,
    Column("host", Text, ForeignKey("hosts.name", ondelete="CASCADE"), primary_key=True),
    Column("seconds", SmallInteger, primary_key=True, autoincrement=False, comment="width of the bin; 0: as sampled"),
    Column("at", DateTime(timezone=True), primary_key=True, comment="the bin's beginning"),
    Column("gauges", JSONB, nullable=False, comment="the mean of each over the bin"),
    Column("peaks", JSONB, comment="the greatest of each in the bin"),
)

job_samples = Table(
    "job_samples",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("attempt", SmallInteger, nullable=False),
    Column("host", Text, nullable=False),
    Column("cpu_cores", REAL, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False, comment="the greatest, where samples were merged"),
    Column("read_bytes_per_second", REAL),
    Column("written_bytes_per_second", REAL),
    Column("gpu_percent", REAL),
    Column("gpu_memory_bytes", BigInteger),
    Column("processes", Integer, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("merged", Integer, nullable=False, server_default="1", comment="of how many samples it is made"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True, comment="random, new at each process start; the owner of leases"),
    Column("host", Text, ForeignKey("hosts.name", ondelete="CASCADE"), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", JSONB, nullable=False),
    Column("gpus", JSONB, nullable=False, server_default="[]", comment="those it may give to jobs"),
    _time("started_at", default_now=True),
    _time("last_seen_at", default_now=True),
)

device_leases = Table(
    "device_leases",
    metadata,
    Column("host", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("attempt", SmallInteger, nullable=False),
    Column("shared", Boolean, nullable=False),
    _time("leased_at", default_now=True),
    Index("ix_device_leases_exclusive", "host", "device", unique=True, postgresql_where=text("NOT shared")),
    comment="which GPU a held job has; gone with the move that ends its attempt",
)

file_servers = Table(
    "file_servers",
    metadata,
    Column("host", Text, primary_key=True),
    Column("url", Text, primary_key=True),
    _time("seen_at", default_now=True),
    comment="API instances by the host whose files they serve",
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False, unique=True, comment="the token itself is never stored"),
    _time("created_at", default_now=True),
    _time("expires_at"),
    CheckConstraint("role IN ('viewer', 'operator', 'admin')", name="role_known"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False, comment="signs what is sent, so it must be kept as it is"),
    Column("events", ARRAY(Text), nullable=False),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), comment="only this job; null: all"),
    Column("kind", Text, comment="only jobs of this kind; null: all"),
    Column("threshold", JSONB, comment="{metric, above, below} of metric.threshold"),
    Column("owner", Text, nullable=False, server_default=""),
    _time("created_at", default_now=True),
)

webhook_cursors = Table(
    "webhook_cursors",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("events_seen", BigInteger, nullable=False, comment="job_events up to this number are in the outbox"),
    Column("stalled", Boolean, nullable=False, server_default="false"),
    comment="up to where each job has been told",
)

webhook_watches = Table(
    "webhook_watches",
    metadata,
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("attempt", SmallInteger, nullable=False),
    Column("step", BigInteger, nullable=False, comment="the metric was looked at up to here"),
    Column("crossed", Boolean, nullable=False, server_default="false"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("key", Text, nullable=False, comment="what happened; told once to each webhook"),
    Column("payload", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("status", Integer, comment="the last HTTP answer"),
    Column("error", Text),
    _time("next_attempt_at", default_now=True),
    _time("created_at", default_now=True),
    _time("delivered_at"),
    CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state_known"),
    UniqueConstraint("webhook_id", "key"),
    Index("ix_webhook_deliveries_due", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index("ix_webhook_deliveries_log", "webhook_id", text("created_at DESC"), text("id DESC")),
    Index("ix_webhook_deliveries_age", "created_at"),
    comment="the outbox and the log of webhooks",
)

trained_configurations = Table(
    "trained_configurations",
    metadata,
    Column("id", Text, ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True, comment="the artifact's"),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="SET NULL"), index=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("market", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("score_name", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("ratio", Double, comment="score out of sample over that in sample"),
    Column("seed", BigInteger, nullable=False),
    Column("config", JSONB, nullable=False, comment="of the job; with the seed it gives all again"),
    Column("results", JSONB, nullable=False, comment="figures, windows, curves"),
    Column("active", Boolean, nullable=False, server_default="false"),
    _time("activated_at"),
    _time("created_at", default_now=True),
    Index("ix_trained_configurations_created_at_id", text("created_at DESC"), text("id DESC")),
    comment="what strategy searches saved",
)

feature_labels = Table(
    "feature_labels",
    metadata,
    Column("artifact_id", Text, ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True, comment="an index"),
    Column("sae", Text, primary_key=True),
    Column("feature", Integer, primary_key=True, autoincrement=False),
    Column("label", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("author", Text, nullable=False, comment="the token's name, or the model's"),
    _time("at", default_now=True),
    CheckConstraint("source IN ('hand', 'model')", name="source_known"),
    comment="what features of an index are called",
)
