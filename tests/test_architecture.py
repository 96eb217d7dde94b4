"""Who may import whom: the table of the README, as data."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "assistant",
    "backups",
    "bot",
    "building",
    "cogs",
    "commands",
    "configuration",
    "db",
    "demo",
    "filling",
    "logs",
    "monitoring",
    "nightly",
    "providers",
    "running",
    "settings",
    "sources",
}

# For each room: which of our rooms it may import at run time, and which outside packages.
# "*" stands for anything.
MAY_IMPORT: dict[str, tuple[set[str], set[str]]] = {
    "cogs": ({"assistant"}, {"cryptography", "discord", "regex"}),
    "assistant": ({"providers", "db"}, {"PIL", "matplotlib", "pypdf"}),
    "providers": (set(), {"aiohttp", "PIL", "pydantic", "yarl", "xllamacpp"}),
    "db": (set(), {"sqlalchemy", "alembic"}),
    "settings": (set(), {"pydantic", "pydantic_settings"}),
    "sources": ({"settings"}, {"dotenv", "pydantic", "pydantic_settings"}),
    "logs": (set(), {"pydantic"}),
    "configuration": ({"providers", "settings", "sources"}, {"pydantic"}),
    "sharding": (set(), {"discord"}),
    "building": ({"assistant", "providers", "settings"}, {"aiohttp"}),
    "backups": ({"db", "providers", "settings"}, set()),
    "nightly": ({"db", "providers", "settings"}, set()),
    "running": (
        {"backups", "configuration", "logs", "monitoring", "nightly", "providers", "settings", "sources"},
        {"aiohttp", "discord"},
    ),
    "monitoring": ({"assistant", "db", "providers"}, {"aiohttp", "discord", "prometheus_client"}),
    "commands": (
        {"configuration", "db", "demo", "logs", "providers", "settings"},
        {"aiohttp", "discord", "rich"},
    ),
    "filling": ({"db"}, {"sqlalchemy"}),
    "bot": (ROOMS - {"demo", "filling"}, {"*"}),
    "demo": (ROOMS, {"*"}),
}


def files_of(room: str) -> list[Path]:
    single = ROOT / f"{room}.py"
    return [single] if single.exists() else sorted((ROOT / room).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports at run time: anywhere in it, but under `if TYPE_CHECKING`."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return names


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_the_table_lets_it_know(room: str) -> None:
    """Every import of a room is in its line of the table."""
    ours, outside = MAY_IMPORT[room]

    assert files_of(room)
    for path in files_of(room):
        for module in imports_of(path):
            top = module.partition(".")[0]
            allowed = (
                top in sys.stdlib_module_names
                or (top in ROOMS and (top in ours or top == room))
                or (top not in ROOMS and bool(outside & {top, "*"}))
            )
            assert allowed, f"{path.relative_to(ROOT)} imports {module}"


def test_every_room_of_the_house_is_in_the_table() -> None:
    """No module of the application escapes the table."""
    modules = {path.stem for path in ROOT.glob("*.py")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}

    assert modules | packages == set(MAY_IMPORT)


def test_cogs_do_not_import_one_another() -> None:
    """A command group knows its helpers and no other command group."""
    groups = [path for path in files_of("cogs") if "async def setup(" in path.read_text(encoding="utf-8")]
    names = {f"cogs.{path.stem}" for path in groups}

    assert len(groups) >= 4
    for path in groups:
        assert not imports_of(path) & names


def test_cogs_name_no_vendor() -> None:
    """Discord's side knows no provider by name."""
    vendors = ("mistral", "openai", "groq", "gemini", "hugging", "openrouter", "ollama")
    for path in files_of("cogs"):
        text = path.read_text(encoding="utf-8").lower()
        assert not [vendor for vendor in vendors if vendor in text], path


def test_providers_read_no_environment() -> None:
    """Keys are handed to providers; none looks into the environment by itself."""
    for path in files_of("providers"):
        assert "environ" not in path.read_text(encoding="utf-8"), path


def test_nobody_imports_the_way_in() -> None:
    """At run time bot.py is imported by the demo alone, and demo.py by the subcommand that starts it."""
    importers = {
        name: {
            path.relative_to(ROOT)
            for room in MAY_IMPORT
            for path in files_of(room)
            if name in imports_of(path)
        }
        for name in ("bot", "demo")
    }

    assert importers == {"bot": {Path("demo.py")}, "demo": {Path("commands/demo.py")}}


def test_the_readme_holds_the_same_table() -> None:
    """Each room has its line in the README's table."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for room in MAY_IMPORT:
        assert f"| `{room}" in readme, room
