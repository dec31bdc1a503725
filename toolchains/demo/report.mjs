// SPDX-License-Identifier: Apache-2.0
//
// What each policy answered and cost, and whether every run gave the same scores to the last bit.
//
//   node toolchains/demo/report.mjs FOLDER
//
// Fails when one score of one run differs from the first run's, or an answer is missing.
import { statSync } from "node:fs";
import { join } from "node:path";

import { Failure, main, readFolder } from "./records.mjs";

const milliseconds = (ns) => (ns / 1e6).toFixed(1);

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// First column to the left, the others to the right.
function table(header, rows) {
  const widths = header.map((title, c) => Math.max(title.length, ...rows.map((row) => row[c].length)));
  for (const row of [header, ...rows]) {
    const cells = row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c])));
    console.log("  " + cells.join("  "));
  }
}

// The runs of demo.sh, in words.
const NAMES = {
  eco: ["ECO", "the device computes everything"],
  sco: ["SCO", "the server computes everything, from the JPEG or its pixels, as is faster"],
  loa: ["LOA", "the split of least latency"],
  lmos: ["LMOS", "the deepest split near the least latency"],
  "lmos-20MiB": ["LMOS in 20 MiB", "the same on a device with that much memory"],
};

function photoTable({ photos, layers }, { run, records }) {
  console.log(`\n${NAMES[run].join(": ")}`);
  table(
    ["photo", "answer", "score", "split", "bytes up", "edge ms", "tx ms", "server ms", "total ms"],
    records.map((record, i) => [
      photos[i],
      record.top[0].label,
      record.top[0].score.toFixed(4),
      `${record.split}/${layers}`,
      String(record.bytes_up),
      ...[record.edge_ns, record.tx_ns, record.server_ns, record.total_ns].map(milliseconds),
    ]),
  );
}

function summary({ policies, layers }) {
  console.log("\nEach policy");
  table(
    ["policy", "splits chosen", "median total ms", "mean bytes up"],
    policies.map(({ run, records }) => [
      NAMES[run][0],
      [...new Set(records.map((record) => record.split))].map((split) => `${split}/${layers}`).join(" "),
      milliseconds(median(records.map((record) => record.total_ns))),
      String(Math.round(records.reduce((sum, record) => sum + record.bytes_up, 0) / records.length)),
    ]),
  );
}

// The peer of any split is the picture as it is usually sent.
function pictureCost(folder, { photos, policies, splits }) {
  const sco = policies.find(({ run }) => run === "sco");
  if (!sco) throw new Failure("no run of the policy sco");
  const pixels = statSync(join(folder, "pixels", `${photos[0]}.u8`)).size;
  const jpegs = splits[0].records.map((record) => record.bytes_up);
  const files = sco.records.filter(({ sent }) => sent === "jpeg").length;
  const ms = milliseconds(median(sco.records.map((record) => record.tx_ns)));
  console.log(
    `  Server only: the median JPEG as it is has ${Math.round(median(jpegs))} bytes, its pixels at the network's size\n` +
      `  ${pixels}. SCO sent ${files} of ${photos.length} photos as they are, the others as pixels, in ${ms} ms (median).`,
  );
}

// Every score of every run is the first run's, bit for bit. (JSON numbers are written so that they
// read back as the float they were.)
function checkEqual({ photos, policies, splits }) {
  const all = [...policies, ...splits];
  const [first, ...others] = all;
  for (const { run, records } of others) {
    records.forEach(({ scores }, i) => {
      const expected = first.records[i].scores;
      const differs = expected.findIndex((score, k) => !Object.is(score, scores[k]));
      if (differs >= 0 || scores.length !== expected.length) {
        throw new Failure(
          `${photos[i]}: score ${differs} is ${scores[differs]} with ${run}, ${expected[differs]} with ${first.run}`,
        );
      }
    });
  }
  console.log(
    `\n${all.length * photos.length} answers, ${policies.length} policies and each of ${splits.length} splits: ` +
      "scores are byte-identical",
  );
}

main((folder) => {
  const results = readFolder(folder);
  for (const [k, { records }] of results.splits.entries()) {
    if (records.some(({ split }) => split !== k)) throw new Failure(`--split ${k} ran another split`);
  }
  if (results.splits.length !== results.layers + 1) throw new Failure("not every split was run");
  results.policies.forEach((policy) => photoTable(results, policy));
  summary(results);
  pictureCost(folder, results);
  checkEqual(results);
});
