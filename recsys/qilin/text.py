"""Qilin's texts as atomic files can hold them: they come with tabs, line breaks, quotes and emoji."""

import polars as pl


def normalise(text: pl.Expr) -> pl.Expr:
    """NFKC without white space and control characters; null becomes "".

    Chinese needs no spaces, and the release has removed them from Latin queries too ("macbookair").
    """
    return _unquoted(text.fill_null("").str.normalize("NFKC")).str.replace_all(r"[\s\p{Cc}]+", "")


def characters(text: pl.Expr) -> pl.Expr:
    """The normalised text with its characters (code points) separated by spaces."""
    # An empty pattern matches on either side of every character; a list of them would cost three times the memory.
    return normalise(text).str.replace_all("", " ").str.strip_chars(" ")


def token(text: pl.Expr) -> pl.Expr:
    """One token: white space becomes "_", null becomes ""."""
    return _unquoted(text.fill_null("").str.strip_chars()).str.replace_all(r"[\s\p{Cc}]+", "_")


def _unquoted(text: pl.Expr) -> pl.Expr:
    # RecBole reads through pandas, for which a double quote at the start of a field swallows tabs up to the next one.
    return text.str.replace_all('"', "'", literal=True)
