"""The gateway side of a fake Discord: websockets that identify, beat, break off and resume."""

import json
import secrets
import zlib
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import WSCloseCode, web

from tests.fake_discord_faults import cut
from tests.fake_discord_records import JSON, DiscordState

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT = 0, 1, 2, 6, 7
INVALID_SESSION, HELLO, HEARTBEAT_ACK = 9, 10, 11
AUTHENTICATION_FAILED = 4004


class Connection:
    """One websocket. Like Discord, it sends a single zlib stream when the client asked for one."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.request = request
        self.socket = socket
        self._deflate = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None

    async def send(self, op: int, data: object = None, sequence: int | None = None, name: str = "") -> None:
        """Send one payload; a connection that is just going down is no error."""
        text = json.dumps({"op": op, "d": data, "s": sequence, "t": name or None})
        with suppress(ConnectionError):
            if self._deflate is None:
                await self.socket.send_str(text)
            else:
                packed = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
                await self.socket.send_bytes(packed)


@dataclass(eq=False)
class Session:
    """What outlives a connection: the events so far, so that a client can resume after a break."""

    shard: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    events: list[tuple[str, object]] = field(default_factory=list, repr=False)
    connection: Connection | None = field(default=None, repr=False)

    async def dispatch(self, name: str, data: object) -> None:
        self.events.append((name, data))
        if self.connection is not None:
            await self.connection.send(DISPATCH, data, len(self.events), name)

    async def replay(self, connection: Connection, after: int) -> None:
        """Send the missed events, also those that happen meanwhile, and only then go live."""
        position = after
        while position < len(self.events):
            name, data = self.events[position]
            position += 1
            await connection.send(DISPATCH, data, position, name)
        self.connection = connection


class Gateway:
    """Takes any number of clients. Two on the same shard both receive every event, as at Discord."""

    def __init__(self, state: DiscordState) -> None:
        self._state = state
        self._connections: list[Connection] = []
        self.sessions: list[Session] = []
        self.identifies: list[JSON] = []
        self.resumes: list[JSON] = []
        self.heartbeats = 0

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/gateway", self._connect)

    def live(self) -> list[Session]:
        return [session for session in self.sessions if session.connection is not None]

    async def dispatch(self, name: str, data: object, guild_id: int | None = None) -> None:
        """Send an event to the shard of its guild; direct messages belong to shard 0."""
        shard = (guild_id or 0) >> 22
        reached = [one for one in self.sessions if one.shard == shard % self._state.shard_count]
        if not reached:
            raise RuntimeError(f"nobody has identified who could receive {name}; await ready() first")
        for session in reached:
            await session.dispatch(name, data)

    async def drop(self, code: int | None = None) -> None:
        for connection in self._connections[:]:
            self._forget(connection)
            if code is None:
                cut(connection.request, reset=False)
            else:
                await connection.socket.close(code=code)

    async def ask_to_reconnect(self) -> None:
        for connection in self._connections[:]:
            await connection.send(RECONNECT)

    async def close(self) -> None:
        await self.drop(WSCloseCode.GOING_AWAY)

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, timeout=1.0)
        await socket.prepare(request)
        connection = Connection(request, socket)
        self._connections.append(connection)
        try:
            await connection.send(HELLO, {"heartbeat_interval": int(self._state.heartbeat_interval * 1000)})
            async for message in socket:
                await self._receive(connection, json.loads(message.data))
        finally:
            session = self._forget(connection)
            if session is not None and socket.close_code in (1000, 1001):
                # The client said goodbye: nobody is going to resume this.
                self.sessions.remove(session)
        return socket

    def _forget(self, connection: Connection) -> Session | None:
        with suppress(ValueError):
            self._connections.remove(connection)
        for session in self.live():
            if session.connection is connection:
                session.connection = None
                self._state.changes.happened()
                return session
        return None

    async def _receive(self, connection: Connection, payload: JSON) -> None:
        op, data = payload["op"], payload["d"]
        if op == HEARTBEAT:
            self.heartbeats += 1
            if self._state.acknowledge_heartbeats:
                await connection.send(HEARTBEAT_ACK)
        elif op in (IDENTIFY, RESUME):
            if data["token"] != self._state.token:
                await connection.socket.close(code=AUTHENTICATION_FAILED, message=b"Authentication failed.")
            elif op == IDENTIFY:
                await self._identify(connection, data)
            else:
                await self._resume(connection, data)
        self._state.changes.happened()

    async def _identify(self, connection: Connection, data: JSON) -> None:
        self.identifies.append(data)
        shard = data.get("shard", [0, 1])
        session = Session(shard[0], connection=connection)
        self.sessions.append(session)
        ready = {
            "v": 10,
            "user": self._state.bot_user.payload(),
            "guilds": [],
            "session_id": session.id,
            "resume_gateway_url": self._state.ws_url(),
            "shard": shard,
            "application": {"id": str(self._state.application_id), "flags": 0},
        }
        await session.dispatch("READY", ready)

    async def _resume(self, connection: Connection, data: JSON) -> None:
        self.resumes.append(data)
        session = next((one for one in self.sessions if one.id == data["session_id"]), None)
        if session is None:
            await connection.send(INVALID_SESSION, False)
            return
        await session.replay(connection, after=data["seq"])
        await session.dispatch("RESUMED", {})
