// SPDX-License-Identifier: Apache-2.0
//
// Compares cleave's scores with those of TF.js for the same network and pixels.
//
//   node toolchains/demo/compare_tfjs.mjs FOLDER
//
// Fails when a score differs by more than 1e-3.
import { join } from "node:path";

import { Failure, main, readFolder, readPeer } from "./records.mjs";

const LIMIT = 1e-3;

main((folder) => {
  const { photos, policies } = readFolder(folder);
  const peer = readPeer(join(folder, "tfjs.jsonl"));
  let worst = 0;
  policies[0].records.forEach(({ scores }, i) => {
    const expected = peer.get(photos[i]);
    if (expected?.length !== scores.length) throw new Failure(`${photos[i]}: TF.js gave no answer to compare with`);
    scores.forEach((score, k) => {
      const difference = Math.abs(score - expected[k]);
      // Written so that a NaN fails it.
      if (!(difference <= LIMIT)) {
        throw new Failure(`${photos[i]}: score ${k} is ${score}, TF.js says ${expected[k]}: they differ by more than ${LIMIT}`);
      }
      worst = Math.max(worst, difference);
    });
  });
  console.log(`TF.js agrees: the largest difference of a score is ${worst.toExponential(1)} (allowed: ${LIMIT})`);
});
