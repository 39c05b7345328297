#!/usr/bin/env python3
"""HTML reports opened as a person would: from disk, in a real browser without a network.

    tests/pages.py --postmesh PROGRAM [--screenshots FOLDER] INCIDENT...

Each incident's report is opened in headless Chromium, and one that is made of hostile strings (tests/hostile.json). Of each it
holds that nothing is said on the console, nothing is asked for beyond the file itself, no dialog opens, evidence opens,
the theme switches, the time line narrows lists, nothing is wider than a screen of 400 px, the page is readable with
scripts off, and it prints. Needs Chromium and nothing else: it is spoken to through a pipe.
"""

import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--no-default-browser-check",
    "--remote-debugging-pipe",
]
PATIENCE_S = 60
MAX_BYTES = 2 << 20


class Browser:
    """Chromium, by its DevTools protocol: JSON messages that end in a zero byte, on descriptors 3 and 4."""

    def __init__(self, program, folder):
        to_it, mine_out = os.pipe()
        mine_in, from_it = os.pipe()

        def descriptors():
            # High ones first: 3 and 4 may be among those that are to be moved.
            high = [os.dup2(fd, at) for fd, at in ((to_it, 100), (from_it, 101))]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            preexec_fn=descriptors, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_it)
        os.close(from_it)
        self.out, self.into, self.rest = mine_out, mine_in, b""
        self.number, self.events = 0, []

    def read(self, until):
        while b"\0" not in self.rest:
            import select
            ready, _, _ = select.select([self.into], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser does not answer")
            more = os.read(self.into, 1 << 16)
            if not more:
                raise EOFError("the browser has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while True:
            answer = self.read(until)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method, session):
        until = time.monotonic() + PATIENCE_S
        while True:
            for event in self.events:
                if event.get("method") == method and event.get("sessionId") == session:
                    return event
            self.events.append(self.read(until))

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=PATIENCE_S)


class Page:
    """One page in a tab of its own."""

    def __init__(self, browser, path, dark=False, width=1200, scripts=True):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        browser.events.clear()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)
        self.address = path.resolve().as_uri()
        self.call("Page.navigate", url=self.address)
        browser.wait("Page.loadEventFired", self.session)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def mouse(self, kind, x, y):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def complaints(self):
        """What was said or asked for, apart from the page itself."""
        # A round trip: what came before it has been read.
        self.value("1")
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            method, params = event.get("method"), event.get("params", {})
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening"):
                found.append(json.dumps(params)[:600])
            elif method == "Network.requestWillBeSent" and params["request"]["url"].split("#")[0] != self.address:
                found.append("request: " + params["request"]["url"][:300])
        return found

    def screenshot(self, path, whole=True):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12000) if whole else 900, "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)


def hold(what, condition):
    if not condition:
        raise AssertionError(what)


# All that follows the window, as it stands in the page.
PANELS = """JSON.stringify([].map.call(
    document.querySelectorAll('tr[data-counts],tr[data-spread],tr[data-calls],figure,svg.graph,svg[data-spent]'),
    function (e) { return e.textContent.length + e.outerHTML.replace(/<svg class="strip.*?<\\/svg>/g, '')
        .replace(/ class=""/g, '') }))"""


def follows(page, said, whole):
    """Histograms, percentiles, flags and calls are those of the window: figures that come different ways agree."""
    hold("no panel follows the window", page.value(PANELS) != whole)
    number = "function n(cell) { return +cell.textContent.replace(/,/g, '') || 0 }"
    sums = page.value(f"""(function () {{ {number}
        return [].reduce.call(document.querySelectorAll('tr[data-calls]'), function (sum, row) {{
            return [sum[0] + n(row.children[2]), sum[1] + n(row.children[3])] }}, [0, 0]).join(' ') }})()""")
    requests, failed = (int(re.search(rf"([\d,]+) {what}", said)[1].replace(",", "")) for what in ("requests", "failed"))
    hold(f"calls sum to {sums}, but: {said}", sums == f"{requests} {failed}")
    # Failures by destination, once as rows were counted and once as their durations were.
    apart = page.value(f"""(function () {{ {number}
        var by = {{}}, wrong = [];
        [].forEach.call(document.querySelectorAll('tr[data-spread]'), function (row) {{
            var cells = row.children;
            by[[cells[0].textContent, cells[1].textContent, cells[2].textContent]] = n(cells[3]); }});
        [].forEach.call(document.querySelectorAll('tr[data-counts]'), function (row) {{
            var cells = row.children, key = [cells[0].textContent, cells[1].textContent];
            var timed = by[key.concat('failed')] || 0, good = by[key.concat('good')] || 0;
            if (timed !== n(cells[3]) || good + timed > n(cells[2])) {{ wrong.push(key + ': ' + timed + ' and ' + n(cells[3])); }} }});
        return wrong.slice(0, 4).join('; ') }})()""")
    hold(f"failures by destination differ: {apart}", not apart)
    # The bars of an outcome hold its requests, and the greatest one is as high as the drawing.
    drawn = page.value(f"""[].filter.call(document.querySelectorAll('figure[data-ok]'), function (figure) {{ {number}
        var row = document.getElementById(figure.dataset.ok), held = 0, highest = 0;
        if (!row || !n(row.children[3])) {{ return false; }}
        [].forEach.call(figure.querySelectorAll('rect.good[data-doubling]'), function (bar) {{
            held += +bar.querySelector('title').textContent.split(' ms: ')[1].split(' ')[0].replace(/,/g, ''); }});
        [].forEach.call(figure.querySelectorAll('rect[data-doubling]'), function (bar) {{ highest = Math.max(highest, +bar.getAttribute('height')); }});
        return held !== n(row.children[3]) || Math.abs(highest - 92) > 0.1 }}).length""")
    hold(f"{drawn} histograms hold other requests than their percentiles", drawn == 0)
    hold("parts of the time are not those of the window", page.value(
        "[].every.call(document.querySelectorAll('svg[data-spent]'), function (drawing) {"
        " var mean = drawing.querySelector('g.mean'), said = mean.lastChild.textContent;"
        " var bars = [].reduce.call(mean.querySelectorAll('rect title'), function (sum, title) {"
        " return sum + +title.textContent.split(' ').slice(-2)[0] }, 0);"
        " return said === 'no request in the window' ? !bars : Math.abs(parseFloat(said) - bars) < 0.05 })"))
    hold("what keeps to the whole time does not say so", page.value(
        "[].every.call(document.querySelectorAll('.whole-time'), function (note) { return !note.hidden })"))


def check(browser, path, shots, hostile=False):
    size = path.stat().st_size
    hold(f"{size} bytes", size <= MAX_BYTES)
    name = path.stem
    page = Page(browser, path)
    hold("no verdict", page.value("document.querySelector('#verdict h1').textContent.length > 10"))
    hold("a text is not in its place", page.value(
        "document.querySelectorAll('script').length === 1 && document.querySelectorAll('style').length === 1"
        " && !document.querySelector('img,iframe,object,embed,link,form,base,video,audio,[onload],[onerror],[onclick],[style]')"))
    hold("owned", page.value("typeof window.owned === 'undefined'"))
    if shots:
        page.screenshot(shots / f"{name}-light.png")

    # Evidence opens in place.
    cites = page.value("document.querySelectorAll('details.cite').length")
    if cites:
        page.value("for (var e = document.querySelector('details.cite').parentElement; e; e = e.parentElement)"
                   " if (e.tagName === 'DETAILS') e.open = true")
        page.value("document.querySelector('details.cite').scrollIntoView({block: 'center'})")
        box = page.value("(function () { var b = document.querySelector('details.cite summary')"
                         ".getBoundingClientRect(); return {x: b.x + 9, y: b.y + b.height / 2} })()")
        page.mouse("mousePressed", box["x"], box["y"])
        page.mouse("mouseReleased", box["x"], box["y"])
        hold("evidence did not open", page.value(
            "document.querySelector('details.cite').open"
            " && document.querySelector('details.cite[open] pre').getBoundingClientRect().height > 10"))

    # A request of a finding is drawn step by step, beside what shows it.
    steps = page.value("document.querySelectorAll('table.ladder tbody tr').length")
    if steps:
        page.value("document.querySelector('table.ladder').closest('details').open = true")
        hold("a ladder without arrows or places", page.value(
            "[].every.call(document.querySelectorAll('table.ladder tbody tr'), function (row) {"
            " return row.querySelector('svg .arrow, svg circle') && row.querySelector('code').textContent })"
            " && document.querySelector('table.ladder tbody tr').getBoundingClientRect().height > 10"))
    # Connections of TCP have no requests.
    hold("a fault without a request step by step", hostile or steps or not page.value(
        "[].some.call(document.querySelectorAll('article.critical'), function (finding) {"
        " return / requests? (failed|were)/.test(finding.textContent) })"))

    # The theme switches.
    before = page.value("getComputedStyle(document.body).backgroundColor")
    page.value("document.getElementById('theme').click()")
    hold("theme did not switch", page.value("getComputedStyle(document.body).backgroundColor") != before)
    page.value("document.getElementById('theme').click()")
    hold("theme did not switch back", page.value("getComputedStyle(document.body).backgroundColor") == before)

    # The time line narrows the lists, by mouse and by keyboard.
    if page.value("!!document.getElementById('time') && document.querySelectorAll('tr[data-first]').length > 4"):
        page.value("document.getElementById('time').scrollIntoView({block: 'center'})")
        box = page.value("(function () { var b = document.getElementById('time').getBoundingClientRect();"
                         " return {x: b.x, y: b.y, width: b.width, height: b.height} })()")
        y = min(max(box["y"] + 40, 60), 880)
        whole = page.value(PANELS)
        page.mouse("mousePressed", box["x"] + box["width"] * 0.4, y)
        page.mouse("mouseMoved", box["x"] + box["width"] * 0.5, y)
        page.mouse("mouseReleased", box["x"] + box["width"] * 0.5, y)
        said = page.value("document.querySelector('#brush [role=status]').textContent")
        hold(f"the brush did nothing: {said}", page.value("document.querySelectorAll('tr.out').length") > 0)
        # Rows are summed; captures alone have none.
        if page.value("[].some.call(document.querySelectorAll('rect[data-at]'), function (r) { return +r.dataset.requests })"):
            hold(f"the window is not summed: {said}", " requests, " in said and " failed (" in said)
            time.sleep(0.2)
            follows(page, said, whole)
            if shots:
                page.screenshot(shots / f"{name}-window.png")
        page.call("Input.dispatchKeyEvent", type="keyDown", key="]", text="]")
        page.call("Input.dispatchKeyEvent", type="keyUp", key="]")
        hold("] did nothing", page.value("document.querySelector('#brush [role=status]').textContent") != said)
        page.value("document.querySelector('#brush button').click()")
        hold("lists stay narrowed", page.value("document.querySelectorAll('tr.out').length") == 0)
        time.sleep(0.2)
        hold("panels stay in the window", page.value(PANELS) == whole)

    # Every control can be reached by keyboard.
    hold("a control is out of the keyboard's reach", page.value(
        "[].every.call(document.querySelectorAll('a,button,summary,.wide'), function (e) { return e.tabIndex >= 0 })"))
    pdf = base64.b64decode(page.call("Page.printToPDF", printBackground=True)["data"])
    hold("no PDF", pdf.startswith(b"%PDF") and len(pdf) > 20_000)
    if shots:
        (shots / f"{name}.pdf").write_bytes(pdf)
    complaints = page.complaints()
    page.close()

    narrow = Page(browser, path, dark=True, width=400)
    wide = narrow.value("document.documentElement.scrollWidth")
    if wide > 400:
        hold(f"{wide} px wide on a screen of 400: " + narrow.value(
            "[].filter.call(document.querySelectorAll('main *, header, footer, nav'), function (e) {"
            " return e.getBoundingClientRect().right > 401 && !e.closest('.wide') })"
            ".slice(0, 6).map(function (e) { return e.tagName + '.' + e.getAttribute('class') + ' ' + e.textContent.slice(0, 50) }).join('; ')"), False)
    hold("dark is not dark", narrow.value("getComputedStyle(document.body).backgroundColor") != before)
    if shots:
        narrow.screenshot(shots / f"{name}-400-dark.png")
    complaints += narrow.complaints()
    narrow.close()

    still = Page(browser, path, dark=True, scripts=False)
    hold("not readable without scripts", still.value(
        "document.querySelector('#verdict h1').getBoundingClientRect().height > 10"
        " && getComputedStyle(document.getElementById('tools')).display === 'none'"))
    if shots:
        still.screenshot(shots / f"{name}-dark.png")
    complaints += still.complaints()
    still.close()
    hold(f"complaints: {complaints}", not complaints)
    return f"{size:,} bytes, {cites} citations open, {steps} steps, PDF {len(pdf):,} bytes"


def hostile_incident(folder):
    """Access-log rows with each hostile string in every field that somebody outside can choose."""
    strings = json.loads((HERE / "hostile.json").read_text())
    rows = []
    for number, text in enumerate(strings):
        # A row is a line, and Envoy writes quotes as they come: what ends a line or field ends it here too.
        text = text.replace("\n", " ").replace("\r", " ")
        for again in range(8):
            rows.append(
                f'[2026-11-02T03:{number % 60:02}:{again:02}.120Z] "GET /{text.replace(" ", "")} HTTP/1.1" 503 UF '
                f'upstream_reset_before_response_started{{remote_connection_failure}} - "{text}" 0 91 2 - "-" "{text}" '
                f'"id-{number}-{again}" "{text.replace(" ", "")}" "10.0.0.9:80" outbound|80||{text.replace(" ", "")} - '
                f'10.96.0.9:80 10.0.0.4:4444 - default')
    (folder / "<img src=x onerror=owned=1>.log").write_text("\n".join(rows) + "\n", errors="surrogatepass")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--postmesh", required=True)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("incidents", nargs="+", type=Path)
    arguments = parser.parse_args()
    if not arguments.chromium:
        sys.exit("no chromium: apt-get install chromium")
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory() as box:
        box = Path(box)
        (box / "profile").mkdir()
        (box / "hostile").mkdir()
        hostile_incident(box / "hostile")
        browser = Browser(arguments.chromium, box / "profile")
        try:
            for incident in [*arguments.incidents, box / "hostile"]:
                name = incident.parent.name if incident.name == "input" else incident.name
                page = box / f"{name}.html"
                began = time.monotonic()
                status = subprocess.run([arguments.postmesh, str(incident), "-q", "-o", str(page)], check=False).returncode
                hold(f"{name}: status {status}", status in (0, 1, 3))
                try:
                    said = check(browser, page, arguments.screenshots)
                    print(f"{name}: {said}, {time.monotonic() - began:.1f} s")
                except (AssertionError, RuntimeError) as error:
                    failed += 1
                    print(f"{name}: WRONG: {error}")
        finally:
            browser.close()
    sys.exit(1 if failed else 0)


main()
