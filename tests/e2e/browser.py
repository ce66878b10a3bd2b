"""A headless Chromium, driven through its DevTools protocol over a pair of pipes: no driver, no other package."""
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe")
TIMEOUT = 120
# Resolves with what `look` gives as soon as it is something; true for an element.
WAIT = """(look) => new Promise((done) => {
  const watch = new MutationObserver(() => see());
  const see = () => { const found = look(); if (found) { watch.disconnect(); done(found instanceof Node || found); } return found; };
  if (!see()) watch.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
})"""


class Browser:
    """One page. `requests` has every address it asked for, `complaints` its console's warnings and errors and its uncaught exceptions."""

    def __init__(self, folder):
        child_in, self.write_end = os.pipe()
        self.read_end, child_out = os.pipe()
        self.process = subprocess.Popen(["bash", "-c", f'exec "$0" "$@" 3<&{child_in} 4>&{child_out}', CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
                                        pass_fds=(child_in, child_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(child_in)
        os.close(child_out)
        self.waiting, self.last_id, self.session = b"", 0, None
        self.requests, self.complaints, self.loaded = [], [], False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)

    def message(self):
        deadline = time.monotonic() + TIMEOUT
        while b"\0" not in self.waiting:
            ready, _, _ = select.select([self.read_end], [], [], max(0, deadline - time.monotonic()))
            more = os.read(self.read_end, 1 << 16) if ready else b""
            if not more:
                raise AssertionError("the browser is gone, or says nothing")
            self.waiting += more
        text, self.waiting = self.waiting.split(b"\0", 1)
        return json.loads(text)

    def take_event(self, event):
        what, facts = event["method"], event.get("params", {})
        if what == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])
        elif what == "Page.loadEventFired":
            self.loaded = True
        elif what == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(facts["exceptionDetails"]))
        elif what == "Runtime.consoleAPICalled" and facts["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(facts["args"]))
        elif what == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.complaints.append(facts["entry"]["text"])

    def call(self, method, **params):
        self.last_id += 1
        order = {"id": self.last_id, "method": method, "params": params, **({"sessionId": self.session} if self.session else {})}
        os.write(self.write_end, json.dumps(order).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.last_id:
                assert "error" not in answer, answer
                return answer["result"]
            if "method" in answer:
                self.take_event(answer)

    def look_like(self, width, height, scheme="light"):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def go(self, url):
        self.loaded = False
        self.call("Page.navigate", url=url)
        while not self.loaded:
            answer = self.message()
            if "method" in answer:
                self.take_event(answer)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression):
        return self.evaluate(f"({WAIT})(() => {expression})")


@pytest.fixture
def browser():
    if not CHROMIUM:
        pytest.skip("Chromium is not installed: the page is not looked at in a browser")
    with tempfile.TemporaryDirectory(prefix="duplex-browser-", ignore_cleanup_errors=True) as folder, contextlib.closing(Browser(folder)) as made:
        yield made
