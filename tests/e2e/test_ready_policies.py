"""policies/servers: each is valid, and knows every tool of the real server that it is for, and no other."""
import json
import re
import shutil
import unittest

from harness import E2E, HERE, PATIENCE, ROOT, SLUICE, needs_node, run

POLICIES = ROOT / "policies" / "servers"
# By policy: the npm package, the program in it, and its arguments ({} is an empty directory).
SERVERS = {
    "chrome-devtools": ("chrome-devtools-mcp", "chrome-devtools-mcp", "--no-usage-statistics"),
    "everything": ("@modelcontextprotocol/server-everything", "mcp-server-everything"),
    "filesystem": ("@modelcontextprotocol/server-filesystem", "mcp-server-filesystem", "{}"),
    "memory": ("@modelcontextprotocol/server-memory", "mcp-server-memory"),
    "playwright": ("@playwright/mcp", "playwright-mcp", "--headless"),
    "sequential-thinking": ("@modelcontextprotocol/server-sequential-thinking", "mcp-server-sequential-thinking"),
}
UNVERIFIED = {"github", "postgres", "slack"}


def load(name):
    return json.loads((POLICIES / f"{name}.json").read_text())


def names_of(document):
    return {*document["tools"], *document.get("hide", [])}


class Files(unittest.TestCase):
    def test_each_is_valid_and_closed_by_default(self):
        self.assertEqual({path.stem for path in POLICIES.glob("*.json")}, {*SERVERS, *UNVERIFIED})
        for path in sorted(POLICIES.glob("*.json")):
            with self.subTest(path.stem):
                checked = run(SLUICE, "policy", "check", "--json", path)
                self.assertEqual(checked.returncode, 0, checked.stderr)
                self.assertEqual(json.loads(checked.stdout)["warnings"], [])
                document = json.loads(path.read_text())
                self.assertEqual((document["default"], document["args"]), ("deny", "closed"))
                self.assertFalse([name for name in names_of(document) if "*" in name or name.startswith("risk:")])
                for name, entry in document["tools"].items():
                    self.assertTrue(set(entry) <= {"require", "deny_if", "limits", "require_approval"}, name)

    def test_those_that_no_test_starts_say_so_with_source_and_date(self):
        for name in UNVERIFIED:
            self.assertRegex(load(name)["description"], r"^UNVERIFIED: .* package \d+\.\d+\.\d+ .* on \d{4}-\d\d-\d\d\.")
        for name, (package, *_) in SERVERS.items():
            self.assertTrue(load(name)["description"].startswith(f"{package}, checked"), name)

    def test_the_page_has_each_with_the_version_that_is_checked(self):
        page = (ROOT / "docs" / "policy.md").read_text()
        pinned = json.loads((HERE / "package.json").read_text())["devDependencies"]
        for name, (package, *_) in SERVERS.items():
            self.assertIn(f"[servers/{name}.json](../policies/servers/{name}.json) | `{package}` {pinned[package]} |", page)
        for name in UNVERIFIED:
            self.assertRegex(page, rf"\[servers/{name}\.json\]\(\.\./policies/servers/{name}\.json\) \| .*unverified")


class RealServers(E2E):
    """Each real server, as npm installs it."""

    def tools_of(self, name):
        package, program, *arguments = SERVERS[name]
        node, path = needs_node(), HERE / "node_modules" / ".bin" / program
        if not path.exists():
            self.skipTest(f"tests/e2e/node_modules has no {package} (npm ci)")
        files = self.directory / f"files-{name}"
        files.mkdir()
        self.addCleanup(shutil.rmtree, files)
        command = [node, path, *(files if one == "{}" else one for one in arguments)]
        done = run(SLUICE, "policy", "scan", "--", *command, seconds=60 * PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return names_of(json.loads(done.stdout))

    def check(self, name):
        tools, known = self.tools_of(name), names_of(load(name))
        self.assertEqual(sorted(tools - known), [], f"tools that policies/servers/{name}.json does not know")
        self.assertEqual(sorted(known - tools), [], f"names in policies/servers/{name}.json that the server does not have")

    def test_chrome_devtools(self):
        self.check("chrome-devtools")

    def test_everything(self):
        self.check("everything")

    def test_filesystem(self):
        self.check("filesystem")

    def test_memory(self):
        self.check("memory")

    def test_playwright(self):
        self.check("playwright")

    def test_sequential_thinking(self):
        self.check("sequential-thinking")

    def test_each_has_its_test(self):
        tests = {name.removeprefix("test_").replace("_", "-") for name in dir(self) if re.match("test_", name)}
        self.assertEqual(tests - {"each-has-its-test"}, set(SERVERS))


if __name__ == "__main__":
    unittest.main()
