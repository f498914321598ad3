"""A real browser: headless Chromium, in which a page is opened from disk, or from a server on loopback.

Whatever else it asks of the network, and whatever its console complains of, fails the test at the end.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""So that it asks nothing of a network by itself; and tests may run as root."""
LONGEST_MS = 20_000
"""After which a page that does not come to what is waited for has failed, on a busy machine too."""
DESKTOP, PHONE = (1000, 900), (400, 860)


@dataclass
class Opened:
    """A page that is open. `complaints` are what its console said, `asked` the addresses that it wanted."""

    tab: "playwright.Page"
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def show(self, part: str) -> None:
        """Goes to a part of the page."""
        self.tab.click(f'.tabs a[data-part="{part}"]')
        self.tab.wait_for_selector(f"#part-{part}:not([hidden])")

    def texts(self, selector: str) -> list[str]:
        """What the visible elements there say."""
        return [each.inner_text() for each in self.tab.query_selector_all(selector) if each.is_visible()]

    def listed(self) -> list[str]:
        """The ids of the rows that are listed."""
        return [str(each.get_attribute("data-id")) for each in self.tab.query_selector_all("#list .rows button")]

    def settle(self, words: str) -> None:
        """Waits until the list says how many rows it has in these words."""
        self.tab.wait_for_function("words => document.getElementById('range')?.textContent.includes(words)", arg=words)

    def wait_open(self) -> None:
        """Waits until a row is open."""
        self.tab.wait_for_selector("#panel:not([hidden]) #fate")

    def wait_closed(self) -> None:
        self.tab.wait_for_selector("#panel", state="hidden")

    def expect_refusal(self, status: int = 409) -> None:
        """Takes it that the server has refused something, of which a browser complains by itself."""
        refused = [each for each in self.complaints if f"status of {status}" in each]
        assert len(refused) == 1
        self.complaints.remove(refused[0])

    @property
    def is_wider_than_its_window(self) -> bool:
        wide: bool = self.tab.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        return wide


class Browser:
    """Opens pages."""

    def __init__(self, chromium: "playwright.Browser") -> None:
        self._chromium = chromium

    @contextmanager
    def open(
        self, file: Path, place: str = "", size: tuple[int, int] = DESKTOP, scheme: str = "light"
    ) -> Iterator[Opened]:
        """Opens a file, at an id or a part."""
        with self._opened(f"{file.resolve().as_uri()}#{place}", size, scheme) as opened:
            yield opened
            assert {each.partition("#")[0] for each in opened.asked} == {file.resolve().as_uri()}

    @contextmanager
    def visit(self, address: str, place: str = "", size: tuple[int, int] = DESKTOP) -> Iterator[Opened]:
        """Opens the address of a server, at an id or a part; nothing else is asked."""
        with self._opened(f"{address}#{place}", size, "light") as opened:
            yield opened
            host = address.partition("?")[0]
            assert [each for each in opened.asked if not each.startswith(host)] == []

    @contextmanager
    def _opened(self, address: str, size: tuple[int, int], scheme: str) -> Iterator[Opened]:
        tab = self._chromium.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        tab.set_default_timeout(LONGEST_MS)
        opened = Opened(tab)
        tab.on("console", lambda message: opened.complaints.append(message.text))
        tab.on("pageerror", lambda error: opened.complaints.append(str(error)))
        tab.on("dialog", lambda dialog: (opened.complaints.append(dialog.message), dialog.dismiss()))
        tab.on("request", lambda request: opened.asked.append(request.url))
        tab.goto(address)
        tab.wait_for_selector("html[data-ready]")
        try:
            yield opened
            assert opened.complaints == []
        finally:
            tab.close()


@contextmanager
def start_browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as library:
        chromium = library.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            yield Browser(chromium)
        finally:
            chromium.close()
