"""PowerShell remoting in a WinRM shell: runspace pools and the pipelines in them ([MS-PSRP]).

A pool is a shell and a pipeline a command of it, whose bytes in and out are fragments of messages;
psrpcore (the server half of the protocol, MIT) puts those together and takes them apart. What a
pipeline may run, and what comes of it, is the endpoint's affair.
"""

import asyncio
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from psrpcore import CreatePipelineEvent, PSRPCoreError, PSRPPayload, ServerPipeline, StreamType
from psrpcore import ServerRunspacePool as ServerPool
from psrpcore.types import ErrorCategory, ErrorCategoryInfo, ErrorRecord, NETException
from psrpcore.types import PSInvocationState as State

from controller.simulator.processes import Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One command of a pipeline, its values as plain Python ones."""

    text: str
    is_script: bool
    parameters: tuple[tuple[str | None, Any], ...]


class CommandFailed(Exception):
    """The pipeline ends with this error; `error_id` is its FullyQualifiedErrorId."""

    def __init__(self, message: str, *, error_id: str, category: str, exception_type: str) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.category = category
        self.exception_type = exception_type


class Runspace(Protocol):
    """What stands behind a pool of one runspace, and remembers as long as it."""

    async def run(self, commands: Sequence[Invocation]) -> Sequence[Any]:
        """The values that the pipeline puts out; raises CommandFailed."""


class Pool:
    """One runspace pool: the messages in and out, and the runspace that works them off."""

    def __init__(self, runspace: Runspace, *, fragment_bytes: int) -> None:
        self.stream = Stream(self)
        self._server = ServerPool()
        self._runspace = runspace
        self._free = asyncio.Lock()
        self._fragment_bytes = fragment_bytes
        self._streams: dict[uuid.UUID, Stream] = {}

    def feed(self, data: bytes) -> None:
        """Take in fragments; a message that is whole is acted on. ValueError for what is none."""
        try:
            self._server.receive_data(PSRPPayload(data, StreamType.default, None))
            while (event := self._server.next_event()) is not None:
                if isinstance(event, CreatePipelineEvent):
                    self._streams[event.pipeline_id].begin(self._run(event))
        except (PSRPCoreError, KeyError, IndexError, AttributeError) as problem:
            raise ValueError("no PowerShell remoting message") from problem
        self._flush()

    def pipeline(self, pipeline_id: str) -> "Stream":
        """A new pipeline, whose messages are fed to it."""
        known = uuid.UUID(pipeline_id)
        ServerPipeline(self._server, known)
        self._streams[known] = stream = Stream(self)
        return stream

    async def _run(self, event: CreatePipelineEvent) -> None:
        pipeline = self._server.pipeline_table[event.pipeline_id]
        stream = self._streams[event.pipeline_id]
        async with self._free:  # one runspace: one pipeline at a time
            pipeline.start()
            try:
                for value in await self._runspace.run(_invocations(event)):
                    pipeline.write_output(value)
                pipeline.complete()
            except CommandFailed as failure:
                pipeline._change_state(State.Failed, error=_record(failure))
        self._flush()
        stream.finish()

    def _flush(self) -> None:
        """Hand out what is to be sent, in whole fragments, each to where it belongs."""
        while (payload := self._server.data_to_send(self._fragment_bytes)) is not None:
            stream = self._streams.get(payload.pipeline_id) if payload.pipeline_id else self.stream
            if stream is not None:
                stream.put(payload.data)


class Stream:
    """The pool's own messages or a pipeline's, looking like a process to the shell."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._outputs: asyncio.Queue[Output] = asyncio.Queue()
        self._work: asyncio.Task[None] | None = None

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = asyncio.create_task(work, name="pipeline")

    def put(self, data: bytes) -> None:
        self._outputs.put_nowait(Output(stdout=data))

    def finish(self) -> None:
        self._outputs.put_nowait(Output(exit_code=0))

    async def write(self, data: bytes, *, end: bool) -> None:
        """Fragments, whether they begin a message or go on with one."""
        self._pool.feed(data)

    async def read(self) -> Output:
        return await self._outputs.get()

    async def kill(self) -> None:
        if self._work is not None:
            self._work.cancel()


def _invocations(event: CreatePipelineEvent) -> tuple[Invocation, ...]:
    return tuple(
        Invocation(
            text=str(command.command_text),
            is_script=bool(command.is_script),
            parameters=tuple((name, plain(value)) for name, value in command.parameters),
        )
        for command in event.pipeline.commands
    )


def plain(value: Any) -> Any:
    """The value as Python's own; psrpcore's are subclasses that remember .NET's types."""
    match value:
        case bool() | None:
            return value
        case int():
            return int(value)
        case str():
            return str(value)
        case Mapping():
            return {str(name): plain(one) for name, one in value.items()}
        case Sequence():
            return [plain(one) for one in value]
    raise ValueError(f"a value of type {type(value).__name__}")


def _record(failure: CommandFailed) -> ErrorRecord:
    exception = NETException(Message=str(failure), HResult=-2146233087)
    exception.PSObject.type_names = [failure.exception_type, *exception.PSTypeNames]
    return ErrorRecord(
        Exception=exception,
        CategoryInfo=ErrorCategoryInfo(
            Category=ErrorCategory[failure.category],
            Reason=failure.exception_type.rpartition(".")[2],
        ),
        FullyQualifiedErrorId=failure.error_id,
    )
