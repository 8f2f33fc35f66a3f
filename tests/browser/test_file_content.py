"""Files that are pages, scripts or both (FI2), opened in Chromium in each way that a page has: nothing of them runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, Error

from tests.harness.files import Person, metadata, people, serving

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

RUN = b"(window.top||window).postMessage('ran','*');document.title='ran';"
CONTENTS = [
    ("page.html", "text/html", b"<!doctype html><script>" + RUN + b"</script>"),
    ("drawing.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'><script>" + RUN + b"</script></svg>"),
    ("page.xml", "text/xml", b"<x:script xmlns:x='http://www.w3.org/1999/xhtml'>" + RUN + b"</x:script>"),
    ("code.js", "text/javascript", RUN),
    ("photo.gif", "image/gif", b"GIF89a=1;" + RUN),
    (
        "paper.pdf",
        "application/pdf",
        b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj",
    ),
]
EMBED = """async (url) => {
    window.seen = [];
    window.addEventListener('message', (event) => window.seen.push(event.data));
    const ways = [];
    for (const [tag, attribute] of [['script', 'src'], ['iframe', 'src'], ['embed', 'src'], ['object', 'data'],
                                    ['img', 'src'], ['video', 'src']]) {
        const element = document.createElement(tag);
        element[attribute] = url;
        ways.push(new Promise((resolve) => {
            for (const name of ['load', 'error']) element.addEventListener(name, () => resolve(`${tag} ${name}`));
            if (tag !== 'script' && tag !== 'img') resolve(tag); // they need not fire one
        }));
        document.body.append(element);
    }
    const modules = import(url).then(() => 'module ran', () => 'module refused');
    const worker = await new Promise((resolve) => {
        const made = new Worker(url);
        made.onerror = () => resolve('worker refused');
        made.onmessage = () => resolve('worker ran');
    });
    return [await modules, worker, ...(await Promise.all(ways))];
}"""


@pytest.mark.parametrize(("name", "media_type", "content"), CONTENTS)
async def test_nothing_runs(browser: Browser, tmp_path: Path, name: str, media_type: str, content: bytes) -> None:
    async with serving(tmp_path) as server, people(server, "ada") as [ada]:
        link = server.url + await link_to(ada, name, media_type, content)
        context = await browser.new_context(accept_downloads=True)
        page = await context.new_page()
        # As an address: the browser saves it.
        async with page.expect_download() as downloading:
            with pytest.raises(Error, match="Download is starting"):
                await page.goto(link)
        download = await downloading.value
        assert download.suggested_filename == name
        assert await asyncio.to_thread((await download.path()).read_bytes) == content
        # Inside a page of the same origin, which has no policy of its own.
        await page.goto(f"{server.url}/nothing")
        ways = await page.evaluate(EMBED, link)
        await page.wait_for_load_state("networkidle")
        assert "module refused" in ways
        assert "worker refused" in ways
        assert "script load" not in ways
        assert await page.evaluate("[document.title, window.seen]") == ["", []]
        await context.close()


async def link_to(person: Person, name: str, media_type: str, content: bytes) -> str:
    file_id = await person.create(len(content), **{"Upload-Metadata": metadata(name=name, type=media_type)})
    await person.add(file_id, 0, content)
    return str(json.loads((await person.ask("POST", file_id + "/links"))[2])["path"])
