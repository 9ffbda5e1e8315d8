"""The operator's browser: the machine's own Chromium without a window, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync", "--disable-quic"),
)
NARROW, WIDE = 390, 1280
PATIENCE_SECONDS = 60
FAINT = """() => {
  const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const shade = css => css.match(/[\\d.]+/g).slice(0, 3).map(c => linear(c / 255))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0.05);
  const behind = one => {
    const colour = getComputedStyle(one).backgroundColor;
    return /, 0\\)$/.test(colour) && one.parentElement ? behind(one.parentElement) : colour;
  };
  const contrast = one => {
    const style = getComputedStyle(one);
    const both = [shade(one instanceof SVGElement ? style.fill : style.color), shade(behind(one))];
    return Math.max(...both) / Math.min(...both);
  };
  const worded = one => [...one.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  return [...document.body.querySelectorAll('*')]
    .filter(one => one.checkVisibility() && one.tagName !== 'title' && worded(one) && contrast(one) < 4.5)
    .map(one => `${one.textContent}: ${contrast(one).toFixed(2)}`);
}"""  # contrast as WCAG counts it; 4.5 is the least for text


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Browser, width: int = WIDE, dark: bool = False) -> Page:
    """A new window of somebody who is not logged in."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    return context.new_page()


def log_in(page: Page, address: str, user: str, password: str) -> None:
    page.goto(f"{address}/")
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Browse").wait_for()


def start_backfill(page: Page, address: str, dag: str, first: str, last: str) -> None:
    """By the form: Trigger, Backfill, both dates, Run Backfill."""
    page.goto(f"{address}/dags/{dag}")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    form.get_by_text("Backfill", exact=True).first.click()
    for n, day in enumerate((first, last)):
        form.get_by_test_id("datetime-input").nth(n).click()
        typed = page.get_by_placeholder("YYYY/MM/DD").locator("visible=true")
        typed.fill(day.replace("-", "/"))
        typed.press("Enter")
        form.get_by_text("Reprocess Behavior").click()  # closes the calendar, which fades out
        typed.wait_for(state="hidden")
    form.get_by_role("button", name="Run Backfill").click()
    page.get_by_text("Backfill jobs have been successfully triggered").wait_for()


def start_run(page: Page, address: str, dag: str, partition: str) -> None:
    """By the form: Trigger, Advanced Options, Partition Key; ends on the page of the run."""
    page.goto(f"{address}/dags/{dag}")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="Advanced Options").click()
    form.get_by_label("Partition Key").fill(partition)
    form.get_by_role("button", name="Trigger").last.click()
    page.wait_for_url(f"**/dags/{dag}/runs/manual*")


def overflow(page: Page) -> int:
    """Pixels that a reader would have to scroll sideways for."""
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


def faint(page: Page) -> list[str]:
    """Texts that do not stand out enough from what is behind them, with their contrast."""
    return page.evaluate(FAINT)
