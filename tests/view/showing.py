"""What a page with hands shows, and how its tree is taken hold of."""

from tests.report.browser import Opened


def wait_for(opened: Opened, selector: str, words: str) -> None:
    """Waits until what is there says so."""
    opened.tab.wait_for_function(
        "([selector, words]) => document.querySelector(selector)?.textContent.includes(words)", arg=[selector, words]
    )


def marks(key: str) -> str:
    """What the list says of a row."""
    return f"#list button[data-id='{key}'] .marks"


def card(key: str) -> str:
    """A row among those that are open."""
    return f"#panel .row-card[data-id='{key}']"


def on_tag(opened: Opened, key: str, what: str) -> None:
    """Presses a button of a tag in the tree."""
    opened.tab.hover(f"#part-tree .tag[data-id='{key}']")
    opened.tab.click(f"#part-tree .tag[data-id='{key}'] [data-do={what}]")
