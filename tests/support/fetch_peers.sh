#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Fetches the peers that the tests compare with: ONNX Runtime's C library and TF.js, from npm, each
# once into the per-user cache; and the demo's photos.
set -euo pipefail
cd "$(dirname "$0")"
bash ./fetch_ort.sh
bash ./fetch_tfjs.sh
bash ../../toolchains/demo/fetch_photos.sh
