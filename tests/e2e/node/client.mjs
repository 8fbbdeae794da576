// Calls the tools of an MCP server by the official client: `client.mjs URL JWT`, with the calls as
// JSON on standard input; prints what the client's code was told.
import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, jwt] = process.argv.slice(2);
const headers = { "x-ag-agent-token": `Bearer ${jwt}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const client = new Client({ name: "e2e", version: "1" });
await client.connect(transport);
const { tools } = await client.listTools();
const results = [];
for (const call of JSON.parse(readFileSync(0, "utf8"))) {
  results.push(await client.callTool(call));
}
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), results }));
await client.close();
