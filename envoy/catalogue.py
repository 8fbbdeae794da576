"""The agents and tools that a local stack starts with: those of the guides, examples and demo."""

from __future__ import annotations

# The agent of the payload script; the one that `clampd_jwt` in stack.json speaks for.
PAYLOAD_AGENT = "b0000001-0004-0000-0000-000000000001"
API_KEY = "ag_test_acme_2026"
ORG_NAME = "Acme"

# (id, name, framework, scopes)
AGENTS = (
    (PAYLOAD_AGENT, "payload-tester", "custom", ["*"]),
    ("my-agent", "my-agent", "openai", ["*"]),
    ("demo-scout", "demo-scout", "langchain", ["db:read", "file:read", "http:read", "web:read"]),
    ("demo-exec", "demo-exec", "openai", ["*"]),
    ("attacker-bot", "attacker-bot", "custom", ["*"]),
    ("orchestrator", "orchestrator", "openai", ["*"]),
    ("research-agent", "research-agent", "adk", ["web:read", "http:read", "db:read"]),
    ("crew-agent", "crew-agent", "crewai", ["*"]),
)

# The tool that really exists in the stack; its descriptor is asked of it over MCP.
SQL_TOOL = ("database.query", "db:read", "database")

# (name, scope, category): tools that run inside the agents, so that nothing is forwarded.
TOOLS = (
    ("database.execute", "db:write", "database"),
    ("file.read", "file:read", "file"),
    ("file.write", "file:write", "file"),
    ("file.delete", "file:write", "file"),
    ("http.fetch", "http:read", "http"),
    ("http.post", "http:write", "http"),
    ("shell.exec", "shell:exec", "shell"),
    ("code.exec", "code:exec", "code"),
    ("email.send", "message:send", "message"),
    ("slack.post", "message:send", "message"),
    ("web.search", "web:read", "search"),
    ("user.lookup", "user:read", "other"),
    ("api.stripe.charge", "payment:charge", "payment"),
)
