"""Fixtures for every test: real services, never stand-ins."""

from tests.services import cluster, data_dir, installation_dir, postgres_url, queue, redis_url

__all__ = ["cluster", "data_dir", "installation_dir", "postgres_url", "queue", "redis_url"]
