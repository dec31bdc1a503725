// SPDX-License-Identifier: Apache-2.0
//
// The JSON lines that demo.sh had written into its folder, read and checked.
import { readFileSync, readdirSync } from "node:fs";
import { basename, extname, join } from "node:path";

// A reason to end the demo, meant for its user: one line.
export class Failure extends Error {}

function lines(path) {
  const text = readFileSync(path, "utf8").split("\n").filter((line) => line !== "");
  return text.map((line) => JSON.parse(line));
}

export const photoName = (path) => basename(path, extname(path));

// What the agent answered in one run: one record a photo, in the order of `photos`.
function answers(path, run, photos) {
  const records = lines(path);
  if (records.length !== photos.length) {
    throw new Failure(`${run}: ${records.length} answers for ${photos.length} photos`);
  }
  records.forEach((record, i) => {
    const where = `${run}, ${photos[i]}`;
    if (record.error) throw new Failure(`${where}: no answer: ${record.error}`);
    if (record.fallback) throw new Failure(`${where}: the device had to finish alone: ${record.fallback}`);
    if (photoName(record.image) !== photos[i]) throw new Failure(`${where}: the answer is of ${record.image}`);
    if (!record.scores?.length || !record.scores.every(Number.isFinite)) {
      throw new Failure(`${where}: no scores, or not finite ones`);
    }
  });
  return { run, records };
}

// Runs of `folder` whose files are called `prefix` and a number, by that number, as { run, records }.
function runs(folder, prefix, photos, nameOf) {
  const names = readdirSync(folder).filter((name) => name.startsWith(prefix) && name.endsWith(".jsonl"));
  const number = (name) => Number(/\d+/.exec(name)?.[0]);
  names.sort((a, b) => number(a) - number(b));
  if (names.length === 0) throw new Failure(`${folder}: no ${prefix}*.jsonl`);
  return names.map((name) => {
    const run = nameOf(name.slice(prefix.length, -".jsonl".length));
    return answers(join(folder, name), run, photos);
  });
}

// Policies in the order they ran (their files are numbered), and every split of the network.
export function readFolder(folder) {
  const photos = readdirSync(join(folder, "pixels")).map(photoName).sort();
  const model = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
  return {
    photos,
    layers: model.variants[0].layers.length,
    policies: runs(folder, "policy-", photos, (name) => name.replace(/^\d+-/, "")),
    splits: runs(folder, "split-", photos, (name) => `split ${name}`),
  };
}

// TF.js's scores by photo.
export function readPeer(path) {
  return new Map(lines(path).map(({ pixels, scores }) => [photoName(pixels), scores]));
}

// Runs a program of the demo: a Failure is one line and exit code 1.
export function main(program) {
  try {
    program(process.argv[2]);
  } catch (error) {
    const known = error instanceof Failure;
    console.error(`[demo] error: ${known ? error.message : error.stack}`);
    process.exit(1);
  }
}
