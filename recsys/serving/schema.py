"""What is asked and answered, with its types: `/openapi.json` is made of these."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from recsys.serving.limits import CHARACTERS, HISTORY, QUERIES, K

ItemId = Annotated[str, Field(max_length=CHARACTERS, coerce_numbers_to_str=True)]
Query = Annotated[str, Field(max_length=CHARACTERS)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]


class Question(BaseModel):
    """Someone to recommend for."""

    model_config = ConfigDict(extra="forbid")

    history: list[ItemId] = Field(default=[], max_length=HISTORY, description="Ids of the items clicked, oldest first.")
    queries: list[Query] = Field(default=[], max_length=QUERIES, description="What was typed since the last click.")
    k: int = Field(default=10, ge=1, le=K, description="Number of items.")
    exclude_seen: bool = Field(default=True, description="Leave out the items of the history.")
    unknown: Literal["raise", "drop"] = Field(
        default="drop", description="What becomes of ids that the model does not know."
    )
    timestamps: list[Seconds] | None = Field(
        default=None, max_length=HISTORY, description="When each item was clicked, in seconds by any clock."
    )
    now: Seconds | None = Field(default=None, description="The time of the request by the same clock.")
    candidates: list[ItemId] | None = Field(
        default=None, max_length=HISTORY, description="Recommend none but these items."
    )
    explain: bool = Field(default=False, description="Take each score apart.")


class QueryPart(BaseModel):
    """One query's share of a score."""

    query: str
    adds: float = Field(description="The score less that without this query.")


class Parts(BaseModel):
    """What a score is made of: `history + searches`, and `id + content`, are each exactly the score."""

    history: float = Field(description="The score without the queries.")
    searches: float = Field(description="What the queries add, all together.")
    queries: list[QueryPart] = Field(description="What each adds to the others; they interact, no total is theirs.")
    id: float | None = Field(description="By the item's own vector; null where scores are no dot products.")
    content: float | None = Field(description="By its title and categories; null where they are not read.")


class Recommended(BaseModel):
    """One item of an answer."""

    item_id: str
    title: str | None = Field(description="Null where the server knows none.")
    score: float
    explanation: Parts | None = None


class Answer(BaseModel):
    """Items in rank order, and what was done with the question to get there."""

    items: list[Recommended]
    unknown: list[str] = Field(description="Ids that the model does not know; they had no influence.")
    reason: Literal["model", "popularity"] = Field(description='"popularity" when there was nothing to go by.')
    ignored_queries: bool = Field(description="Whether queries were given to a model that does not read them.")


class Item(BaseModel):
    """One item that the model knows."""

    item_id: str
    title: str | None
    popularity: int = Field(description="Clicks in the training data.")


class Items(BaseModel):
    """Some of the items, the most popular first, or those that were asked for by id."""

    items: list[Item]
    total: int = Field(description="How many there are to the same words.")


class Health(BaseModel):
    """What is being served."""

    status: Literal["ok"] = "ok"
    model: str
    items: int
    titles: bool = Field(description="Whether the server knows the titles of items.")
    reads_queries: bool
    metrics: dict[str, float] = Field(description="NDCG and recall of the model, as far as they were measured.")


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="One sentence.")
