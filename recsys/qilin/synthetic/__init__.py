"""Synthetic Qilins: one small enough to learn from, one with the published statistics, written by the same writer."""
