"""Three API instances behind nginx are one: killed in turn and reloaded under load, no client misses a point."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import psutil
import pytest

from headway.errors import LocalServiceError
from headway.local.cluster import find_nginx
from tests.cluster import Cluster, all_ready, following, running_cluster, stop, submit_clock, until


def has_nginx() -> bool:
    try:
        find_nginx()
    except LocalServiceError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_nginx(), reason="nginx is missing: apt-get install nginx")
CLIENTS, STEPS, STEP_SECONDS = 20, 300, 0.1
WAIT_SECONDS = 200.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running


def test_every_client_gets_every_point_once_while_instances_are_killed_and_nginx_reloads(cluster: Cluster) -> None:
    async def scenario() -> None:
        job = submit_clock(cluster, STEPS, STEP_SECONDS)
        async with following(cluster, job, CLIENTS) as crowd:
            await until(lambda: all(client.steps for client in crowd), WAIT_SECONDS, "points at every client")
            for port in sorted(cluster.instances()):
                cluster.instances()[port].kill()
                await until(lambda: all_ready(cluster), WAIT_SECONDS, "every instance")
            await asyncio.to_thread(cluster.reload_nginx)
            await until(lambda: all(client.over for client in crowd), WAIT_SECONDS, "the end at every client")
        assert [client.steps for client in crowd] == [list(range(1, STEPS + 1))] * CLIENTS

    asyncio.run(scenario())


def test_sockets_spread_over_all_instances_though_each_was_away(cluster: Cluster) -> None:
    async def scenario() -> None:
        address = cluster.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        async with aiohttp.ClientSession() as session:
            sockets = [await session.ws_connect(address) for _ in range(30)]
            by_instance = {port: sockets_of(process, port) for port, process in cluster.instances().items()}
            for socket in sockets:
                await socket.close()
        assert min(by_instance.values()) >= 8, by_instance

    asyncio.run(scenario())


def sockets_of(process: psutil.Process, port: int) -> int:
    here = [connection for connection in process.net_connections("tcp") if connection.laddr.port == port]
    return sum(connection.status == psutil.CONN_ESTABLISHED for connection in here)


def test_clients_poll_while_redis_is_away_and_are_pushed_to_again_once_it_is_back(cluster: Cluster) -> None:
    async def scenario() -> None:
        await until(lambda: all_ready(cluster), WAIT_SECONDS, "every instance")
        job = submit_clock(cluster, STEPS, STEP_SECONDS)
        async with following(cluster, job, CLIENTS) as crowd:
            await until(lambda: all(client.steps for client in crowd), WAIT_SECONDS, "points at every client")
            await asyncio.to_thread(cluster.stop_redis)
            await until(
                lambda: all("polled" in client.modes for client in crowd), WAIT_SECONDS, "polls by every client"
            )
            await asyncio.to_thread(cluster.start_redis)
            await until(lambda: all(client.live.mode == "pushed" for client in crowd), WAIT_SECONDS, "pushes again")
            await until(lambda: all(client.over for client in crowd), WAIT_SECONDS, "the end at every client")
        assert [client.steps for client in crowd] == [list(range(1, STEPS + 1))] * CLIENTS

    asyncio.run(scenario())


def test_nothing_is_left_of_a_cluster_that_is_stopped(cluster: Cluster) -> None:
    family = [cluster.nginx(), *cluster.instances().values()]
    stop(cluster.process)
    assert not any(process.is_running() for process in family)
