"""The report in a real browser: no errors, no requests, tables that sort, fit for a phone, readable colours."""

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from analyses.report import write_report
from tests.worlds.browsing import CONTRAST, LEAST_CONTRAST
from tests.worlds.report_folders import ORACLE, SIGNAL, write_kept, write_run, write_sweep

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"

if CHROMIUM is None:
    pytest.skip("no chromium: install it (Debian: apt-get install chromium)", allow_module_level=True)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on everything at once: five tasks, one of them without a gap, texts that are scripts."""
    folder = tmp_path_factory.mktemp("report")
    write_run(folder, ["alpha", "beta", "gamma", "delta"], signal=SIGNAL | {ORACLE: 2.5}, no_gap="beta", text=EVIL)
    write_sweep(folder)
    write_kept(folder / "a-file-of-labels-with-a-very-long-name-that-no-phone-is-wide-enough-for.jsonl", text=EVIL * 3)
    return write_report(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Seen:
    """A page with all that went wrong on it, and all that it asked for."""

    def __init__(self, browser: Any, report: Path, **look: Any) -> None:
        self.page = browser.new_page(**look)
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())

    def column(self, table: int, heading: int) -> list[str]:
        return list(
            self.page.locator("table").nth(table).locator(f"tbody tr td:nth-child({heading + 1})").all_text_contents()
        )


@pytest.fixture(scope="module")
def seen(browser: Any, report: Path) -> Seen:
    return Seen(browser, report, viewport={"width": 1200, "height": 900})


def numbers(texts: list[str]) -> list[float]:
    return [float(text.split(" ")[0].replace("−", "-")) for text in texts if text != "–"]


def test_nothing_goes_wrong_nothing_is_fetched_and_no_text_is_run(seen: Seen, report: Path) -> None:
    seen.page.wait_for_timeout(100)
    assert seen.troubles == []
    assert seen.requests == [report.as_uri()]
    assert seen.page.evaluate("window.hacked") is None
    assert EVIL in seen.page.locator("td.text").first.inner_text()


def test_the_policy_stops_scripts_and_requests_that_are_not_the_pages_own(browser: Any, report: Path) -> None:
    page = Seen(browser, report)
    page.page.evaluate(
        "const one = document.createElement('script'); one.textContent = 'window.hacked = 1'; document.body.append(one)"
    )
    assert page.page.evaluate("window.hacked") is None
    answer = page.page.evaluate("fetch('https://example.org/').then(() => 'fetched', (error) => error.name)")
    assert answer == "TypeError"
    assert any("Content Security Policy" in trouble for trouble in page.troubles)
    page.page.close()


def test_a_click_on_a_heading_sorts_numbers_as_numbers_with_missing_ones_last(seen: Seen) -> None:
    # The table by task and method; in its columns AUROC and the difference to the plain student.
    table = seen.page.locator("table", has=seen.page.locator("caption", has_text="By task and method"))
    number = seen.page.evaluate(
        "[...document.querySelectorAll('table')].findIndex((one) => one.caption.textContent.startsWith('By task'))"
    )
    heads = table.locator("th")
    for column in (2, 3):
        before = seen.column(number, column)
        heads.nth(column).locator("button").click()
        after = seen.column(number, column)
        assert sorted(after) == sorted(before)
        assert numbers(after) == sorted(numbers(before))
        assert heads.nth(column).get_attribute("aria-sort") == "ascending"
        heads.nth(column).locator("button").click()
        assert numbers(seen.column(number, column)) == sorted(numbers(before), reverse=True)
        assert heads.nth(column).get_attribute("aria-sort") == "descending"
    missing = seen.column(number, 3)
    assert missing.count("–") == 4  # the plain student itself
    assert missing[-4:] == ["–"] * 4
    assert any(value < 0 for value in numbers(missing))
    assert [heads.nth(i).get_attribute("aria-sort") for i in (2, 3)] == [None, "descending"]


def test_headings_sort_by_keyboard_too(seen: Seen) -> None:
    number = seen.page.evaluate(
        "[...document.querySelectorAll('table')].findIndex((one) => one.caption.textContent.startsWith('By task'))"
    )
    head = seen.page.locator("table").nth(number).locator("th").nth(1)
    head.locator("button").focus()
    seen.page.keyboard.press("Enter")
    names = seen.column(number, 1)
    assert names == sorted(names)
    seen.page.keyboard.press("Space")
    assert seen.column(number, 1) == sorted(names, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"


def test_a_phone_shows_the_page_without_sideways_scrolling(browser: Any, report: Path) -> None:
    page = Seen(browser, report, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]") == [360, 360]
    # The control: wide tables do scroll, each in its own box.
    wide = "[...document.querySelectorAll('.scroll')].some((box) => box.scrollWidth > box.clientWidth)"
    assert page.page.evaluate(wide)
    assert page.page.locator(".headline").first.bounding_box()["y"] < 740 / 2
    smallest = page.page.evaluate(
        "Math.min(...[...document.querySelectorAll('svg text')].map((one) => one.getBoundingClientRect().height))"
    )
    assert smallest > 8
    assert page.troubles == []
    page.page.close()


def test_a_table_that_is_cut_off_shows_a_shade_and_no_table_scrolls_upright(browser: Any, report: Path) -> None:
    page = Seen(browser, report, viewport={"width": 1280, "height": 900})
    page.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    boxes = page.page.locator(".scroll")
    sizes = boxes.evaluate_all(
        "all => all.map((b) => [b.ariaLabel, b.scrollWidth > b.clientWidth, b.scrollHeight - b.clientHeight])"
    )
    assert {down for _, _, down in sizes} == {0}
    wide = {name for name, sideways, _ in sizes if sideways}
    assert not [name for name in wide if name.startswith(("Best cells", "By task", "Filter report cards"))]
    # By pixels: the right edge is darker where a table is cut off than once it is scrolled to its end.
    box = page.page.locator(".scroll", has=page.page.locator("caption", has_text="By task and method")).first
    page.page.set_viewport_size({"width": 700, "height": 900})
    page.page.emulate_media(color_scheme="light")
    light = []
    for end in ("0", "one.scrollWidth"):
        box.evaluate(f"(one) => {{ one.scrollLeft = {end}; }}")
        image = imread(BytesIO(box.screenshot()), format="png")[..., :3]
        light.append((image[5:15, 2:6].mean(), image[5:15, -6:-2].mean()))
    assert light[0][1] < 0.8 < 0.99 < light[0][0]
    assert light[1][0] < 0.8 < 0.99 < light[1][1]
    page.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(browser: Any, report: Path, scheme: str) -> None:
    page = Seen(browser, report, color_scheme=scheme)
    background = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    found = page.page.evaluate(CONTRAST)
    assert len(found) > 500
    assert found[0][0] >= LEAST_CONTRAST, found[0]
    page.page.close()


def test_on_paper_nothing_is_cut_off_or_folded_away(browser: Any, report: Path) -> None:
    page = Seen(browser, report, viewport={"width": 740, "height": 1000})
    folded = page.page.locator("details:not([open])").locator("table").first
    assert not folded.is_visible()
    page.page.emulate_media(media="print")
    assert folded.is_visible()
    assert not page.page.locator("nav").is_visible()
    shown = "[...document.querySelectorAll('.scroll')].every((box) => getComputedStyle(box).overflowX === 'visible')"
    assert page.page.evaluate(shown)
    page.page.close()
