"""The inference thread: the only one that uses the models.

Each client has at most one waiting request in each slot; a newer one replaces it. Clients take turns. Urgent requests,
such as the image under a slider, interrupt others at their pauses. A client that does not read its answers gets no
further ones.
"""

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from stylegen.errors import UserError, printable
from stylegen.viewer.wire import LEAST_URGENT, URGENCY, Answer, Request

MAX_UNSENT = 2  # answers of a client
REPLACEABLE = ("grid", "map", "layers", "keyframes")  # slots in which a newer request ends the running one
_SECONDS = 60.0  # for the thread to end


class Abandoned(Exception):
    """The request need not be answered: its client is gone, it was canceled or replaced, or the server ends."""


class Client:
    """A connection, as the inference thread sees it.

    Args:
        send: takes an encoded answer; called in the inference thread; must not block.

    Attributes:
        waiting: the request in each slot.
        unsent: number of answers that `send` took and `Inference.sent` did not confirm.
        canceled: whether the running job should end.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.send = send
        self.waiting: dict[str, Request] = {}
        self.unsent = 0
        self.gone = self.canceled = False


class Job:
    """A request that is being answered."""

    def __init__(self, inference: "Inference", client: Client, request: Request) -> None:
        self.client, self.request = client, request
        self._inference = inference

    def pause(self) -> None:
        """Answer the more urgent requests that wait, one of each client and urgency.

        Raises:
            Abandoned: see there.
        """
        self._inference.pause(self)

    def report(self, kind: str, payload: bytes = b"", **fields: Any) -> None:
        """Send an intermediate answer, unless earlier ones are still unsent."""
        if self.client.unsent < MAX_UNSENT:
            self._inference.deliver(self.client, self.answer(kind, payload, **fields))

    def answer(self, kind: str, payload: bytes = b"", **fields: Any) -> Answer:
        """An answer to this request."""
        return Answer({"kind": kind, "slot": self.request.slot, "id": self.request.id, **fields}, payload)


class Inference:
    """Runs `handle` on one request at a time.

    Args:
        handle: makes the answer, or raises UserError for what the client gets to read.
    """

    def __init__(self, handle: Callable[[Job], Answer]) -> None:
        self._handle = handle
        self._clients: list[Client] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread at its next pause."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_SECONDS)

    def connect(self, client: Client) -> None:
        """Let a client take turns."""
        with self._changed:
            self._clients.append(client)

    def disconnect(self, client: Client) -> None:
        """Forget a client and its requests."""
        with self._changed:
            client.gone = True
            client.waiting.clear()
            self._clients.remove(client)

    def submit(self, client: Client, request: Request) -> None:
        """Put a request in its slot, in place of one that waits there."""
        with self._changed:
            client.waiting[request.slot] = request
            self._changed.notify()

    def cancel(self, client: Client) -> None:
        """End the client's job, running or waiting."""
        with self._changed:
            client.waiting.pop("job", None)
            client.canceled = True

    def sent(self, client: Client) -> None:
        """An answer has left."""
        with self._changed:
            client.unsent -= 1
            self._changed.notify()

    def deliver(self, client: Client, answer: Answer) -> None:
        """Hand an answer to its client."""
        self._send(client, answer.encode())

    def _send(self, client: Client, data: bytes) -> None:
        if not client.gone:
            with self._changed:
                client.unsent += 1
            client.send(data)

    def pause(self, job: Job) -> None:
        """See `Job.pause`."""
        slot = job.request.slot
        replaced = slot in REPLACEABLE and slot in job.client.waiting
        if self._closing or job.client.gone or replaced or (slot == "job" and job.client.canceled):
            raise Abandoned
        for urgency in range(URGENCY[slot]):
            self._answer_round(urgency)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or any(map(self._next, range(LEAST_URGENT + 1))))
            if self._closing:
                return
            for urgency in range(LEAST_URGENT):
                self._answer_round(urgency)
            if found := self._take(LEAST_URGENT):
                self._answer(*found)

    def _answer_round(self, urgency: int) -> None:
        """Answer requests of this urgency, at most one of each client."""
        for _ in range(len(self._clients)):
            if (found := self._take(urgency)) is None:
                return
            self._answer(*found)

    def _take(self, urgency: int) -> tuple[Client, Request] | None:
        """The next request, and its client at the end of the line."""
        with self._changed:
            found = self._next(urgency)
            if found is None:
                return None
            client, slot = found
            self._clients.remove(client)
            self._clients.append(client)
            if slot == "job":
                client.canceled = False
            return client, client.waiting.pop(slot)

    def _next(self, urgency: int) -> tuple[Client, str] | None:
        for client in self._clients:
            for slot in client.waiting:
                if URGENCY[slot] == urgency and client.unsent < MAX_UNSENT:
                    return client, slot
        return None

    def _answer(self, client: Client, request: Request) -> None:
        job = Job(self, client, request)
        try:
            data = self._handle(job).encode()
        except Abandoned:
            data = job.answer("abandoned").encode()
        except UserError as error:
            data = job.answer("error", message=str(error)).encode()
        except Exception as error:  # the server goes on
            traceback.print_exc(file=sys.stderr)
            data = job.answer("error", message=printable(f"{type(error).__name__}: {error}")[:500]).encode()
        self._send(client, data)
