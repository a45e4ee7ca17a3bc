"""From a batch of questions to their answers: one pass through the model, titles put beside ids."""

from collections import defaultdict
from pathlib import Path

import torch

from recsys import atomic
from recsys.checkpoints.registry import headline
from recsys.errors import InputError
from recsys.recommender import Explanation, Recommendations, Recommender
from recsys.serving.catalogue import Catalogue
from recsys.serving.schema import Answer, Health, Parts, QueryPart, Question, Recommended


class Service:
    """A loaded checkpoint and the titles of its items."""

    def __init__(self, recommender: Recommender, catalogue: Catalogue) -> None:
        self._recommender, self.catalogue = recommender, catalogue

    @classmethod
    def load(cls, checkpoint: str, items: str | None = None, device: str = "cpu") -> "Service":
        """Load a checkpoint, and titles from an `.item` file, and answer once: whatever compiles or warms does so now.

        Raises:
            InputError: what `Recommender.from_pretrained` and `atomic.read_titles` refuse, a device that is not here.
        """
        try:
            torch.zeros(1, device=device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"--device {device}: nothing to compute on here ({str(error).splitlines()[0]})."
            ) from error
        recommender = Recommender.from_pretrained(checkpoint, device)
        titles = atomic.read_titles(Path(items)) if items else None
        service = cls(recommender, Catalogue(recommender.items, recommender.popularity, titles))
        service.answer([Question(history=list(recommender.items.tokens[:1]), queries=["a"])] * 2)
        return service

    @property
    def health(self) -> Health:
        """What is being served."""
        return Health(
            model=self._recommender.network.title,
            items=len(self._recommender.items) - 1,
            titles=self.catalogue.titled,
            reads_queries=self._recommender.network.uses_searches,
            metrics=headline(self._recommender.metrics),
        )

    def answer(self, questions: list[Question]) -> list[Answer | Exception]:
        """Answer each question, or say what is wrong with it; what is alike but for its user goes in one pass."""
        alike: dict[bool, list[int]] = defaultdict(list)
        answers: dict[int, Answer | Exception] = {}
        for i, question in enumerate(questions):
            if question.explain or question.candidates is not None:
                answers[i] = self._alone(question)
            else:
                alike[question.exclude_seen].append(i)
        for exclude_seen, rows in alike.items():
            asked = [questions[i] for i in rows]
            answers |= zip(rows, self._together(asked, exclude_seen), strict=True)
        return [answers[i] for i in range(len(questions))]

    def _together(self, asked: list[Question], exclude_seen: bool) -> list[Answer | Exception]:
        """One pass, with lists as long as the longest that is wanted; a list is the beginning of any longer one."""
        try:
            found = self._recommender.recommend_many(
                [question.history for question in asked],
                [question.queries for question in asked],
                k=max(question.k for question in asked),
                exclude_seen=exclude_seen,
                unknown="drop",
                timestamps=[question.timestamps for question in asked],
                now=[question.now for question in asked],
            )
        except InputError:  # of one of them: whose it is shows when each is asked alone
            return [self._alone(question) for question in asked]
        return [self._said(question, each) for question, each in zip(asked, found, strict=True)]

    def _alone(self, question: Question) -> Answer | Exception:
        try:
            found = self._recommender.recommend(
                question.history,
                question.queries,
                k=question.k,
                exclude_seen=question.exclude_seen,
                unknown=question.unknown,
                timestamps=question.timestamps,
                now=question.now,
                explain=question.explain,
                candidates=question.candidates,
            )
        except InputError as error:
            return error
        return self._said(question, found)

    def _said(self, question: Question, found: Recommendations) -> Answer | Exception:
        if found.unknown and question.unknown == "raise":
            return InputError(
                f"{len(found.unknown)} of {len(question.history)} items of the history are unknown to the model, the "
                f"first is {found.unknown[0]!r}."
            )
        parts: list[Parts | None] = [_parts(each) for each in found.explanations]
        parts = parts or [None] * question.k
        return Answer(
            items=[
                Recommended(item_id=item_id, title=self.catalogue.title(item_id), score=score, explanation=part)
                for item_id, score, part in zip(found.item_ids[: question.k], found.scores, parts, strict=False)
            ],
            unknown=found.unknown,
            reason=found.reason,
            ignored_queries=found.ignored_queries,
        )


def _parts(of: Explanation) -> Parts:
    return Parts(
        history=of.history,
        searches=of.searches,
        queries=[QueryPart(query=query, adds=adds) for query, adds in of.queries],
        id=of.id,
        content=of.content,
    )
