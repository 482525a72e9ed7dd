"""The page, in a real browser: Debian's chromium, headless."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from swf_worker import ActivityContext, activity
from swf_worker.local import Canceled, Completed
from tests.operating.conftest import Served, get

pytestmark = pytest.mark.full
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EVIL = "<img src=x onerror=\"document.title='taken over'\"><script>alert(1)</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("NO BROWSER: the page is not tested (apt install chromium)")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def served(served: Served) -> Iterator[Served]:
    """In a thread of its own: the browser's driver has its event loop in the main one."""
    with ThreadPoolExecutor(1) as beside:

        @contextmanager
        def serve(*activities: Any) -> Iterator[Any]:
            context = served(*activities)
            try:
                yield beside.submit(context.__enter__).result()
            finally:
                beside.submit(context.__exit__, None, None, None).result()

        yield serve


class Opened:
    """The page in a window, with what the browser complained of and what it asked for."""

    def __init__(self, browser: Any, url: str, width: int = 1200, scheme: str = "light") -> None:
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme
        )
        self.page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"{url}/")
        self.page.wait_for_selector(".card")

    def close(self) -> None:
        self._context.close()


def test_it_is_live_and_says_what_runs(browser, served, quick_swf):
    with served() as (_, url):
        opened = Opened(browser, url)
        page = opened.page
        assert "Nothing is running" in page.inner_text(".card")
        waiting = quick_swf.schedule("Work", "1", "wait")
        page.wait_for_selector("text=1 of 10 slots used")
        page.wait_for_selector('text={"page":7}')
        assert waiting.workflow_id in page.inner_text(".card")
        assert page.title().startswith("1 running")
        assert page.inner_text("#link") == "live"
        waiting.request_cancel()
        assert waiting.outcome() == Canceled()
        page.wait_for_selector("text=The last 1 that ended")
        page.click("text=The last 1 that ended")
        page.wait_for_selector("text=Canceled")
        page.wait_for_timeout(2500)
        assert page.is_visible("text=Canceled"), "what was opened stays open"
        assert {each.removeprefix(url) for each in opened.asked} <= {"/", "/status", "data:,"}
        assert opened.complaints == []
        opened.close()


def test_it_says_when_the_worker_is_gone(browser, served):
    with served() as (worker, url):
        opened = Opened(browser, url)
        worker.request_stop()
        worker.wait(20)
    opened.page.wait_for_selector("text=not answering")
    opened.close()


def test_on_a_phone_nothing_is_cut_off_in_light_or_dark(browser, served, quick_swf):
    with served() as (_, url):
        assert quick_swf.schedule("Later", "2", 5).outcome() == Completed("5")
        waiting = quick_swf.schedule("Work", "1", "wait")
        waiting.wait_for_heartbeats()
        grounds = set()
        for scheme in ("light", "dark"):
            opened = Opened(browser, url, width=360, scheme=scheme)
            opened.page.click("text=The last")
            opened.page.click("text=Options")
            wide = opened.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360
            grounds.add(opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))
            opened.close()
        assert len(grounds) == 2
        waiting.request_cancel()
        waiting.outcome()


def test_no_worker_process_is_said_and_no_lost_connection(browser, served):
    """As under a supervisor whose processes all have crashed."""
    with served() as (_, url):
        opened = Opened(browser, url)
        opened.page.route("**/status", lambda route: route.fulfill(json={"workers": []}))
        opened.page.wait_for_selector("text=no worker process runs")
        assert opened.page.inner_text("#link") == "live"
        assert opened.complaints == []
        opened.close()


def test_long_words_leave_room_for_the_others(browser, served, quick_swf):
    with served() as (_, url):
        waiting = quick_swf.schedule("Work", "1", "wait")
        waiting.wait_for_heartbeats()
        told = get(url, "/status").json
        (task,) = told["running"]
        task["activity_type"]["name"] = task["workflow_id"] = task["activity_id"] = "L" * 256
        task["heartbeat"]["details"] = "d" * 2048
        opened = Opened(browser, url)
        opened.page.route("**/status", lambda route: route.fulfill(json=told))
        opened.page.wait_for_selector("text=dddd")
        widths = opened.page.evaluate(
            "[...document.querySelectorAll('tbody td')].map(cell => cell.offsetWidth)"
        )
        heights = opened.page.evaluate(
            "[...document.querySelectorAll('tbody tr')].map(row => row.offsetHeight)"
        )
        assert min(widths) > 60
        assert max(heights) < 400
        opened.close()
        waiting.request_cancel()
        waiting.outcome()


def test_what_a_handler_says_is_text(browser, served, quick_swf):
    go_on = threading.Event()

    @activity(name="Evil", version="1", heartbeat_interval=0.1)
    def evil(context: ActivityContext) -> None:
        context.heartbeat(EVIL)
        go_on.wait(30)

    with served(evil) as (_, url):
        scheduled = quick_swf.schedule("Evil", "1")
        scheduled.wait_for_heartbeats()
        opened = Opened(browser, url)
        opened.page.wait_for_selector("text=<img src=x")
        assert "taken over" not in opened.page.title()
        assert opened.page.query_selector("td img") is None
        opened.close()
        go_on.set()
        scheduled.outcome()
