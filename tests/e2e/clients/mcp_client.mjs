// An official MCP client that is connected to Sluice: of either generation, in either era, on either transport.
//   connect(GENERATION, ERA, TRANSPORT, {updated, spoil})   1|2, legacy|modern, stdio|http
// `updated(uri)` hears resource notices; `spoil(message)` may change what arrives before the client sees it.
// Environment: SLUICE, SLUICE_HOME_DIR, UPSTREAM_CA, TOOLSET, ALLOW_ROOT (may be absent), GATEWAY (arguments of a `sluice gateway` in front,
// as JSON; may be absent); for http: MCP_URL, MCP_TOKEN.
const { SLUICE, SLUICE_HOME_DIR, UPSTREAM_CA, TOOLSET, ALLOW_ROOT, GATEWAY, MCP_URL, MCP_TOKEN } = process.env;

const server = ["mcp", "--home", SLUICE_HOME_DIR, "--upstream-ca", UPSTREAM_CA, ...(TOOLSET ? ["--toolset", TOOLSET] : []),
  ...(ALLOW_ROOT ? ["--allow-root", ALLOW_ROOT] : [])];
const spawn = {
  command: SLUICE,
  args: GATEWAY ? ["gateway", ...JSON.parse(GATEWAY), "--", SLUICE, ...server] : server,
  stderr: "inherit",
};
const http = { requestInit: { headers: { Authorization: `Bearer ${MCP_TOKEN}` } } };

async function connected(client, transport, spoil) {
  await client.connect(transport);
  if (!spoil) return client;
  const deliver = transport.onmessage;
  transport.onmessage = (message, extra) => { spoil(message); deliver(message, extra); };
  return client;
}

export async function connect(generation, era, transportName, { updated = () => {}, spoil } = {}) {
  const identity = { name: `e2e-${generation}-${era}-${transportName}`, version: "1.0.0" };
  if (generation === "1") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const { ResourceUpdatedNotificationSchema } = await import("@modelcontextprotocol/sdk/types.js");
    const client = new Client(identity);
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, (n) => { updated(n.params.uri); });
    return connected(client, transportName === "stdio"
      ? new StdioClientTransport(spawn) : new StreamableHTTPClientTransport(new URL(MCP_URL), http), spoil);
  }
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const mode = era === "modern" ? { pin: "2026-07-28" } : "legacy";
  const client = new Client(identity, { versionNegotiation: { mode } });
  client.setNotificationHandler("notifications/resources/updated", (n) => { updated(n.params.uri); });
  return connected(client, transportName === "stdio"
    ? new StdioClientTransport(spawn) : new StreamableHTTPClientTransport(new URL(MCP_URL), http), spoil);
}
