"""A headless Chromium that is told what to do over a pipe (the DevTools protocol), with nothing to install."""

import base64
import json
import os
import queue
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60  # seconds; a busy machine is no bug


class Chromium:
    """The browser; a context that ends it."""

    def __init__(self, profile: Path) -> None:
        command_out, command_in = os.pipe()
        answer_out, answer_in = os.pipe()

        def at_3_and_4() -> None:
            read, write = os.dup(command_out), os.dup(answer_in)  # beyond 4, whatever was free
            os.dup2(read, 3)
            os.dup2(write, 4)

        assert PROGRAM is not None
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
        quiet = ["--disable-background-networking", "--no-first-run", "--disable-extensions"]
        self._process = subprocess.Popen(
            [PROGRAM, *flags, *quiet, f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=at_3_and_4,
        )
        os.close(command_out)
        os.close(answer_in)
        self._in = os.fdopen(command_in, "wb", buffering=0)
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._last = 0
        self.events: list[dict[str, Any]] = []
        threading.Thread(target=self._listen, args=(os.fdopen(answer_out, "rb"),), daemon=True).start()

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        self._in.close()

    def _listen(self, pipe: Any) -> None:
        rest = b""
        while part := pipe.read1(1 << 16):
            *messages, rest = (rest + part).split(b"\0")
            for message in messages:
                self._said.put(json.loads(message))

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """What the browser answers; events that come before are kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self._in.write(json.dumps(message).encode() + b"\0")
        while (answer := self._said.get(timeout=PATIENCE)).get("id") != self._last:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def wait(self, method: str, session: str) -> None:
        """Until an event has come."""
        while not any(e.get("method") == method and e.get("sessionId") == session for e in self.events):
            self.events.append(self._said.get(timeout=PATIENCE))

    def open(self, url: str, width: int, height: int = 900, dark: bool = False) -> "Tab":
        """A page in a window of that size, a narrow one as on a phone."""
        return Tab(self, url, width, height, dark)


class Tab:
    """An open page, loaded."""

    def __init__(self, browser: Chromium, url: str, width: int, height: int, dark: bool) -> None:
        self._browser, self._width = browser, width
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[theme])
        browser.events.clear()
        self._call("Page.navigate", url=url)
        browser.wait("Page.loadEventFired", self._session)

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def _events(self, *methods: str) -> list[dict[str, Any]]:
        self._call("Runtime.evaluate", expression="0")  # whatever is under way has been said by then
        return [e["params"] for e in self._browser.events if e.get("method") in methods]

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """What stands on the console, and what was thrown."""
        return self._events("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for, that of the page among them."""
        return [event["request"]["url"] for event in self._events("Network.requestWillBeSent")]

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        return self._call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, file: Path, most: int = 16_000) -> None:
        """The whole page, as far as `most` pixels down."""
        height = min(self.evaluate("document.documentElement.scrollHeight"), most)
        clip = {"x": 0, "y": 0, "width": self._width, "height": height, "scale": 1}
        picture = self._call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(picture["data"]))

    def pdf(self, file: Path) -> None:
        """The page as it is printed on A4."""
        paper = self._call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=False)
        file.write_bytes(base64.b64decode(paper["data"]))
