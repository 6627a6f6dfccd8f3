"""All nodes of one cluster over WinRM: agents made as they are needed, threads shared by them."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from controller.adapters.winrm.agent import NodeAgent
from controller.adapters.winrm.calling import Barred
from controller.adapters.winrm.credentials import CredentialSource, Secrets
from controller.adapters.winrm.endpoints import Endpoint, endpoint_of
from controller.adapters.winrm.kerberos import Tickets
from controller.adapters.winrm.logons import LogonGates
from controller.adapters.winrm.program import AgentProgram
from controller.adapters.winrm.psrp import PoolSession
from controller.adapters.winrm.session import Limits, NodeSession
from controller.adapters.winrm.winrs import AgentSession
from controller.errors import OwnernodeError, SpecError, Unreachable
from controller.model.desired import Connection
from controller.model.names import fold, short_node

THREADS_MAX = 96
"""A cluster has at most 64 nodes (Microsoft docs, failover cluster limits) and each node's calls
take one thread at a time; the rest is for seeds under other names. Threads are made when needed."""


class WinRMNodes:
    """A NodeCaller over WinRM or PSRP. `calls` counts them by operation and result."""

    def __init__(
        self,
        connection: Connection,
        *,
        gates: LogonGates,
        program: AgentProgram,
        limits: Limits | None = None,
        barred: Barred = lambda intent: None,
        secrets: Secrets | None = None,
    ) -> None:
        """`barred` is asked by a node's thread right before a command is sent; see `Barred`."""
        self.calls: Counter[tuple[str, str]] = Counter()
        self._connection = connection
        self._gate = gates.gate(
            CredentialSource(
                file=connection.credentials_file,
                env=connection.credentials_env,
                secret=connection.credentials_secret,
                secrets=secrets,
            )
        )
        self._tickets: Tickets | None = None
        self._program = program
        self._limits = limits or Limits()
        self._barred = barred
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="winrm")
        self._agents: dict[str, NodeAgent] = {}

    @property
    def logon_failures(self) -> int:
        """Log-ons of this cluster's account that any node refused, ever."""
        return self._gate.refusals_total

    async def call(
        self, node: str, operation: str, arguments: Mapping[str, Any], *, timeout_seconds: float
    ) -> Mapping[str, Any]:
        """As NodeCaller says. `node` is a cluster's short name or a seed's full one."""
        try:
            agent = self._agent(node)
            data = await agent.call(operation, arguments, timeout_seconds=timeout_seconds)
        except OwnernodeError as error:
            self.calls[operation, type(error).__name__] += 1
            raise
        self.calls[operation, "Answered"] += 1
        return data

    async def quotas(self, node: str, *, timeout_seconds: float) -> Mapping[str, int]:
        """The limits of a node's WinRM service. Raises LogonRefused or Unreachable."""
        return await self._agent(node).quotas(timeout_seconds=timeout_seconds)

    async def close(self) -> None:
        """End every agent and connection, all at once."""
        async with asyncio.TaskGroup() as closing:
            for name, agent in sorted(self._agents.items()):
                closing.create_task(agent.close(), name=f"close {name}")
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _agent(self, node: str) -> NodeAgent:
        key = fold(short_node(node))
        if key not in self._agents:
            try:
                endpoint = endpoint_of(node, self._connection)
                if self._connection.authentication == "Kerberos" and self._tickets is None:
                    self._tickets = Tickets()
                session = self._session(endpoint)
            except SpecError as error:
                raise Unreachable(str(error)) from error
            self._agents[key] = NodeAgent(endpoint, session, self._threads)
        return self._agents[key]

    def _session(self, endpoint: Endpoint) -> NodeSession:
        what_all_share = {
            "endpoint": endpoint,
            "authentication": self._connection.authentication,
            "ca_file": self._connection.ca_file,
            "tickets": self._tickets,
            "gate": self._gate,
            "limits": self._limits,
            "barred": self._barred,
        }
        if self._connection.transport == "PSRP":
            return PoolSession(**what_all_share)
        return AgentSession(self._program, **what_all_share)
