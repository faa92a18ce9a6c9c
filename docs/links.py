"""Check that every link of the built site leads somewhere, without asking the network.

Usage: ``python docs/links.py out/docs``. Exits with 1 and names what is broken.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

ASKED_FOR = {("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")}


class Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag asks for and what it can be reached by."""
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif (tag, name) in ASKED_FOR:
                self.links.append((tag, value))


def broken(folder: Path) -> list[str]:
    """Name every link that leads nowhere, and every resource that is fetched from elsewhere."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    wrong = []
    for path, page in pages.items():
        for tag, link in page.links:
            target, anchor = urldefrag(link)
            if urlsplit(target).scheme or target.startswith("//"):
                outside = tag != "a" and not target.startswith("data:")
                wrong += [f"{path.name}: <{tag}> fetches {target}"] if outside else []
                continue
            file = (path.parent / unquote(urlsplit(target).path)).resolve() if target else path
            if not file.exists():
                wrong.append(f"{path.name}: {link} is not there")
            elif anchor and file in pages and unquote(anchor) not in pages[file].anchors:
                wrong.append(f"{path.name}: {link} has no such place")
    return wrong


if __name__ == "__main__":
    found = broken(Path(sys.argv[1]))
    print("\n".join(found) or "every link leads somewhere")  # noqa: T201 - a script's answer
    sys.exit(bool(found))
