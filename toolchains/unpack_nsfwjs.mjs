// SPDX-License-Identifier: Apache-2.0
//
// Unpacks a model of the npm package nsfwjs (MIT), which keeps TF.js layers models inside
// JavaScript modules: model.min.js exports the model.json object, groupG-shardIofN.min.js exports
// the bytes of a shard as base64. Needs node alone; the package is read, not installed.
//
//   node toolchains/unpack_nsfwjs.mjs PACKAGE_DIR OUT_DIR [MODEL]
//
// PACKAGE_DIR is the unpacked package (with package.json), MODEL one of its folders below
// dist/models (mobilenet_v2 unless given). OUT_DIR gets model.json, the shards and labels.txt, one
// class a line. The networks take RGB pixels / 255: mean 0, deviation 255.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import vm from "node:vm";

// Runs one of the package's CommonJS modules with nothing but `module` and `exports`: no require,
// no globals of node.
function exportsOf(path) {
  const module = { exports: {} };
  vm.runInNewContext(readFileSync(path, "utf8"), { module, exports: module.exports }, { filename: path });
  return module.exports?.default ?? module.exports;
}

// The names are a literal object { 0: "...", ... } in an ES module.
function classNames(path) {
  const source = readFileSync(path, "utf8");
  const literal = /NSFW_CLASSES\s*=\s*(\{[^}]*\})/.exec(source);
  if (!literal) throw new Error(`${path}: no class names found`);
  const names = vm.runInNewContext(`(${literal[1]})`);
  return Array.from({ length: Object.keys(names).length }, (_, i) => String(names[i]));
}

function unpack(packageDir, outDir, model) {
  const modelDir = join(packageDir, "dist", "models", model);
  const modelJson = exportsOf(join(modelDir, "model.min.js"));
  if (!modelJson.modelTopology || !Array.isArray(modelJson.weightsManifest)) {
    throw new Error(`${modelDir}: model.min.js does not hold a TF.js layers model`);
  }
  mkdirSync(outDir, { recursive: true });
  let bytes = 0;
  for (const path of modelJson.weightsManifest.flatMap((group) => group.paths)) {
    if (!/^[\w.-]+$/.test(path)) throw new Error(`${modelDir}: odd shard name ${JSON.stringify(path)}`);
    const shard = Buffer.from(exportsOf(join(modelDir, `${path}.min.js`)), "base64");
    writeFileSync(join(outDir, path), shard);
    bytes += shard.length;
  }
  writeFileSync(join(outDir, "model.json"), JSON.stringify(modelJson));
  const labels = classNames(join(packageDir, "dist", "esm", "nsfw_classes.js"));
  writeFileSync(join(outDir, "labels.txt"), labels.join("\n") + "\n");
  return { bytes, labels };
}

const [packageDir, outDir, model = "mobilenet_v2"] = process.argv.slice(2);
if (!packageDir || !outDir || !/^\w+$/.test(model)) {
  console.error("usage: node unpack_nsfwjs.mjs PACKAGE_DIR OUT_DIR [MODEL]");
  process.exit(2);
}
try {
  const { bytes, labels } = unpack(packageDir, outDir, model);
  console.log(`${outDir}: model.json, ${bytes} bytes of weights, ${labels.length} classes`);
} catch (error) {
  console.error(`unpack_nsfwjs: ${error.message}`);
  process.exit(1);
}
