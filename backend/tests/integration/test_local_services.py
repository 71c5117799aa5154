"""The embedded services answer, and only to those who know the password."""

import psycopg
import pytest
import redis

from headway.local.valkey import Queue
from headway.storage.migrate import head_revision


def test_each_module_gets_a_migrated_database_without_a_job(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        migrated = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        jobs = connection.execute("SELECT count(*) FROM jobs").fetchone()
    assert (migrated, jobs) == ((head_revision(),), (0,))


def test_postgres_refuses_a_wrong_password(postgres_url: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres_url, password="wrong")


def test_valkey_keeps_what_it_is_told_and_has_two_databases(redis_url: str, queue: Queue) -> None:
    with redis.Redis.from_url(redis_url) as client, redis.Redis.from_url(queue.url_of(1)) as other:
        client.set("a", "1")
        assert other.get("a") is None
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_valkey_refuses_a_client_without_the_password(redis_url: str) -> None:
    address = redis_url.split("@")[1]
    with redis.Redis.from_url(f"redis://{address}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()
