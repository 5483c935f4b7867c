// Works on a registry until it is killed. Uses dist/, as a process of its own must. Arguments: data directory, task.
import { openRegistry } from "../../../dist/index.js";

const [directory, task] = process.argv.slice(2);
const registry = await openRegistry(directory);
const row = (line) => ({
  line,
  productKey: line % 2 === 0 ? "a1old" : "a1new",
  deviceName: `dev-${line}`,
  deviceSecret: line === 0 ? "kept" : "s",
});

switch (task) {
  case "import": {
    const started = await registry.beginImport();
    for (let from = 0; ; from += 1_000) {
      const bad = await started.add(Array.from({ length: 1_000 }, (_, i) => row(from + i)));
      if (bad.length > 0) throw new Error(bad[0].message);
      if (from === 2_000) console.log("in the middle");
    }
  }
  case "create":
    await registry.createProduct({ productKey: "a1new" });
    await registry.createDevice({ productKey: "a1new", deviceName: "devA", deviceSecret: "told" });
    console.log("told");
    break;
  case "delete":
    await registry.createProduct({ productKey: "a1new" });
    await Promise.all(
      Array.from({ length: 5_000 }, (_, i) =>
        registry.createDevice({ productKey: "a1new", deviceName: `dev-${i}` }),
      ),
    );
    registry.on("product.deleted", () => console.log("deleted"));
    await registry.deleteProduct("a1new", { withDevices: true });
    break;
}
setInterval(() => {}, 1_000);
