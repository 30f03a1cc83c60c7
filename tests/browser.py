"""Chromium without a window, driven over two pipes: no driver, no port, no network.

https://chromedevtools.github.io/devtools-protocol/ tells what can be asked.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAMS = (
    *("chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome-stable", "google-chrome"),
)
"""Names under which a Chromium may be installed."""

ARGUMENTS = (
    *("--headless", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run", "--disable-gpu"),
    *("--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--mute-audio"),
    # No name is found: a page that asks for something gets an error, which is seen.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)

SECONDS = 60
"""Within which the browser must answer."""


def find_program() -> str | None:
    """Where a Chromium is; None if there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """A Chromium that runs, and one page of it.

    Args:
        program: The Chromium.
        profile: An empty folder for what it keeps.
    """

    def __init__(self, program: str, profile: Path) -> None:
        (theirs_in, self._out), (self._in, theirs_out) = _pipe(), _pipe()
        arguments = [program, *ARGUMENTS, f"--user-data-dir={profile}", "about:blank"]
        quiet = os.open(os.devnull, os.O_RDWR)
        ends = ((quiet, 0), (quiet, 1), (quiet, 2), (theirs_in, 3), (theirs_out, 4))
        actions = [(os.POSIX_SPAWN_DUP2, mine, theirs) for mine, theirs in ends]
        # A group of its own, so that its helpers end with it.
        self._process = os.posix_spawn(
            program, arguments, os.environ, file_actions=actions, setpgroup=0
        )
        for end in (quiet, theirs_in, theirs_out):
            os.close(end)
        self._unread, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []

    def open(self) -> None:
        """Open the page and listen to what it says and asks for."""
        [target, *_] = [
            one for one in self.ask("Target.getTargets")["targetInfos"] if one["type"] == "page"
        ]
        found = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = found["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network", "DOM", "CSS"):
            self.ask(f"{part}.enable")

    def close(self) -> None:
        """End the browser with all its processes."""
        for end in (self._in, self._out):
            os.close(end)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)

    def ask(self, method: str, **values: object) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come meanwhile are kept."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        _write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        found: dict[str, Any] = answer["result"]
        return found

    def wait_for(self, method: str) -> None:
        """Wait until an event has come."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + SECONDS
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], max(0, until - time.monotonic()))
            more = os.read(self._in, 1 << 20) if ready else b""
            if not more:
                raise AssertionError(
                    "the browser does not answer" if ready else "it takes too long"
                )
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def look_at(
        self, width: int, height: int = 900, *, scheme: str = "light", medium: str = "screen"
    ) -> None:
        """Make the window so many CSS pixels wide, in light or dark, on screen or on paper."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media=medium, features=features)

    def go(self, page: Path) -> None:
        """Open a file and wait until it is there."""
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        self.wait_for("Page.loadEventFired")
        self.run("document.fonts.ready.then(() => 1)")

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        found = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression[:200]}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def requests(self) -> list[str]:
        """What the page has asked for since it was opened."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[dict[str, Any]]:
        """What stands in the console, errors that nothing caught among it."""
        kinds = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
        return [event for event in self.events if event.get("method") in kinds]

    def picture(self, *, whole: bool = False) -> bytes:
        """What is seen now, or the whole page, as PNG."""
        found = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])

    def paper(self) -> bytes:
        """The page as a PDF on A4."""
        found = self.ask("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        return base64.b64decode(found["data"])


@contextlib.contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """A Chromium for as long as the block lasts."""
    folder = tempfile.mkdtemp(prefix="chromium-")
    browser = Browser(program, Path(folder))
    try:
        browser.open()
        yield browser
    finally:
        browser.close()
        shutil.rmtree(folder, ignore_errors=True)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are not among the first ten, where they would be written over."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _write(end: int, data: bytes) -> None:
    while data:
        data = data[os.write(end, data) :]
