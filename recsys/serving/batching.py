"""Questions that come in at once are answered together; one that comes in alone waits for nobody."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Busy(Exception):
    """As many questions are waiting as may."""


class Batcher(Generic[Question, Answer]):
    """Gathers whatever is asked while a batch is being answered, and makes that the next batch.

    There is no window to wait for company: a lone question starts at once, and batches grow with the load by
    themselves. One thread computes, so that the event loop goes on accepting.
    """

    def __init__(
        self,
        answer: Callable[[list[Question]], Sequence[Answer | Exception]],
        largest: int,
        most_waiting: int,
        begun: Callable[[int, int], None] = lambda size, waiting: None,
    ) -> None:
        """Take the function that answers a batch, one answer or exception for each question, in their order.

        Args:
            answer: Runs in a thread of its own, never twice at a time.
            largest: Questions in one batch.
            most_waiting: Questions that may wait, those being answered not counted.
            begun: Told the size of each batch, and how many still wait.
        """
        self._answer = answer
        self._largest = largest
        self._most_waiting = most_waiting
        self._begun = begun
        self._waiting: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """The answer; whoever is cancelled before its batch begins is left out of it.

        Raises:
            Busy: too many are waiting.
            Exception: what `answer` returned for this question, or raised for its batch.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Busy
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while batch := self._next():
            questions = [question for question, _ in batch]
            self._begun(len(batch), len(self._waiting))
            answers: Sequence[Answer | Exception]
            try:
                answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, questions)
            except Exception as error:
                answers = [error] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():  # its asker gave up meanwhile
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        self._worker = None

    def _next(self) -> list[tuple[Question, asyncio.Future[Answer]]]:
        batch: list[tuple[Question, asyncio.Future[Answer]]] = []
        while self._waiting and len(batch) < self._largest:
            question, future = self._waiting.popleft()
            if not future.done():
                batch.append((question, future))
        return batch
