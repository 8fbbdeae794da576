// Reads manifests as a JSON list from stdin and holds those of Istio's kinds against its schemas.
// Prints {"checked": ["Kind name", …], "wrong": ["Kind name: why", …]}.
import { readFileSync } from "node:fs";

const groups = ["networking.istio.io/v1alpha3", "networking.istio.io/v1", "security.istio.io/v1",
  "telemetry.istio.io/v1", "extensions.istio.io/v1alpha1"];
const models = new Map();
for (const group of groups) {
  models.set(group, await import(`@kubernetes-models/istio/${group}/index`));
}
const checked = [];
const wrong = [];
for (const manifest of JSON.parse(readFileSync(0, "utf8"))) {
  const Model = models.get(manifest.apiVersion)?.[manifest.kind];
  const name = `${manifest.kind} ${manifest.metadata.name}`;
  if (Model) {
    checked.push(name);
    try {
      new Model(manifest).validate();
    } catch (error) {
      wrong.push(`${name}: ${error.message}`);
    }
  } else if (manifest.apiVersion.includes("istio.io/")) {
    wrong.push(`${name}: no schema of ${manifest.apiVersion} is known`);
  }
}
console.log(JSON.stringify({ checked, wrong }));
