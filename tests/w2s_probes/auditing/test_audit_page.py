"""The audit page in a real browser: keys, resuming, saving, no requests, no script of a text, no weak label."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.audited import GIVEN, WORLD, P
from tests.worlds.browsing import CONTRAST, LEAST_CONTRAST
from w2s_probes import InputError
from w2s_probes.auditing import AuditRows, draw_audit, fold_audit, write_audit_page
from w2s_probes.io.tables import read_table

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> {{script}} \u2028 &lt;b&gt;"
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian: apt-get install chromium)")


def evil_audit(n: int = 12) -> AuditRows:
    """An audit of texts that are scripts, with weak labels shown where they are shown."""
    texts = [f"{i}: {EVIL}\n\tsecond line" for i in range(len(GIVEN))]
    labels = GIVEN.assign(text=texts, id=[f'r"{i}",=1+1' for i in range(len(GIVEN))])
    return draw_audit(labels, n=n, by="stratified", names=["no", "yes & <b>"], show_labels=True)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    write_audit_page(evil_audit(), tmp_path / "audit.html", question="Is it <true>?")
    return tmp_path / "audit.html"


def test_the_page_is_one_file_of_its_audit_without_weak_labels(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "weak_label" not in text
    assert "</script><script>window" not in text
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")
    write_audit_page(evil_audit(), tmp_path / "again.html", question="Is it <true>?")
    again = (tmp_path / "again.html").read_text(encoding="utf-8")
    assert again.replace("Audit: again", "Audit: audit") == text


def test_a_page_without_texts_and_other_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no `text`"):
        write_audit_page(draw_audit(GIVEN.drop(columns="text"), n=12), tmp_path / "a.html")
    with pytest.raises(InputError, match="its name must end in"):
        write_audit_page(evil_audit(), tmp_path / "a.txt")


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    """One browser, whose storage outlives its pages."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched.new_context(accept_downloads=True, viewport={"width": 900, "height": 800})
        launched.close()


def opened(context: Any, path: Path) -> tuple[Any, list[str], list[str]]:
    """The page, what went wrong on it, and what it asked for."""
    page, troubles, requests = context.new_page(), [], []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    return page, troubles, requests


def close_when_kept(page: Any, path: Path, at: int) -> None:
    """Close the page once the browser has what it keeps: a page that is killed at once may not have told it yet."""
    beside, _, _ = opened(page.context, path)
    for _ in range(100):
        if f'"at":{at}}}' in (beside.evaluate("localStorage.getItem(key)") or ""):
            break
        time.sleep(0.1)
    beside.close()
    page.close()


def state(page: Any) -> tuple[str, str]:
    return page.locator("#place").inner_text(), page.locator("#answered").inner_text()


@needs_browser
def test_texts_are_shown_and_not_run_and_nothing_is_fetched(context: Any, page: Path) -> None:
    seen, troubles, requests = opened(context, page)
    assert seen.locator("#text").evaluate("one => one.textContent") == evil_audit().table["text"].iloc[0]
    assert seen.locator("h1").inner_text() == "Is it <true>?"
    assert seen.locator("#one span").inner_text() == "yes & <b>"
    assert seen.evaluate("window.hacked") is None
    assert (troubles, requests) == ([], [page.as_uri()])
    answer = seen.evaluate("fetch('https://example.org/').then(() => 'fetched', (error) => error.name)")
    assert answer == "TypeError"
    planted = "const s = document.createElement('script'); s.textContent = 'window.hacked = 1'; document.body.append(s)"
    seen.evaluate(planted)
    assert seen.evaluate("window.hacked") is None
    seen.close()


@needs_browser
def test_keys_answer_undo_and_move_and_the_page_goes_on_where_it_was(context: Any, page: Path) -> None:
    seen, troubles, _ = opened(context, page)
    assert state(seen) == ("Row 1 of 12", "0 answered")
    for key in "011":
        seen.keyboard.press(key)
    assert state(seen) == ("Row 4 of 12", "3 answered")
    seen.keyboard.press("u")
    assert state(seen) == ("Row 3 of 12", "2 answered")
    seen.keyboard.press("ArrowLeft")
    assert seen.locator("#one").get_attribute("aria-pressed") == "true"
    seen.keyboard.press("0")  # another answer to row 2
    seen.keyboard.press("u")
    assert (state(seen)[0], seen.locator("#one").get_attribute("aria-pressed")) == ("Row 2 of 12", "true")
    seen.keyboard.press("Control+0")  # the browser's own
    assert state(seen) == ("Row 2 of 12", "2 answered")
    for key in ("ArrowRight", "ArrowRight"):
        seen.keyboard.press(key)
    close_when_kept(seen, page, 3)
    again, _, _ = opened(context, page)
    assert state(again) == ("Row 4 of 12", "2 answered")
    assert "2 answers from before" in again.locator("#said").inner_text()
    again.keyboard.press("n")
    assert again.locator("#bar").get_attribute("aria-valuenow") == "2"
    assert again.locator("#done").evaluate("one => one.style.width").startswith("16.6")
    assert troubles == []
    again.close()


@needs_browser
def test_what_is_saved_is_what_fold_reads(context: Any, tmp_path: Path) -> None:
    audit = draw_audit(GIVEN, n=30, by="disagreement", p=P)
    write_audit_page(audit, tmp_path / "audit.html")
    seen, troubles, _ = opened(context, tmp_path / "audit.html")
    truth = WORLD.set_index("id")["truth"].loc[audit.table["id"]].tolist()
    for at, answer in enumerate(truth):
        if at % 2:
            seen.locator(["#zero", "#one"][answer]).click()
        else:
            seen.keyboard.press(str(answer))
    assert "Every row is answered" in seen.locator("#said").inner_text()
    with seen.expect_download() as download:
        seen.keyboard.press("s")
    download.value.save_as(tmp_path / download.value.suggested_filename)
    found = fold_audit(tmp_path / "audit_done.csv", GIVEN, p=P)
    table = audit.table.assign(truth=truth)
    assert found.to_frame().equals(fold_audit(AuditRows.of(table, "table"), GIVEN, p=P).to_frame())
    assert troubles == []
    seen.close()


@needs_browser
def test_half_an_audit_with_hostile_ids_is_saved_and_read(context: Any, page: Path, tmp_path: Path) -> None:
    seen, _, _ = opened(context, page)
    seen.evaluate('localStorage.setItem(key, \'{"answers": {"0": 7, "99": 1}, "at": 55}\'); location.reload()')
    seen.wait_for_function("document.getElementById('place').textContent === 'Row 1 of 12'")
    assert state(seen) == ("Row 1 of 12", "0 answered")  # storage that is damaged is no answer
    seen.keyboard.press("1")
    with seen.expect_download() as download:
        seen.locator("#save").click()
    assert "11 rows have no answer yet" in seen.locator("#said").inner_text()
    download.value.save_as(tmp_path / "half.csv")
    table = read_table(tmp_path / "half.csv")
    assert table["id"].tolist() == evil_audit().table["id"].tolist()
    assert AuditRows.of(table, "half").answers.tolist()[0] == 1
    seen.close()


@needs_browser
def test_a_browser_that_keeps_nothing_says_so(context: Any, page: Path) -> None:
    seen, _, _ = opened(context, page)
    seen.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    seen.keyboard.press("1")
    assert "keeps nothing" in seen.locator("#said").inner_text()
    assert seen.locator("#said").get_attribute("class") == "warning"
    seen.close()


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(context: Any, page: Path, scheme: str) -> None:
    seen = context.browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    seen.goto(page.as_uri())
    seen.keyboard.press("1")
    seen.keyboard.press("ArrowLeft")
    assert seen.evaluate("[document.documentElement.scrollWidth, window.innerWidth]") == [360, 360]
    assert seen.locator("#one").bounding_box()["height"] >= 44
    assert seen.evaluate(CONTRAST)[0][0] >= LEAST_CONTRAST
    seen.close()
