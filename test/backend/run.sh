#!/bin/sh
# Runs the ONNX project's backend cases: npm run test:backend -- FOLDER. A folder that is not there yet is filled from PyPI.
set -eu
folder=${1:?usage: npm run test:backend -- FOLDER}
if [ ! -d "$folder" ]; then
  # Made beside it, so that a broken download leaves no folder that looks whole.
  python3 test/backend/make-cases.py "$folder.part"
  mv "$folder.part" "$folder"
fi
ORT_TL_ONNX_CASES=$folder npx vitest run test/backend
