"""The inference thread: latest requests win, clients take turns, images interrupt jobs."""

import json
import queue
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stylegen.errors import UserError
from stylegen.viewer.inference import Abandoned, Client, Inference, Job
from stylegen.viewer.wire import Answer, Request, parse_request

SECONDS = 20.0


class Page:
    """A client that reads its answers when the test does."""

    def __init__(self, inference: Inference) -> None:
        self.inference, self.answers = inference, queue.Queue()  # type: ignore[var-annotated]
        self.client = Client(self.answers.put)
        inference.connect(self.client)

    def request(self, number: int, kind: str = "image", slot: str = "image") -> None:
        self.inference.submit(self.client, Request(kind, slot, number))

    def read(self) -> dict[str, Any]:
        data = self.answers.get(timeout=SECONDS)
        self.inference.sent(self.client)
        return json.loads(data[4 : 4 + struct.unpack("<I", data[:4])[0]])


class Handler:
    """Records what it answers; waits at `gate` in each request, and at each pause of a job."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int]] = []
        self.gate = threading.Semaphore(0)
        self.busy = threading.Semaphore(0)

    def __call__(self, job: Job) -> Answer:
        request = job.request
        self.busy.release()
        assert self.gate.acquire(timeout=SECONDS)
        if request.kind == "bad":
            raise UserError("this", rule="is refused", fix="Use that")
        if request.kind == "bug":
            raise ZeroDivisionError
        if request.kind == "nan":
            return job.answer("done", value=float("nan"))
        try:
            for _ in range(3 if request.slot == "job" else 0):
                job.pause()
        except Abandoned:
            self.log.append(("abandoned", request.id))
            raise
        self.log.append((request.slot, request.id))
        return job.answer("done")


@contextmanager
def running() -> Iterator[tuple[Handler, Inference]]:
    handler = Handler()
    inference = Inference(handler)
    inference.start()
    try:
        yield handler, inference
    finally:
        handler.gate.release(10_000)
        inference.close()


def test_the_latest_request_wins() -> None:
    with running() as (handler, inference):
        page = Page(inference)
        page.request(0)
        assert handler.busy.acquire(timeout=SECONDS)
        for number in range(1, 1000):
            page.request(number)
        handler.gate.release(2)
        assert [page.read()["id"], page.read()["id"]] == [0, 999]
        assert len(page.client.waiting) == 0


def test_clients_take_turns() -> None:
    with running() as (handler, inference):
        greedy, modest = Page(inference), Page(inference)
        greedy.request(0)
        assert handler.busy.acquire(timeout=SECONDS)
        greedy.request(1)
        modest.request(100)
        handler.gate.release(1)
        greedy.read()
        assert handler.busy.acquire(timeout=SECONDS)
        greedy.request(2)
        handler.gate.release(5)
        assert modest.read()["id"] == 100
        assert [n for _, n in handler.log[:2]] == [0, 100]


def test_urgent_requests_interrupt_others() -> None:
    with running() as (handler, inference):
        worker, page = Page(inference), Page(inference)
        worker.request(1, slot="job")
        assert handler.busy.acquire(timeout=SECONDS)
        page.request(3, slot="grid")
        page.request(2)
        handler.gate.release(3)
        worker.read()
        page.read()
        assert handler.log == [("image", 2), ("grid", 3), ("job", 1)]


def test_a_job_ends_with_its_client_or_by_canceling() -> None:
    with running() as (handler, inference):
        page, other = Page(inference), Page(inference)
        page.request(1, slot="job")
        assert handler.busy.acquire(timeout=SECONDS)
        inference.cancel(page.client)
        handler.gate.release(1)
        assert page.read()["kind"] == "abandoned"
        page.request(2, slot="job")
        assert handler.busy.acquire(timeout=SECONDS)
        inference.disconnect(page.client)
        handler.gate.release(1)
        other.request(3)
        handler.gate.release(1)
        assert other.read()["id"] == 3
        assert handler.log == [("abandoned", 1), ("abandoned", 2), ("image", 3)]


def test_errors_are_answers() -> None:
    with running() as (handler, inference):
        page = Page(inference)
        handler.gate.release(4)
        page.request(1, kind="bad")
        assert page.read()["message"] == "this: is refused. Use that"
        for number, kind in ((2, "bug"), (3, "nan")):  # JSON has no NaN
            page.request(number, kind=kind)
            assert page.read()["kind"] == "error"
        page.request(4)
        assert page.read()["kind"] == "done"


@pytest.mark.parametrize("field", ["kind", "slot", "id"])
@pytest.mark.parametrize("value", [[], {}, None, True, 0.5])
def test_messages_with_other_types_are_refused(field: str, value: object) -> None:
    message = {"kind": "image", "slot": "image", "id": 1}
    assert parse_request(json.dumps(message)) == Request("image", "image", 1)
    with pytest.raises(UserError, match="Reload the page"):
        parse_request(json.dumps(message | {field: value}))


def test_a_client_that_does_not_read_gets_two_answers() -> None:
    with running() as (handler, inference):
        stuck, page = Page(inference), Page(inference)
        handler.gate.release(100)
        for number in range(10):
            stuck.request(number)
            page.request(100 + number)
            page.read()
        assert stuck.client.unsent <= 2
        assert len([n for _, n in handler.log if n < 100]) <= 2
