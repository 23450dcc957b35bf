"""A real browser for the tests: Chromium without a window, its clock of requests and its console kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def missing() -> str:
    """Why there is no browser here, or nothing."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "needs selenium: pip install selenium"
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"needs {program}: apt-get install chromium chromium-driver"
    return ""


class Browser:
    """Opens files and asks pages; `driver` is Selenium's."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--user-data-dir={profile}", "--window-size=1440,1000"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver: Any = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))

    def tell(self, command: str, **parts: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parts)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a JavaScript function's body; arguments[i] are the arguments."""
        return self.driver.execute_script(script, *arguments)

    def open(self, path: Path, width: int = 1440, dark: bool = False, media: str = "screen") -> None:
        """Open a file on paper of a width, light or dark; what was logged before is forgotten."""
        self.driver.get("about:blank")
        self.requests(), self.console()
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.driver.get(path.as_uri())

    def requests(self) -> list[str]:
        """The addresses asked for since this was last called."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def console(self) -> list[str]:
        """What the page wrote to its console since this was last called."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One browser for all tests of a worker; skips with the reason where there is none."""
    if missing():
        pytest.skip(missing())
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.driver.quit()
