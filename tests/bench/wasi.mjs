// Runs a WASI program under Node's V8, the engine that Envoy has. Its clock is what the process has
// had of a processor, so that what else the machine does is not measured.
//
//   node --no-liftoff wasi.mjs program.wasm [argument …]

import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [program, ...args], env: {} });
const imports = wasi.getImportObject();
let memory;
imports.wasi_snapshot_preview1.clock_time_get = (_clock, _precision, at) => {
  const { user, system } = process.cpuUsage();
  new DataView(memory.buffer).setBigUint64(at, BigInt(user + system) * 1000n, true);
  return 0;
};
const module = await WebAssembly.compile(readFileSync(program));
const instance = await WebAssembly.instantiate(module, imports);
memory = instance.exports.memory;
process.exitCode = wasi.start(instance) ?? 0;
