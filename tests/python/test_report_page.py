"""The page of `skipgate report` in headless Chromium, by keyboard and by pointer."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

MODEL = Path(__file__).parents[2] / "models/digits/resnet20.onnx"
HOSTILE = "</script><img src=x onerror=alert(1)><script>alert(2)</script>\"'&"


def skipgate(*arguments: object) -> str:
    """Run the program and return what it prints."""
    command = [os.environ["SKIPGATE_PROGRAM"], *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the digits ResNet-20 with a front, in a folder whose name has a space."""
    folder = tmp_path_factory.mktemp("report page") / "resnet20-host"
    skipgate("compile", MODEL, "-o", folder)
    skipgate("pareto", folder, "--data", "digits", "--search", "ranking", "--compare")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium, which runs as root only without its sandbox."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "`cargo xtask setup --tests` installs chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def opened(browser: Browser, artifact: Path, width: int = 1200) -> tuple[Page, list[str]]:
    """Open the artifact's page; the list gets everything that goes wrong on it."""
    file = artifact.parent / "report.html"
    skipgate("report", artifact, "-o", file)
    page = browser.new_page(viewport={"width": width, "height": 900})
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: wrong.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    return page, wrong


def front(artifact: Path) -> list[dict]:
    """Read the configurations of the front."""
    return json.loads((artifact / "pareto.json").read_text())["configurations"]


def shown_mask(page: Page) -> str:
    """Read the mask off the blocks of the network; the text has to say the same."""
    blocks = page.locator("button[data-gate]")
    mask = "".join("1" if block.get_attribute("aria-pressed") == "true" else "0" for block in blocks.all())
    states = ["run" if digit == "1" else "skip" for digit in mask]
    assert [block.locator(".state").inner_text() for block in blocks.all()] == states
    assert page.locator("[data-field=mask]").inner_text() == mask
    return mask


def test_the_keyboard_alone_chooses_a_configuration(browser: Browser, artifact: Path) -> None:
    page, wrong = opened(browser, artifact)
    configurations = front(artifact)
    assert shown_mask(page) == configurations[0]["mask"]
    while page.evaluate("document.activeElement.id") != "dial":
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    second = configurations[1]
    assert shown_mask(page) == second["mask"]
    command = page.locator("#command").inner_text()
    assert command == f"skipgate run '{artifact}' --image IMAGE.png --config 1"
    assert page.locator("[data-field=accuracy]").inner_text() == f"{100 * second['accuracy']:.2f} %"
    assert "configuration 1" in page.locator("#dial").get_attribute("aria-valuetext")
    page.keyboard.press("Home")
    assert shown_mask(page) == configurations[-1]["mask"]
    assert page.locator("input[name=configuration]:checked").get_attribute("data-mask") == configurations[-1]["mask"]
    assert not wrong


def test_a_block_that_is_pressed_is_skipped_and_the_command_says_so(browser: Browser, artifact: Path) -> None:
    page, wrong = opened(browser, artifact)
    start = shown_mask(page)
    known = {line["mask"] for line in json.loads((artifact / "exploration.json").read_text())["explored"]["candidates"]}
    gate = next(gate for gate in range(6) if flipped(start, gate) not in known)
    page.locator(f"button[data-gate='{gate}']").focus()
    page.keyboard.press("Space")
    mask = flipped(start, gate)
    assert shown_mask(page) == mask
    assert page.locator("#command").inner_text().endswith(f"--image IMAGE.png --mask {mask}")
    assert page.locator("[data-field=accuracy]").inner_text() == "not measured"
    page.keyboard.press("Space")
    assert shown_mask(page) == start
    assert page.locator("#command").inner_text().endswith("--config 0")
    assert not wrong


def flipped(mask: str, gate: int) -> str:
    """Change the digit there."""
    return mask[:gate] + ("0" if mask[gate] == "1" else "1") + mask[gate + 1 :]


def test_the_pointer_previews_a_configuration_and_a_click_chooses_it(browser: Browser, artifact: Path) -> None:
    page, wrong = opened(browser, artifact)
    first, last = front(artifact)[0]["mask"], front(artifact)[-1]["mask"]
    mark = page.locator(f"svg.chart.wide g.mark[data-mask='{last}'] .dot")
    mark.hover()
    assert shown_mask(page) == last
    page.mouse.move(1, 1)
    assert shown_mask(page) == first
    mark.click()
    page.mouse.move(1, 1)
    assert shown_mask(page) == last
    assert not wrong


@pytest.mark.parametrize("width", [320, 400, 800, 1400])
def test_nothing_sticks_out_of_the_page(browser: Browser, artifact: Path, width: int) -> None:
    page, wrong = opened(browser, artifact, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('svg.chart text')].filter((text) => text.getClientRects().length)"
        ".map((text) => text.getBoundingClientRect()).map((box) => Math.min(box.width, box.height)))"
    )
    assert smallest >= 9, "the numbers of the picture can be read"
    assert not wrong


def test_percentiles_fit_on_paper(browser: Browser, artifact: Path, tmp_path: Path) -> None:
    measured, file = tmp_path / "front.json", tmp_path / "report.html"
    measured.write_text(skipgate("bench", artifact, "--front", "--rounds", "1", "--format", "json"))
    skipgate("report", artifact, "--latency-from", measured, "-o", file)
    page = browser.new_page(viewport={"width": 720, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    times = {line["mask"]: line["gated"] for line in json.loads(measured.read_text())["configurations"]}
    p99 = times[front(artifact)[0]["mask"]]["p99_us"]
    assert f"{p99:.0f}" in page.locator("table.choices").first.inner_text()


def test_names_of_the_model_do_nothing(browser: Browser, artifact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "<img src=x onerror=alert(3)>"
    shutil.copytree(artifact, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    for gate in manifest["gates"]:
        gate["block"] = HOSTILE
    manifest["class_names"] = [HOSTILE] * 10
    (copy / "manifest.json").write_text(json.dumps(manifest))
    page, wrong = opened(browser, copy)
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert page.locator("ol.classes li").first.inner_text() == HOSTILE
    page.locator("#dial").press("Home")
    assert shown_mask(page) == front(copy)[-1]["mask"]
    assert not wrong


def test_an_artifact_without_a_front_shows_what_makes_one(browser: Browser, artifact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "unexplored"
    shutil.copytree(artifact, copy, ignore=shutil.ignore_patterns("pareto.*", "exploration.json"))
    page, wrong = opened(browser, copy)
    assert f"skipgate pareto {copy} --data DATA" in page.inner_text("section.empty")
    page.locator("button[data-gate='5']").click()
    assert shown_mask(page) == "111110"
    assert page.locator("#command").inner_text().endswith("--mask 111110")
    assert not wrong
