"""The page in a real browser: from disk, without a network, with slider and keys, on a phone and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.browser import Page, browse, find
from tests.report.made import HOSTILE, add_replay, make_run, measurement, write_lines
from twosome.report import write_report

PHONE, DESKTOP = (375, 740), (1280, 900)
MOMENT = "document.querySelector('#player-left .moment').textContent"
OTHER = "document.querySelector('#player-right .moment').textContent"
FRAME = "document.querySelector('#player-left .frame').src"
LONG = "averyverylongwordwithoutanyplacetobreakitbecausesomebodysenvironmentisnamedlikethat" * 2

pytestmark = pytest.mark.skipif(
    find() is None, reason="no Chromium found; install the package chromium (or Google Chrome) to test the report"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = find()
    assert program is not None
    with browse(program, tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it, long and hostile names included."""
    root = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        add_replay(make_run(root / f"salad{seed}", seed=seed), text=HOSTILE)
        add_replay(make_run(root / f"long{seed}", task=LONG, seed=seed), text=LONG, pictures=False)
    lines = []
    for task in ("tomato-salad", LONG, HOSTILE):
        lines.append(measurement("zero-shot", task, 0.3, normalization="word"))
        trained = {"trained_on": "tomato-salad", "normalization": "word"}
        lines += [measurement("twosome", task, 0.4 + 0.2 * seed, seed=seed, **trained) for seed in range(2)]
    write_lines(root / "measurements.jsonl", lines)
    return write_report([root], root / "report.html")


@pytest.fixture(autouse=True)
def _open(page: Page, file: Path) -> None:
    page.view(*DESKTOP)
    page.prefer(media="", prefers_color_scheme="light")
    page.open(file)


def show_pictures(page: Page) -> None:
    """Choose a run with pictures on both sides; hostile texts come with it."""
    page.run(
        "for (const side of ['left', 'right']) {"
        " const choose = document.querySelector(`#player-${side} .choose-run`);"
        " choose.selectedIndex = [...choose.options].findIndex((option) => option.text.startsWith('tomato-salad'));"
        " choose.dispatchEvent(new Event('change')); }"
    )


def choose(page: Page, side: str, episode: int) -> None:
    page.run(
        f"const c = document.querySelector('#player-{side} .choose-episode'); c.value = {episode};"
        "c.dispatchEvent(new Event('change'))"
    )


def focus(page: Page, selector: str) -> None:
    page.run(f"document.querySelector({selector!r}).focus()")


def test_it_loads_from_disk_asks_for_nothing_and_complains_about_nothing(page: Page, file: Path) -> None:
    show_pictures(page)
    page.wait("document.querySelector('#player-left .frame').naturalWidth === 40")
    assert page.run("document.title").startswith("twosome: ")
    assert [address for address in page.requests if not address.startswith("data:image/png;base64,")] == [file.as_uri()]
    assert page.complaints == []


def test_hostile_texts_do_no_harm(page: Page) -> None:
    show_pictures(page)
    focus(page, "#replay-slider")
    for _ in range(5):
        page.press("ArrowRight")
    assert page.run("typeof window.harmed") == "undefined"
    assert page.run("document.querySelectorAll('img').length") == 2
    page.press("Home")
    assert HOSTILE.split("\u2028")[0] in page.run("document.querySelector('#player-left .prompt').textContent")
    assert page.complaints == []


def test_the_policy_stops_what_would_be_loaded_or_run(page: Page) -> None:
    page.run(
        "new Promise((resolve) => {"
        " const image = new Image(); image.onerror = resolve; image.src = 'http://example.org/x.png';"
        " document.body.append(image);"
        " const script = document.createElement('script'); script.textContent = 'window.harmed = 1';"
        " document.body.append(script); })"
    )
    assert page.run("typeof window.harmed") == "undefined"
    assert sum("Content Security Policy" in complaint for complaint in page.complaints) == 2
    assert page.refused == ["csp"]  # the picture; refused by the policy, not for want of a network


def test_keys_and_slider_go_through_the_episodes_in_step(page: Page) -> None:
    show_pictures(page)
    choose(page, "right", 1)
    focus(page, "#replay")
    first = page.run(FRAME)
    assert page.run(MOMENT) == "Decision 1 of 4"
    page.press("ArrowRight")
    assert (page.run(MOMENT), page.run(OTHER)) == ("Decision 2 of 4", "Decision 2 of 3")
    assert page.run(FRAME) != first
    page.press("ArrowLeft")
    assert page.run(FRAME) == first
    page.press("ArrowLeft")
    assert page.run(MOMENT) == "Decision 1 of 4"
    page.press("End")
    assert page.run(MOMENT) == "The end of the episode"
    assert page.run("document.getElementById('replay-position').textContent") == "end"
    page.press("Home")
    assert page.run(MOMENT) == "Decision 1 of 4"
    page.run("const s = document.getElementById('replay-slider'); s.value = 2; s.dispatchEvent(new Event('input'))")
    assert page.run(MOMENT) == "Decision 3 of 4"
    assert page.run("document.querySelector('#player-left .taken th').firstChild.data").startswith("act")
    assert page.run("document.querySelector('#player-left .taken .probability').textContent") == "25.0\u00a0%"


def test_space_plays_and_pauses(page: Page) -> None:
    focus(page, "#replay")
    page.press(" ")
    assert page.run("document.getElementById('replay-play').textContent") == "Pause"
    page.wait(f"{MOMENT}.startsWith('Decision 2')")
    page.press(" ")
    assert page.run("document.getElementById('replay-play').textContent") == "Play"
    focus(page, "#replay-play")
    page.press(" ")  # once, not once by the button and once by the key
    assert page.run("document.getElementById('replay-play').textContent") == "Pause"


def test_keys_elsewhere_are_the_browsers(page: Page) -> None:
    page.run("document.activeElement.blur()")
    page.press("ArrowRight")
    assert page.run(MOMENT).startswith("Decision 1")


def test_another_episode_starts_at_its_beginning(page: Page) -> None:
    focus(page, "#replay")
    page.press("ArrowRight")
    choose(page, "left", 1)
    assert page.run(MOMENT) == "Decision 1 of 3"
    assert page.run("document.querySelector('#player-left .choose-episode').selectedOptions[0].text") == (
        "last of training, no. 8"
    )


def test_an_environment_without_pictures_says_so(page: Page) -> None:
    page.run(
        "const c = document.querySelector('#player-left .choose-run');"
        "c.selectedIndex = [...c.options].findIndex((option) => option.text.startsWith('avery'));"
        "c.dispatchEvent(new Event('change'))"
    )
    assert page.run("document.querySelector('#player-left .frame').hidden")
    assert not page.run("document.querySelector('#player-left .no-frame').hidden")


@pytest.mark.parametrize("width", [320, PHONE[0], 768])
def test_a_phone_never_scrolls_sideways(page: Page, file: Path, width: int) -> None:
    page.view(width, PHONE[1], phone=True)
    page.open(file)
    show_pictures(page)
    assert page.run("document.documentElement.scrollWidth") == width
    assert page.run(
        "Math.min(...[...document.querySelectorAll('.chart')].map((c) => c.clientWidth))"
    ) >= width - 60 or (width > 700)


def test_players_stand_side_by_side_where_there_is_room(page: Page) -> None:
    top = "document.getElementById('player-{}').getBoundingClientRect().top"
    assert page.run(top.format("left")) == page.run(top.format("right"))
    page.view(*PHONE, phone=True)
    assert page.run(top.format("left")) < page.run(top.format("right"))


def test_paper_gets_white_pages_and_no_controls(page: Page) -> None:
    page.prefer(media="print", prefers_color_scheme="dark")
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.run("getComputedStyle(document.querySelector('.transport')).display") == "none"
    assert page.run("getComputedStyle(document.querySelector('.which')).display") == "block"
    document = page.print()
    assert document.startswith(b"%PDF-")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", document)) <= 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_texts_is_at_least_4_and_a_half(page: Page, scheme: str) -> None:
    """WCAG 2 level AA, for every text on the page, against the nearest background that is not transparent."""
    page.prefer(media="", prefers_color_scheme=scheme)
    poor = page.run(CONTRASTS)
    assert poor == []


def test_motion_is_only_for_those_who_want_it(page: Page) -> None:
    duration = "getComputedStyle(document.querySelector('.bar i')).transitionDuration"
    page.prefer(media="", prefers_reduced_motion="reduce")
    assert page.run(duration) == "0s"
    page.prefer(media="", prefers_reduced_motion="no-preference")
    assert page.run(duration) == "0.15s"


CONTRASTS = """(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3)
    .map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.getClientRects().length || element.closest('script, noscript')) continue;
    const style = getComputedStyle(element);
    const front = light(parse(element.closest('svg') ? style.fill : style.color)), back = light(ground(element));
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (ratio < 4.5) poor.push([element.tagName, element.textContent.slice(0, 30), ratio.toFixed(2)]);
  }
  return poor;
})()"""
