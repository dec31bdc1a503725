// SPDX-License-Identifier: Apache-2.0
//
// What TF.js makes of a layers model and raw pixels: the peer that our importer and engine are
// compared with.
//
//   node tests/support/tfjs_reference.mjs TFJS_DIR MODEL_JSON MEAN DEVIATION [--backend cpu|wasm]
//        PIXELS...
//
// TFJS_DIR is what tests/support/fetch_tfjs.sh prints. A PIXELS file holds u8 height x width x
// channels at the model's input size; each value becomes (u8 - MEAN) / DEVIATION in f32. One JSON
// line a file: {"pixels": path, "scores": [...]}. The cpu backend (default) is plain JavaScript,
// one line of arithmetic at a time; wasm is about a hundred times faster.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

function usage(message) {
  console.error(`tfjs_reference: ${message}`);
  console.error("usage: tfjs_reference.mjs TFJS_DIR MODEL_JSON MEAN DEVIATION [--backend cpu|wasm] PIXELS...");
  process.exit(2);
}

function parseArguments(args) {
  const options = { backend: "cpu", pixels: [] };
  const plain = [];
  for (let i = 0; i < args.length; ++i) {
    if (args[i] === "--backend") options.backend = args[++i];
    else plain.push(args[i]);
  }
  [options.tfjsDir, options.modelJson, options.mean, options.deviation, ...options.pixels] = plain;
  options.mean = Number(options.mean);
  options.deviation = Number(options.deviation);
  if (!["cpu", "wasm"].includes(options.backend)) usage(`no backend ${options.backend}`);
  if (options.pixels.length === 0) usage("no pixels given");
  if (!Number.isFinite(options.mean) || !(options.deviation > 0)) usage("MEAN and DEVIATION must be numbers");
  return options;
}

async function startBackend(require, backend) {
  const tf = require("@tensorflow/tfjs-core");
  if (backend === "cpu") {
    require("@tensorflow/tfjs-backend-cpu");
  } else {
    const wasm = require("@tensorflow/tfjs-backend-wasm");
    wasm.setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist/"));
  }
  if (!(await tf.setBackend(backend))) throw new Error(`backend ${backend} does not start`);
  return tf;
}

// The model and its shards from disk, as tf.loadLayersModel takes them.
function fileHandler(path) {
  return {
    load: async () => {
      const { modelTopology, weightsManifest } = JSON.parse(readFileSync(path, "utf8"));
      const shards = weightsManifest.flatMap((group) => group.paths);
      const bytes = Buffer.concat(shards.map((shard) => readFileSync(join(dirname(path), shard))));
      return {
        modelTopology,
        weightSpecs: weightsManifest.flatMap((group) => group.weights),
        weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
      };
    },
  };
}

function scoresOf(tf, model, path, { mean, deviation }) {
  const shape = model.inputs[0].shape.slice(1);
  const pixels = readFileSync(path);
  if (pixels.length !== shape.reduce((a, b) => a * b)) {
    throw new Error(`${path}: ${pixels.length} bytes do not fill an input of ${shape.join("x")}`);
  }
  const input = Float32Array.from(pixels, (u8) => Math.fround(Math.fround(u8 - mean) / deviation));
  return tf.tidy(() => Array.from(model.predict(tf.tensor(input, [1, ...shape])).dataSync()));
}

const options = parseArguments(process.argv.slice(2));
try {
  const require = createRequire(join(options.tfjsDir, "package.json"));
  const tf = await startBackend(require, options.backend);
  const { loadLayersModel } = require("@tensorflow/tfjs-layers");
  const model = await loadLayersModel(fileHandler(options.modelJson));
  for (const path of options.pixels) {
    console.log(JSON.stringify({ pixels: path, scores: scoresOf(tf, model, path, options) }));
  }
} catch (error) {
  console.error(`tfjs_reference: ${error.message}`);
  process.exit(1);
}
