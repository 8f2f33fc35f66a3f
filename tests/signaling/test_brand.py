"""White label: what the settings may say of the brand, and where it comes out: head, manifest, pictures, passkeys."""

from __future__ import annotations

import asyncio
import json
import re
import struct
import zlib
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from signaling.accounts.ceremonies import Site, creation_options
from signaling.accounts.records import AccountRow
from signaling.api.web import ContentSecurityPolicy
from signaling.brand.brand import load_brand
from signaling.brand.colours import DARK_SURFACES, LIGHT_SURFACES, contrast, derive_dark, light_palette
from signaling.brand.settings import BrandSettings
from signaling.errors import ConfigError
from signaling.rooms.lasting import LastingRooms
from tests.signaling.harness import Server, make_settings, running

pytestmark = pytest.mark.asyncio(loop_scope="function")

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = """</title><script>alert(1)</script>"'><b>&amp;"""
INDEX = (
    '<!doctype html><html><head><meta charset="utf-8"><link rel="icon" type="image/svg+xml" href="/assets/logo-1.svg">'
    '<title>Ting</title><script type="module" src="/assets/app.js"></script></head><body><div id="root"></div></body>'
)


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Pictures of all kinds, and a built web app."""
    root = tmp_path / "dist"
    root.mkdir()
    (root / "index.html").write_text(INDEX, "utf-8")
    for name, side in (("icon-192", 192), ("icon-512", 512), ("icon-maskable-512", 512)):
        (root / f"{name}.png").write_bytes(png(side, side))
        (tmp_path / f"{name}.png").write_bytes(png(side, side) + b"mine")
    (tmp_path / "logo.svg").write_text('<?xml version="1.0"?>\n<!-- a mark -->\n<svg viewBox="0 0 1 1"/>', "utf-8")
    (tmp_path / "logo.jpg").write_bytes(b"\xff\xd8\xff\xe0JFIF")
    (tmp_path / "logo.webp").write_bytes(b"RIFF\x04\0\0\0WEBP")
    (tmp_path / "page.svg").write_text("<!doctype html><p>not a picture", "utf-8")
    return tmp_path


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir() if path.is_file()]


class Head(HTMLParser):
    """Tags of a page with their attributes, and its title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.title = ""
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_title = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data

    def meta(self, name: str) -> str | None:
        found = [tag for kind, tag in self.tags if kind == "meta" and name in (tag.get("name"), tag.get("property"))]
        assert len(found) <= 1
        return found[0]["content"] if found else None

    def link(self, rel: str) -> str | None:
        return next((tag["href"] for kind, tag in self.tags if kind == "link" and tag.get("rel") == rel), None)


async def get(server: Server, path: str, **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
    async with server.http.get(
        server.url + path, headers={k.replace("_", "-"): v for k, v in headers.items()}
    ) as answer:
        return answer.status, await answer.read(), answer.headers.copy()


async def head(server: Server, path: str, **headers: str) -> Head:
    return Head((await get(server, path, **headers))[1].decode())


def branded(files: Path, **more: Any) -> dict[str, Any]:
    return {
        "web_root": files / "dist",
        "brand_name": "Nordhalle",
        "brand_short_name": "Halle",
        "brand_logo": files / "logo.svg",
        "brand_icon_192": files / "icon-192.png",
        "brand_icon_512": files / "icon-512.png",
        "brand_icon_maskable": files / "icon-maskable-512.png",
        "brand_accent": "#7a1f5c",
        "brand_title": "Moin",
        "brand_subtitle": "Meet the north.",
        "brand_imprint": "https://north.example/imprint",
        "brand_mail": "help@north.example",
        **more,
    }


# --- settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("brand_name", "", "a name is needed"),
        ("brand_name", "x" * 61, "at most 60"),
        ("brand_name", "a\nb", "control characters"),
        ("brand_name", " a", "blanks around"),
        ("brand_short_name", "\x1b[31m", "control characters"),
        ("brand_title", "a\u202eb", "control characters"),
        ("brand_subtitle", "x" * 301, "at most 300"),
        ("brand_imprint", "javascript:alert(1)", "http or https URL"),
        ("brand_privacy", "/privacy", "http or https URL"),
        ("brand_terms", "https://a.example/\nb", "http or https URL"),
        ("brand_mail", "nobody", "mail address"),
        ("brand_mail", "a@b.example?bcc=c@d.example", "mail address"),
        ("brand_accent", "teal", "a colour such as"),
        ("brand_accent", "#ffcc00", "contrast of 1.41"),
        ("brand_accent_dark", "#34c8a0", "brand_accent is needed too"),
        ("max_brand_image_bytes", "0", "out of range"),
    ],
)
async def test_a_bad_setting_is_refused_by_its_name(key: str, value: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        make_settings(**{key: value})
    message = str(caught.value)
    assert message.startswith(key)
    assert message.isprintable()


async def test_a_dark_accent_must_be_readable_on_dark_pages() -> None:
    make_settings(brand_accent="#08715c", brand_accent_dark="#34c8a0")
    with pytest.raises(ConfigError, match=r"^brand_accent_dark: #08715c cannot be read well"):
        make_settings(brand_accent="#08715c", brand_accent_dark="#08715c")


@pytest.mark.parametrize(
    ("key", "file", "says"),
    [
        ("brand_logo", "nothing.svg", "cannot be read"),
        ("brand_logo", ".", "cannot be read"),
        ("brand_logo", "a\0b", "cannot be read"),
        ("brand_logo", "page.svg", "is no picture"),
        ("brand_icon_192", "logo.svg", "is no picture of the kind image/png"),
        ("brand_icon_192", "icon-512.png", "must be 192 × 192 pixels, it is 512 × 512"),
        ("brand_icon_512", "icon-192.png", "must be 512 × 512"),
        ("brand_icon_maskable", "icon-192.png", "must be 512 × 512"),
        ("brand_preview", "logo.svg", "is no picture"),
    ],
)
async def test_a_bad_picture_is_refused_by_its_key(files: Path, key: str, file: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        make_settings(**{key: files / file})
    assert str(caught.value).startswith(key)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("file", ["logo.svg", "logo.jpg", "logo.webp", "icon-192.png"])
async def test_a_logo_may_be_as_large_as_the_limit(files: Path, file: str) -> None:
    size = (files / file).stat().st_size
    make_settings(brand_logo=files / file, max_brand_image_bytes=size)
    with pytest.raises(ConfigError, match=rf"^brand_logo: .*more than {size - 1} bytes"):
        make_settings(brand_logo=files / file, max_brand_image_bytes=size - 1)


@pytest.mark.parametrize("accent", ["#000000", "#08715c", "#1a56db", "#b3261e", "#6a1b9a", "#5f5f00"])
async def test_colours_that_follow_from_an_accent_can_be_read(accent: str) -> None:
    light, dark = light_palette(accent, "x"), derive_dark(accent, "x")
    for palette, surfaces in ((light, LIGHT_SURFACES), (dark, DARK_SURFACES)):
        assert min(contrast(palette.accent, back) for back in (*surfaces, palette.accent_soft)) >= 4.5
        assert min(contrast(palette.on_accent, back) for back in (palette.accent, palette.accent_hover)) >= 4.5


async def test_the_surfaces_are_those_of_the_page() -> None:
    tokens = (ROOT / "web/src/styles/tokens.css").read_text("utf-8")
    found = re.findall(r"--(?:bg|surface): (#\w{6});", tokens)
    assert set(found) == {*LIGHT_SURFACES, *DARK_SURFACES}


async def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


# --- what comes out -----------------------------------------------------------------------------------------


async def test_the_page_of_a_brand_has_its_name_everywhere(files: Path) -> None:
    async with running(**branded(files), public_url="https://halle.example") as server:
        for path in ("/", "/check", "/r/lobby", "/account", "/admin"):
            page = await head(server, path)
            assert page.title == page.meta("og:title") == page.meta("og:site_name") == "Nordhalle"
            assert page.meta("og:description") == page.meta("description") == "Meet the north."
            image = page.meta("og:image")
            assert image is not None
            assert image.startswith("https://halle.example/brand/icon_512-")
            assert page.link("manifest") == "/manifest.webmanifest"
        missing = await get(server, "/nowhere", Accept="text/html")
        assert (missing[0], Head(missing[1].decode()).title) == (404, "Nordhalle")
        config = json.loads(page.meta("app-config") or "")
        assert config == json.loads((await get(server, "/api/v1/config"))[1])
        assert (config["name"], config["brand"]["title"], config["brand"]["mail"]) == (
            "Nordhalle", "Moin", "help@north.example",
        )  # fmt: skip
        text = (await get(server, "/"))[1].decode() + (await get(server, "/manifest.webmanifest"))[1].decode()
        assert not re.search(r"\bting\b", text, re.IGNORECASE)
        docs = (await get(server, "/api/docs"))[1].decode()
        assert "<title>Nordhalle API</title>" in docs
        assert json.loads((await get(server, "/api/openapi.json"))[1])["info"]["title"] == "Nordhalle"


async def test_the_manifest_lists_pictures_that_are_there(files: Path) -> None:
    async with running(**branded(files)) as server:
        status, body, headers = await get(server, "/manifest.webmanifest")
        manifest = json.loads(body)
        assert (status, headers["Content-Type"].split(";")[0]) == (200, "application/manifest+json")
        wanted = ("name", "short_name", "start_url", "scope", "display", "theme_color")
        assert {key: manifest[key] for key in wanted} == {
            "name": "Nordhalle", "short_name": "Halle", "start_url": "/", "scope": "/", "display": "standalone",
            "theme_color": "#7a1f5c",
        }  # fmt: skip
        icons = [(icon["sizes"], icon["type"], icon["purpose"]) for icon in manifest["icons"]]
        assert icons == [
            ("192x192", "image/png", "any"),
            ("512x512", "image/png", "any"),
            ("512x512", "image/png", "maskable"),
            ("any", "image/svg+xml", "any"),
        ]
        known = contents(files)
        for icon in manifest["icons"]:
            status, body, headers = await get(server, icon["src"])
            assert (status, headers["Content-Type"]) == (200, icon["type"])
            assert "immutable" in headers["Cache-Control"]
            assert body in known
            assert (
                "script-src 'self'" in headers["Content-Security-Policy"]
                or "sandbox" in headers["Content-Security-Policy"]
            )
        logo = (await head(server, "/")).link("icon")
        assert logo == manifest["icons"][3]["src"]
        assert (await get(server, logo))[2]["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


async def test_without_a_brand_the_pictures_of_the_web_app_are_shown(files: Path) -> None:
    async with running(web_root=files / "dist") as server:
        manifest = json.loads((await get(server, "/manifest.webmanifest"))[1])
        assert (manifest["name"], [icon["src"] for icon in manifest["icons"]]) == (
            "Ting", ["/icon-192.png", "/icon-512.png", "/icon-maskable-512.png"],
        )  # fmt: skip
        page = await head(server, "/")
        assert (page.title, page.link("icon")) == ("Ting", "/assets/logo-1.svg")
        assert page.meta("og:image") == f"{server.url}/icon-512.png"


async def test_a_name_alone_takes_none_of_the_web_app_s_pictures(files: Path) -> None:
    async with running(web_root=files / "dist", brand_name="Øst & <West>") as server:
        manifest = json.loads((await get(server, "/manifest.webmanifest"))[1])
        assert (manifest["name"], manifest["short_name"]) == ("Øst & <West>", "Øst & <West>")
        [logo] = manifest["icons"]
        assert ">Ø</text>" in (await get(server, logo["src"]))[1].decode()
        page = await head(server, "/")
        assert (page.title, page.link("icon"), page.meta("og:image")) == ("Øst & <West>", logo["src"], None)


@pytest.mark.parametrize("key", ["brand_name", "brand_title", "brand_subtitle", "brand_short_name"])
async def test_hostile_texts_stay_texts(files: Path, key: str) -> None:
    async with running(web_root=files / "dist", **{key: HOSTILE}) as server:
        page = await head(server, "/")
        assert [tag for tag, _ in page.tags if tag in ("script", "b")] == ["script"]
        assert json.loads(page.meta("app-config") or "")["name"] == (HOSTILE if key == "brand_name" else "Ting")
        assert page.meta("og:description") == (
            HOSTILE if key == "brand_subtitle" else "Voice and video rooms in the browser."
        )


# --- titles of rooms ----------------------------------------------------------------------------------------


async def make_room(server: Server, title: str, **policy: object) -> str:
    body = {"title": title, "policy": {"kind": "open", **policy}, "key": "k" * 40, "owner_name": "Ana"}
    async with server.http.post(server.url + "/api/v1/rooms", json=body) as answer:
        assert answer.status in (200, 201), await answer.text()
        made: str = (await answer.json())["name"]
        return made


async def test_a_preview_shows_the_title_of_a_room_that_is_open_to_all(files: Path) -> None:
    async with running(**branded(files), preview_wait_s=60) as server:
        page = await head(server, f"/r/{await make_room(server, HOSTILE)}")
        assert (page.meta("og:title"), page.title) == (HOSTILE, f"{HOSTILE} · Nordhalle")
        assert [tag for tag, _ in page.tags if tag in ("script", "b")] == ["script"]


@pytest.mark.parametrize("policy", [{"entry": "knock"}, {"entry": "members"}, {"locked": True}, {"kind": "sealed"}])
async def test_no_other_room_s_title_is_shown(files: Path, policy: dict[str, object]) -> None:
    async with running(**branded(files), preview_wait_s=60) as server:
        room = await make_room(server, "Secret plans", **policy)
        status, body, _ = await get(server, f"/r/{room}?token=abc")
        assert (status, b"Secret" in body, b"abc" in body, room.encode() in body) == (200, False, False, False)
        assert Head(body.decode()).meta("og:title") == "Nordhalle"


async def test_who_asks_too_often_still_gets_the_page(files: Path) -> None:
    async with running(**branded(files), room_lookups_per_minute=1, preview_wait_s=60) as server:
        room = await make_room(server, "Open day")
        assert [(await head(server, f"/r/{room}")).meta("og:title") for _ in range(2)] == ["Open day", "Nordhalle"]


async def test_a_database_that_does_not_answer_holds_no_page_back(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def public_title(self: LastingRooms, name: str) -> str:
        asked.set()
        await answered.wait()
        return "Open day"

    monkeypatch.setattr(LastingRooms, "public_title", public_title)
    async with running(**branded(files), preview_wait_s=0.05) as server:
        assert (await head(server, "/r/lobby")).title == "Nordhalle"
        assert asked.is_set()
        answered.set()
    async with running(**branded(files), preview_wait_s=60) as server:
        assert (await head(server, "/r/lobby")).title == "Open day · Nordhalle"


@pytest.mark.parametrize("room", ["%00", "a" * 300, "%E2%80%AE", "%3Cscript%3E"])
async def test_a_room_that_cannot_be_is_a_page_all_the_same(files: Path, room: str) -> None:
    async with running(**branded(files)) as server:
        assert (await head(server, f"/r/{room}")).title == "Nordhalle"


# --- over HTTP ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/r/lobby", "/manifest.webmanifest"])
async def test_who_has_the_page_already_is_told_so(files: Path, path: str) -> None:
    async with running(**branded(files)) as server:
        _, _, headers = await get(server, path)
        assert headers["Cache-Control"] == "no-cache"
        status, body, again = await get(server, path, If_None_Match=headers["ETag"])
        assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])
        assert (await get(server, path, If_None_Match='"other"'))[0] == 200


async def test_the_policy_of_the_page_is_as_strict_as_ever(files: Path) -> None:
    async with running(**branded(files)) as server:
        _, _, headers = await get(server, "/")
        assert headers["Content-Security-Policy"] == ContentSecurityPolicy("").of(server.url.removeprefix("http://"))
        assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["a.example/<b>", '"><script>', "a b"])
async def test_a_host_that_is_none_gets_into_no_preview(files: Path, host: str) -> None:
    async with running(**branded(files)) as server:
        status, body, _ = await get(server, "/", Host=host)
        assert status == 400 or Head(body.decode()).meta("og:image") is None


async def test_a_passkey_is_for_the_brand() -> None:
    account = AccountRow.__new__(AccountRow)
    for name, value in (("account_id", "00" * 16), ("name", "ana")):
        object.__setattr__(account, name, value)
    options = creation_options(Site("a.example", ("https://a.example",), "Nordhalle"), account, [], b"x" * 32, 60)
    assert options["rp"] == {"id": "a.example", "name": "Nordhalle"}


async def test_a_default_brand_is_our_own() -> None:
    brand = load_brand(BrandSettings())
    assert (brand.name, brand.is_own, brand.pictures) == ("Ting", True, [])
