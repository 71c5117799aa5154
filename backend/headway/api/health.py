"""Whether Postgres and Redis answer, asked with a bound of one second and never twice at once; whether pushes flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from headway.bootstrap import Runtime

BOUND_SECONDS = 1.0


class Health:
    """Asks from threads of its own, so that a busy or stuck work pool does not answer for the services."""

    def __init__(self, runtime: Runtime, push_state: Callable[[], str]) -> None:
        self._runtime = runtime
        self._push_state = push_state
        self._asks: dict[str, Callable[[], object]] = {"postgres": self._ask_postgres, "redis": self._ask_redis}
        self._executor = ThreadPoolExecutor(len(self._asks), thread_name_prefix="headway-health")
        self._asked: dict[str, asyncio.Future[object]] = {}

    async def check(self) -> dict[str, str]:
        """`ok` or what is wrong, by service."""
        answers = await asyncio.gather(*(self._answer(name) for name in self._asks))
        return {**dict(zip(self._asks, answers, strict=True)), "push": self._push_state()}

    def close(self) -> None:
        """Ask no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, name: str) -> str:
        asked = self._asked.get(name)
        if asked is None or asked.done():
            # one that still hangs is waited for again, not asked again
            asked = asyncio.get_running_loop().run_in_executor(self._executor, self._asks[name])
            self._asked[name] = asked
        done, _ = await asyncio.wait([asked], timeout=BOUND_SECONDS)
        if not done:
            return f"no answer within {BOUND_SECONDS:g} s"
        error = asked.exception()
        return "ok" if error is None else f"cannot be reached ({type(error).__name__})"

    def _ask_postgres(self) -> None:
        with self._runtime.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def _ask_redis(self) -> None:
        self._runtime.redis.ping()
