"""Who is answered with whom, and when."""

import asyncio
import threading

import pytest

from recsys.serving.batching import Batcher, Busy


class Slow:
    """Answers with the square, once it is let go; keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, questions: list[int]) -> list[int | Exception]:
        self.batches.append(questions)
        self.begun.set()
        assert self.go.wait(60)
        return [ValueError(f"{question} is odd") if question % 2 else question**2 for question in questions]


async def underway(batcher: Batcher, slow: Slow, *questions: int) -> list[asyncio.Task]:
    """The first question is being answered while the others wait."""
    tasks = [asyncio.create_task(batcher.ask(questions[0]))]
    await asyncio.to_thread(slow.begun.wait)
    tasks += [asyncio.create_task(batcher.ask(question)) for question in questions[1:]]
    await asyncio.sleep(0)
    return tasks


def test_one_alone_is_answered_at_once() -> None:
    slow = Slow()
    slow.go.set()
    assert asyncio.run(Batcher(slow, 8, 8).ask(4)) == 16
    assert slow.batches == [[4]]


def test_what_is_asked_meanwhile_goes_together_and_everyone_gets_their_own() -> None:
    slow, told = Slow(), []

    async def ask() -> list[int]:
        batcher = Batcher(slow, 3, 8, lambda size, waiting: told.append((size, waiting)))
        tasks = await underway(batcher, slow, 2, 4, 6, 8, 10)
        slow.go.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(ask()) == [4, 16, 36, 64, 100]
    assert slow.batches == [[2], [4, 6, 8], [10]]
    assert told == [(1, 0), (3, 1), (1, 0)]


def test_what_is_wrong_with_one_question_is_told_to_its_asker_alone() -> None:
    slow = Slow()

    async def ask() -> list:
        tasks = await underway(Batcher(slow, 8, 8), slow, 2, 3, 4)
        slow.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = asyncio.run(ask())
    assert (first, third) == (4, 16)
    assert str(second) == "3 is odd"


def test_more_than_may_wait_are_sent_away_at_once() -> None:
    slow = Slow()

    async def ask() -> list[int]:
        batcher = Batcher(slow, 8, 2)
        tasks = await underway(batcher, slow, 2, 4, 6)
        with pytest.raises(Busy):
            await batcher.ask(8)
        slow.go.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(ask()) == [4, 16, 36]


def test_who_has_gone_before_the_batch_begins_costs_nothing() -> None:
    slow = Slow()

    async def ask() -> list[int]:
        batcher = Batcher(slow, 8, 8)
        tasks = await underway(batcher, slow, 2, 4, 6)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(tasks[1], 0)
        slow.go.set()
        return [await tasks[0], await tasks[2]]

    assert asyncio.run(ask()) == [4, 36]
    assert slow.batches == [[2], [6]]


def test_a_batch_that_fails_is_no_end() -> None:
    failures = iter([RuntimeError("out of memory")])

    def answer(questions: list[int]) -> list[int]:
        for failure in failures:
            raise failure
        return questions

    async def ask() -> int:
        batcher = Batcher(answer, 8, 8)
        with pytest.raises(RuntimeError, match="out of memory"):
            await batcher.ask(1)
        return await batcher.ask(2)

    assert asyncio.run(ask()) == 2
