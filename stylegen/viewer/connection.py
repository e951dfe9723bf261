"""One WebSocket: requests in, answers out."""

import asyncio
import contextlib
import time

from aiohttp import WSMsgType, web

from stylegen.errors import UserError
from stylegen.viewer.inference import MAX_UNSENT, Client, Inference
from stylegen.viewer.wire import MAX_MESSAGE, Answer, parse_request

MAX_RATE = 300  # messages per second; a faster client is read more slowly
SEND_SECONDS = 30.0  # a client that takes longer to read an answer is gone
HEARTBEAT = 20.0


class Connection:
    """Carries requests of a page to the inference thread, and its answers back.

    Args:
        inference: thread that answers the requests.
    """

    def __init__(self, inference: Inference) -> None:
        self._inference, self._loop = inference, asyncio.get_running_loop()
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._client = Client(self._send)
        self._socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE, heartbeat=HEARTBEAT, compress=False)

    async def run(self, request: web.Request) -> web.WebSocketResponse:
        """Serve until the page or the server closes the connection."""
        await self._socket.prepare(request)
        self._inference.connect(self._client)
        sender = asyncio.create_task(self._send_answers())
        try:
            await self._read()
        finally:
            self._inference.disconnect(self._client)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender
        return self._socket

    async def close(self) -> None:
        """Notify the page that the server is shutting down."""
        await self._socket.close(code=1001, message=b"the server ends")

    async def _read(self) -> None:
        allowance, last = float(MAX_RATE), time.monotonic()
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            now = time.monotonic()
            allowance, last = min(MAX_RATE, allowance + (now - last) * MAX_RATE) - 1, now
            if allowance < 0:  # the socket's buffer fills up, and the client waits
                await asyncio.sleep(1 / MAX_RATE)
            self._take(message.data)

    def _take(self, text: str) -> None:
        try:
            request = parse_request(text)
        except UserError as error:
            if self._client.unsent < MAX_UNSENT:  # a flood of errors gets few answers
                self._inference.deliver(self._client, Answer({"kind": "error", "slot": "", "message": str(error)}))
            return
        if request.kind == "cancel":
            self._inference.cancel(self._client)
        else:
            self._inference.submit(self._client, request)

    def _send(self, data: bytes) -> None:
        """Called in the inference thread and in the loop's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._answers.put_nowait, data)

    async def _send_answers(self) -> None:
        while True:
            data = await self._answers.get()
            try:
                await asyncio.wait_for(self._socket.send_bytes(data), SEND_SECONDS)
            except (ConnectionError, TimeoutError, RuntimeError):
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(self._socket.close(), 1)
                return
            self._inference.sent(self._client)
