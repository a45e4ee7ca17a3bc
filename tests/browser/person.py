"""What a person does to a page: looks, clicks, types, and waits until something shows."""

import json
import time
from typing import Any

from chromium import PATIENCE, Tab

KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), " ": (32, " ")}


class Person:
    """Somebody in front of an open page."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    def until(self, condition: str) -> None:
        """Wait for a JavaScript expression to be true."""
        end = time.monotonic() + PATIENCE
        while not self.tab.evaluate(condition):
            assert time.monotonic() < end, f"never true: {condition}; the page reads: {self.reads('body')}"
            time.sleep(0.02)

    def reads(self, selector: str) -> str:
        """The text of the first such element as it shows."""
        return self.tab.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the first such element."""
        box = f"document.querySelector({json.dumps(selector)})"
        self.tab.evaluate(f"{box}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        x, y = self.tab.evaluate(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({box}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, *keys: str) -> None:
        """One key after another, such as "Tab", "Enter" or "a"."""
        for key in keys:
            code, text = KEYS.get(key, (0, key))
            event = {"key": key, "windowsVirtualKeyCode": code}
            self._call("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
            self._call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        """Into whatever has the focus."""
        self.press(*text)

    def _call(self, method: str, **params: Any) -> None:
        self.tab._call(method, **params)
